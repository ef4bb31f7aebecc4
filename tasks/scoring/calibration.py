"""Bringing each scorer's numbers to one scale, user by user, so that they may be weighed against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Mask, Scorer, Scores

FLAT = 1e-6  # a best item that stands out by less than this share of the mean is as good as all: float32 tells no more
TINY = 1e-30  # below this a span is no number to divide by
NOWHERE = np.empty(0, np.int64)


def centred(scores: Scores) -> Scores:
    """(s − mean) / (max − mean) of each row, NaN left alone: 0 is the user's average item, 1 his best.

    Min–max fusion (Fox & Shaw 1994, "Combination of multiple searches") with the mean for the minimum: the worst of
    many thousand items is an outlier of no interest, and with the mean at 0 a scorer that is silent about an item
    neither lifts nor sinks it. A row where all are equal becomes 0.
    """
    out = np.array(scores, dtype=np.float32, order="C")
    centre(out)
    return out


def calibrated(
    scorers: Mapping[str, Scorer], names: Sequence[str], users: Indices, history: Interactions, blocked: Mask | None
) -> Scores:
    """Scores of the scorers `names` on one scale (s, b, m); NaN where one is silent or the item may not be shown.

    May not be shown: what is in the user's history, and what `blocked` (m,) marks. Those are taken out before the
    scale is found, so that the best item that may be shown has 1.
    """
    out = np.empty((len(names), len(users), history.n_items), np.float32)
    row, column = _hidden(history.of(users), blocked)
    for place, name in enumerate(names):
        out[place] = scorers[name].scores(users, history)
        centre(out[place], row, column)
    return out


def _hidden(block: Interactions, blocked: Mask | None) -> tuple[Indices, Indices]:
    """Rows and columns of the cells that may not be shown, each once."""
    seen = block.seen()
    row, column = np.repeat(np.arange(block.n_users), np.diff(seen.indptr)), seen.indices.astype(np.int64)
    if blocked is None or not blocked.any():
        return row, column
    kept, nowhere = ~blocked[column], np.flatnonzero(blocked)
    everyone = np.repeat(np.arange(block.n_users), len(nowhere))
    return np.append(row[kept], everyone), np.append(column[kept], np.tile(nowhere, block.n_users))


def centre(scores: Scores, row: Indices = NOWHERE, column: Indices = NOWHERE) -> None:
    """`centred` in place (b, m), with the cells (row, column), each given once, made NaN first.

    `scores` lie in one piece. Few passes over them: the cells that do not count are held at 0 for the sum and at −∞
    for the maximum.
    """
    scores[row, column] = np.nan
    flat = scores.reshape(-1)
    silent = np.flatnonzero(np.isnan(flat))
    flat[silent] = 0
    count = scores.shape[1] - np.bincount(silent // max(scores.shape[1], 1), minlength=len(scores))
    mean = (scores.sum(axis=1) / np.maximum(count, 1)).astype(np.float32)  # pairwise in float32: good to 1e-6
    flat[silent] = -np.inf
    with np.errstate(invalid="ignore"):
        span = scores.max(axis=1, initial=-np.inf) - mean
        level = ~(span > np.maximum(FLAT * np.abs(mean), TINY))
        scores -= mean[:, None]
        scores *= np.where(level, 0, 1 / np.where(level, 1, span)).astype(np.float32)[:, None]
    flat[silent] = np.nan
