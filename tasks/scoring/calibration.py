"""Bringing each scorer's numbers to one scale, user by user, so that they may be weighed against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Mask, Scorer, Scores

FLAT = 1e-6  # a best item that stands out by less than this share of the mean is as good as all: float32 tells no more


def centred(scores: Scores) -> Scores:
    """(s − mean) / (max − mean) of each row, NaN left alone: 0 is the user's average item, 1 his best.

    Min–max fusion (Fox & Shaw 1994, "Combination of multiple searches") with the mean for the minimum: the worst of
    many thousand items is an outlier of no interest, and with the mean at 0 a scorer that is silent about an item
    neither lifts nor sinks it. A row where all are equal becomes 0.
    """
    said = ~np.isnan(scores)
    count = np.maximum(said.sum(axis=1), 1)
    mean = np.where(said, scores, 0).sum(axis=1, dtype=np.float64) / count
    top = np.where(said, scores, -np.inf).max(axis=1, initial=-np.inf)
    out = np.array(scores, dtype=np.float32)
    _rescale(out, mean, top)
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
        _centre_but(out[place], row, column)
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


def _centre_but(scores: Scores, row: Indices, column: Indices) -> None:
    """`centred` in place with the cells (row, column) made NaN first; quick for rows without NaN of their own."""
    scores[row, column] = 0
    mean = scores.sum(axis=1).astype(np.float64)  # pairwise in float32: good to 1e-6
    gappy = np.flatnonzero(np.isnan(mean))
    mean /= np.maximum(scores.shape[1] - np.bincount(row, minlength=len(scores)), 1)
    scores[row, column] = -np.inf
    top = scores.max(axis=1, initial=-np.inf)
    kept = scores[gappy]
    _rescale(scores, mean, top)
    scores[row, column] = np.nan
    kept[np.isneginf(kept)] = np.nan
    scores[gappy] = centred(kept)


def _rescale(scores: Scores, mean: NDArray[np.float64], top: NDArray[np.floating]) -> None:
    """(s − mean) / (top − mean) in place; 0 for rows (b,) where the two are one, NaN kept."""
    with np.errstate(invalid="ignore"):
        span = top - mean
        flat = ~(np.isfinite(top) & (span > FLAT * np.abs(mean)) & (span > 0))
        scores -= mean[:, None].astype(np.float32)
        scores *= (1 / np.where(flat, 1, span)).astype(np.float32)[:, None]
        scores[flat] *= 0
