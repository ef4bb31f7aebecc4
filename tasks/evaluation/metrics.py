"""Ranking metrics per user, from the ranks of held-out items or from top-k lists; all vectorised.

Ranks are 1-based and may be halves: items with equal scores share the mean of their places, so that a method that
gives everything the same score is neither lucky nor unlucky.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Values = NDArray[np.float64]
Lists = NDArray[np.int64]
KS = (5, 10)


def mid_ranks(scores: NDArray[np.floating], targets: Lists, allowed: NDArray[np.bool_] | None = None) -> Values:
    """Rank of one target item in each row of `scores` (b, m), among the items that `allowed` (b, m) leaves: (b,).

    NaN is the lowest score; items that share it share its mid rank too. The target itself always takes part.
    """
    filled = np.where(np.isnan(scores), -np.inf, scores)
    own = np.take_along_axis(filled, targets[:, None], 1)
    above, level = filled > own, filled == own
    if allowed is not None:
        above, level = above & allowed, level & allowed
        level[np.arange(len(targets)), targets] = True
    return np.asarray(1 + above.sum(axis=1) + (level.sum(axis=1) - 1) / 2, dtype=np.float64)


def from_ranks(ranks: Values, ks: Sequence[int] = KS) -> dict[str, Values]:
    """HR@k, NDCG@k and MRR of users with one held-out item each, whose ranks are `ranks` (u,); each metric (u,)."""
    found: dict[str, Values] = {}
    for k in ks:
        hit = ranks <= k
        found[f"hr@{k}"] = hit.astype(np.float64)
        found[f"ndcg@{k}"] = np.where(hit, 1 / np.log2(ranks + 1), 0.0)
    return {**found, "mrr": 1 / ranks}


def from_lists(lists: Lists, targets: sparse.csr_matrix, k: int = 10) -> dict[str, Values]:
    """Metrics at `k` of lists (u, ≥ k), best first, −1 where there is no item, against relevant items CSR (u, m).

    HR, recall (hits / relevant), precision (hits / k), NDCG with binary gain and the ideal list of min(relevant, k),
    MRR (1 / place of the first hit, 0 without), MAP (precision at each hit / min(relevant, k)). Users without a
    relevant item have NaN throughout: they can be neither served well nor badly. (Järvelin & Kekäläinen 2002 for NDCG.)
    """
    hits = relevant_at(lists[:, :k], targets).astype(np.float64)
    wanted = np.diff(targets.indptr).astype(np.float64)
    wanted[wanted == 0] = np.nan
    width = hits.shape[1]
    places = np.arange(1, width + 1)
    discount = 1 / np.log2(places + 1)
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(1, k + 1) + 1))])
    capped = np.minimum(wanted, k)
    first = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0) if width else np.zeros(len(hits))
    precise = (hits * np.cumsum(hits, axis=1) / places).sum(axis=1)
    known = np.where(np.isnan(wanted), np.nan, 1.0)
    return {
        f"hr@{k}": (hits.sum(axis=1) > 0) * known,
        f"recall@{k}": hits.sum(axis=1) / wanted,
        f"precision@{k}": hits.sum(axis=1) / k * known,
        f"ndcg@{k}": hits @ discount / ideal[np.nan_to_num(capped).astype(np.int64)].clip(1e-12) * known,
        f"mrr@{k}": first * known,
        f"map@{k}": precise / capped,
    }


def relevant_at(lists: Lists, targets: sparse.csr_matrix) -> NDArray[np.bool_]:
    """Which places of the lists (u, k) hold a relevant item."""
    if not lists.size:
        return np.zeros(lists.shape, bool)
    rows = np.repeat(np.arange(len(lists)), lists.shape[1])
    found = np.asarray(targets[rows, np.maximum(lists, 0).ravel()]).reshape(lists.shape)
    return np.asarray((found > 0) & (lists >= 0), dtype=bool)


def of_lists(
    lists: Lists, counts: NDArray[np.int64], vectors: NDArray[np.floating] | None = None, k: int = 10
) -> Mapping[str, Values]:
    """What the lists (u, ≥ k) themselves are like, per user `(u,)`; NaN for an empty list.

    `counts` (m,) users of each item in the training data. Novelty: mean −log2(share of users) (Zhou et al. 2010, mean
    self-information). Popularity share: part of the list among the most used items that together have 20 % of the
    items (Abdollahpouri et al. 2019, short head). Diversity: 1 − mean cosine between pairs of the list, from unit
    `vectors` (m, d), rows of NaN left out.
    """
    top = lists[:, :k]
    there = top >= 0
    size = np.where(there.any(axis=1), there.sum(axis=1), np.nan)
    share = (counts + 1) / (counts.sum() + len(counts))  # Laplace: an item nobody used is new, not infinitely so
    surprise = -np.log2(share)
    head = np.zeros(len(counts), bool)
    head[np.argsort(-counts, kind="stable")[: int(np.ceil(0.2 * len(counts)))]] = True
    safe = np.maximum(top, 0)
    found = {
        f"novelty@{k}": np.where(there, surprise[safe], 0).sum(axis=1) / size,
        f"popularity_share@{k}": np.where(there, head[safe], False).sum(axis=1) / size,
    }
    if vectors is not None:
        found[f"diversity@{k}"] = _diversity(top, vectors)
    return found


def coverage(lists: Lists, n_items: int, k: int = 10) -> float:
    """Share of all items that are in somebody's list."""
    shown = np.unique(lists[:, :k])
    return float((shown >= 0).sum() / n_items) if n_items else float("nan")


def _diversity(lists: Lists, vectors: NDArray[np.floating], block: int = 4_096) -> Values:
    """1 − mean cosine of the pairs in each list: (|Σv|² − n) / (n(n − 1)) is that mean for unit vectors."""
    known = ~np.isnan(vectors).any(axis=1)
    filled = np.nan_to_num(vectors)
    out = np.full(len(lists), np.nan)
    for at in range(0, len(lists), block):
        part = lists[at : at + block]
        there = (part >= 0) & known[np.maximum(part, 0)]
        total = (filled[np.maximum(part, 0)] * there[..., None]).sum(axis=1, dtype=np.float64)
        n = there.sum(axis=1).astype(np.float64)
        pairs = np.where(n > 1, n * (n - 1), np.nan)
        out[at : at + block] = 1 - ((total**2).sum(axis=1) - n) / pairs
    return out
