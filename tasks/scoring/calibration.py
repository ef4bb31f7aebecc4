"""Bringing each scorer's numbers to one scale, user by user, so that they may be weighed against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Mask, Scorer, Scores


def centred(scores: Scores) -> Scores:
    """(s − mean) / (max − mean) of each row, NaN left alone: 0 is the user's average item, 1 his best.

    Min–max fusion (Fox & Shaw 1994, "Combination of multiple searches") with the mean for the minimum: the worst of
    many thousand items is an outlier of no interest, and with the mean at 0 a scorer that is silent about an item
    neither lifts nor sinks it. A row where all are equal becomes 0.
    """
    said = ~np.isnan(scores)
    count = np.maximum(said.sum(axis=1, keepdims=True), 1)
    mean = np.where(said, scores, 0).sum(axis=1, keepdims=True, dtype=np.float64) / count
    top = np.where(said, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    span = np.where(np.isfinite(top), top - mean, 0)
    flat = span <= 1e-9 * np.maximum(np.abs(mean), 1)
    scaled = (scores - mean.astype(np.float32)) / np.where(flat, 1, span).astype(np.float32)
    return np.asarray(np.where(flat & said, np.float32(0), scaled), dtype=np.float32)


def calibrated(
    scorers: Mapping[str, Scorer], names: Sequence[str], users: Indices, history: Interactions, blocked: Mask | None
) -> Scores:
    """Scores of the scorers `names` on one scale (s, b, m); NaN where one is silent or the item may not be shown.

    May not be shown: what is in the user's history, and what `blocked` (m,) marks. Those are taken out before the
    scale is found, so that the best item that may be shown has 1.
    """
    out = np.empty((len(names), len(users), history.n_items), np.float32)
    block = history.of(users)
    for place, name in enumerate(names):
        raw = scorers[name].scores(users, history)
        raw[block.user_of, block.items] = np.nan
        if blocked is not None:
            raw[:, blocked] = np.nan
        out[place] = centred(raw)
    return out
