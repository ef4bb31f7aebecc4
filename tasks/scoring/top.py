"""The best items of many users, block by block, so that no full users × items matrix ever exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.scoring.blend import Blend
from tasks.scoring.calibration import calibrated
from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Mask, Scorer, Scores

BLOCK_BYTES = 32 * 2**20
"""Memory that one block of scores may take: about a processor's last cache, and large enough for matrix products."""
GROUPS = 12  # groups of columns per wanted item; more leave fewer candidates and cost little
LOWEST = np.finfo(np.float32).min  # lower than any number, higher than −∞


@dataclass(frozen=True)
class Top:
    """The best `k` items of a block of users, best first.

    `users` (b,), `items` (b, k) index or −1 where there are fewer, `scores` (b, k) float32 with NaN there,
    `parts` (s, b, k) of each scorer, `silent` (s, b, k) where a scorer had nothing to say.
    """

    users: Indices
    items: Indices
    scores: Scores
    parts: Scores
    silent: Mask


def top(
    blend: Blend,
    scorers: Mapping[str, Scorer],
    history: Interactions,
    users: Indices,
    k: int,
    blocked: Mask | None = None,
) -> Iterator[Top]:
    """The best `k` items of `users` under `blend`, a block of users at a time: never one of the history, never one
    that `blocked` (m,) marks, never one twice; equal scores in order of index."""
    step = block_users(history.n_items, len(blend.names))
    for at in range(0, len(users), step):
        block = users[at : at + step]
        scale = calibrated(scorers, blend.names, block, history, blocked)
        lengths = history.lengths[block]
        items, _ = highest(blend.scores(scale, lengths), k)
        chosen = scale[:, np.arange(len(block))[:, None], np.maximum(items, 0)]
        chosen[:, items < 0] = np.nan
        parts = np.nan_to_num(blend.parts(chosen, lengths))
        scores = np.where(items < 0, -np.inf, parts.sum(axis=0, dtype=np.float64)).astype(np.float32)
        order = np.argsort(-scores, axis=1, kind="stable")  # the sum may round otherwise than the blend did
        items, scores = np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)
        parts, silent = (np.take_along_axis(a, order[None], 2) for a in (parts, np.isnan(chosen)))
        yield Top(block, items, np.where(items < 0, np.float32(np.nan), scores), parts, silent)


def highest(scores: Scores, k: int) -> tuple[Indices, Scores]:
    """Columns and values of the `k` highest of each row (b, k), best first, equal ones by column.

    NaN and −∞ are no numbers here; where a row has fewer than `k` the column is −1 and the value NaN.
    """
    rows = len(scores)
    row, column = np.divmod(np.flatnonzero(scores >= _least(scores, k)[:, None]), max(scores.shape[1], 1))
    value = scores[row, column]
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, np.arange(rows))[row]
    kept = place < k
    items, best = np.full((rows, k), -1, np.int64), np.full((rows, k), np.nan, np.float32)
    items[row[kept], place[kept]], best[row[kept], place[kept]] = column[kept], value[kept]
    return items, best


def block_users(n_items: int, scorers: int) -> int:
    """Users in one block, so that it stays within `BLOCK_BYTES`."""
    return int(np.clip(BLOCK_BYTES // (4 * max(n_items, 1) * (scorers + 2)), 1, 4_096))


def _least(scores: Scores, k: int) -> NDArray[np.float32]:
    """A bound `(b,)` that at least the `k` highest numbers of each row reach, and few others.

    The columns are dealt into groups; the k-th highest of the groups' maxima is such a bound, because k groups have a
    number that reaches it. One pass over the scores, twenty times faster than partitioning them.
    """
    rows, columns = scores.shape
    groups = max(GROUPS * k, 256)
    if columns < 2 * groups:
        return np.full(rows, LOWEST, np.float32)
    deep = columns // groups
    highs = np.fmax.reduce(scores[:, : deep * groups].reshape(rows, deep, groups), axis=1)
    rest = columns - deep * groups
    highs[:, :rest] = np.fmax(highs[:, :rest], scores[:, deep * groups :])
    highs = np.where(np.isnan(highs), -np.inf, highs)
    bound = np.partition(highs, groups - k, axis=1)[:, groups - k]
    return np.asarray(np.maximum(bound, LOWEST), dtype=np.float32)
