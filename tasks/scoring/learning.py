"""Learning the blend's weights: those that rank held-out items best, searched on NDCG@10 itself.

Only the candidates that some scorer ranks high are kept, so that trying a weight is one small matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tasks.errors import NotEnoughData
from tasks.scoring.blend import EDGES, Blend, normalised
from tasks.scoring.calibration import calibrated
from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Mask, Scorer, Scores
from tasks.scoring.top import block_users, highest

K = 10
STEPS = (0.0, 0.5, 0.8, 1.25, 2.0)  # factors tried on one weight while the others stay
ROUNDS = 12
PRIOR_USERS = 200.0
"""Weights learned on n users count n / (n + 200) against the plainer ones they refine (a bucket's own against those of
all users, those of all users against even ones): a few dozen users cannot tell them apart, and even weights are hard to
beat on little evidence (Claeskens et al. 2016, "The forecast combination puzzle")."""


@dataclass(frozen=True)
class Evidence:
    """What held-out data say: `candidates` (u, c, s) calibrated, NaN where silent; `relevant` (u, c);
    `wanted` (u,) how many held-out items a user has in all; `lengths` (u,) of the histories."""

    candidates: Scores
    relevant: Mask
    wanted: NDArray[np.int64]
    lengths: NDArray[np.int64]


def evidence(
    scorers: Mapping[str, Scorer],
    names: Sequence[str],
    users: Indices,
    history: Interactions,
    targets: sparse.csr_matrix,
    blocked: Mask | None = None,
    width: int = 100,
) -> Evidence:
    """The `width` best items of each scorer for `users` who have held-out items in `targets` (n, m)."""
    users = users[np.diff(targets.indptr)[users] > 0]
    if not len(users):
        raise NotEnoughData("blend: no user has a held-out item; hold out a longer time")
    step = block_users(history.n_items, len(names))
    pieces = [users[at : at + step] for at in range(0, len(users), step)]
    blocks = [_candidates(scorers, names, piece, history, targets, blocked, width) for piece in pieces]
    found, relevant = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
    return Evidence(found, relevant, np.diff(targets.indptr)[users].astype(np.int64), history.lengths[users])


def learn(names: Sequence[str], seen: Evidence, edges: Sequence[int] = EDGES) -> Blend:
    """The blend whose weights rank the held-out items best, for all users and then for each history length."""
    even = np.full(len(names), 1 / len(names))
    everyone = _trusting(len(seen.lengths) / PRIOR_USERS, best_weights(seen, even), even)
    rows = []
    for users in _buckets(seen.lengths, edges):
        if not len(users):
            rows.append(everyone)
            continue
        rows.append(_trusting(len(users) / PRIOR_USERS, best_weights(_of(seen, users), everyone), everyone))
    return Blend.of(names, np.stack(rows), edges)


def _trusting(evidence: float, learned: NDArray[np.float64], plainer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Learned weights, drawn to the plainer ones the less evidence there is, in units of what makes them count half."""
    return (evidence * learned + plainer) / (evidence + 1)


def best_weights(seen: Evidence, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (s,) by coordinate ascent on mean NDCG@10 from `start` and from each scorer alone.

    Deterministic: every weight is tried at each of `STEPS` times its value until none helps. (Metzler & Croft 2007,
    "Linear feature-based models for information retrieval", find coordinate ascent on the metric itself at least as
    good as surrogate losses for a handful of features.)
    """
    values, said = np.nan_to_num(seen.candidates), (~np.isnan(seen.candidates)).astype(np.float32)
    ideal = ideal_gain(seen.wanted)

    def gain(weights: NDArray[np.float64]) -> float:
        return _ndcg(values, said, seen.relevant, ideal, weights)

    starts = [normalised(start), *(normalised(row) for row in np.eye(len(start)))]
    best = max(starts, key=gain)
    best_gain = gain(best)
    for _ in range(ROUNDS):
        before = best_gain
        for place in range(len(start)):
            for trial in _moves(best, place):
                if (reached := gain(trial)) > best_gain:
                    best, best_gain = trial, reached
        if best_gain <= before:
            break
    return best


def ideal_gain(wanted: NDArray[np.int64], k: int = K) -> NDArray[np.float64]:
    """Discounted gain of a perfect list for users who want that many items `(u,)`."""
    discounts = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    return np.asarray(discounts[np.minimum(wanted, k)], dtype=np.float64)


def _moves(weights: NDArray[np.float64], place: int) -> Iterator[NDArray[np.float64]]:
    """`weights` with the one at `place` changed: by each step, or to a fair share where it is next to nothing."""
    for step in STEPS:
        trial = weights.copy()
        trial[place] *= step
        yield normalised(trial)
    trial = weights.copy()
    trial[place] = 1 / len(weights)
    yield normalised(trial)


def _ndcg(
    values: Scores, said: Scores, relevant: Mask, ideal: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Mean NDCG@10 of the candidates under `weights`; a candidate that is not there has no voice at all."""
    vector = weights.astype(np.float32)
    heard = said @ vector
    scores = np.where(heard > 0, (values @ vector) / np.maximum(heard, 1e-12), -np.inf)
    width = min(K, scores.shape[1])
    first = np.argpartition(-scores, width - 1, axis=1)[:, :width] if scores.shape[1] > width else None
    if first is None:
        first = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    top, hits = np.take_along_axis(scores, first, 1), np.take_along_axis(relevant, first, 1)
    hits = np.take_along_axis(hits & np.isfinite(top), np.argsort(-top, axis=1, kind="stable"), 1)
    gains = hits @ (1 / np.log2(np.arange(2, width + 2)))
    return float(np.mean(gains / ideal))


def _candidates(
    scorers: Mapping[str, Scorer],
    names: Sequence[str],
    users: Indices,
    history: Interactions,
    targets: sparse.csr_matrix,
    blocked: Mask | None,
    width: int,
) -> tuple[Scores, Mask]:
    """Candidates (b, width · s, s) of one block of users and whether each was held out."""
    scale = calibrated(scorers, names, users, history, blocked)
    width = min(width, history.n_items)
    items = np.concatenate([highest(scores, width)[0] for scores in scale], axis=1)
    items = np.sort(items, axis=1)
    repeated = np.zeros(items.shape, bool)
    repeated[:, 1:] = items[:, 1:] == items[:, :-1]
    absent = repeated | (items < 0)
    rows = np.arange(len(users))[:, None]
    found = np.moveaxis(scale[:, rows, np.maximum(items, 0)], 0, -1)
    found[absent] = np.nan
    relevant = np.asarray(targets[users][rows, np.maximum(items, 0)].todense()) > 0
    full = width * len(names)  # the same for every block, though a block may have fewer
    pad = full - items.shape[1]
    return (
        np.pad(found, ((0, 0), (0, pad), (0, 0)), constant_values=np.nan),
        np.pad(relevant & ~absent, ((0, 0), (0, pad))),
    )


def _buckets(lengths: NDArray[np.int64], edges: Sequence[int]) -> list[Indices]:
    bucket = np.searchsorted(np.asarray(edges), lengths, side="right")
    return [np.flatnonzero(bucket == b) for b in range(len(edges) + 1)]


def _of(seen: Evidence, users: Indices) -> Evidence:
    return Evidence(seen.candidates[users], seen.relevant[users], seen.wanted[users], seen.lengths[users])
