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

BLOCK_BYTES = 256 * 2**20
"""Memory that one block of scores may take; twice that is used while it is blended."""


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

    NaN is lower than anything; where a row has fewer than `k` numbers the column is −1 and the value NaN.
    """
    rows, columns = scores.shape
    width = min(k, columns)
    filled = np.where(np.isnan(scores), -np.inf, scores)
    if width < columns:
        picked = np.argpartition(-filled, width - 1, axis=1)[:, :width] if width else np.zeros((rows, 0), np.int64)
        picked = _fair(filled, picked)
    else:
        picked = np.broadcast_to(np.arange(columns), (rows, columns))
    picked = np.sort(picked, axis=1)
    values = np.take_along_axis(filled, picked, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    items, best = np.take_along_axis(picked, order, 1), np.take_along_axis(values, order, 1)
    items, best = np.where(np.isneginf(best), -1, items), np.where(np.isneginf(best), np.nan, best)
    short = ((0, 0), (0, k - width))
    return np.pad(items, short, constant_values=-1), np.pad(best, short, constant_values=np.nan).astype(np.float32)


def block_users(n_items: int, scorers: int) -> int:
    """Users in one block, so that it stays within `BLOCK_BYTES`."""
    return int(np.clip(BLOCK_BYTES // (4 * max(n_items, 1) * (scorers + 2)), 1, 4_096))


def _fair(scores: NDArray[np.floating], picked: Indices) -> Indices:
    """`picked` with ties at the last place given to the lowest columns: which of equals a partition takes is chance."""
    if not picked.size:
        return picked
    last = np.take_along_axis(scores, picked, 1).min(axis=1, keepdims=True)
    tied = np.flatnonzero((scores >= last).sum(axis=1) > picked.shape[1])
    if len(tied):
        above, level = scores[tied] > last[tied], scores[tied] == last[tied]
        room = picked.shape[1] - above.sum(axis=1, keepdims=True)
        chosen = above | (level & (np.cumsum(level, axis=1) <= room))
        picked[tied] = np.nonzero(chosen)[1].reshape(len(tied), -1)
    return picked
