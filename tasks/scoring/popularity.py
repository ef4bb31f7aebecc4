"""Popularity with time decay: what many people wanted lately. The same for everybody, so it never has to be silent."""

from __future__ import annotations

from typing import Self

import numpy as np

from tasks.errors import ModelError
from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Scores


class PopularityScorer:
    """Share of all liking, each event counting half after `half_life_days` (None: all events count alike).

    The clock is the interactions' `as_of`, or the latest event where it is not given.
    """

    def __init__(self, half_life_days: float | None = None, name: str = "popularity") -> None:
        self.name = name
        self.half_life_days = half_life_days
        self.share: Scores | None = None

    def fit(self, interactions: Interactions) -> Self:
        """Count; an item that nobody liked has share 0."""
        weights = np.where(interactions.weights > 0, interactions.weights, 0).astype(np.float64)
        if self.half_life_days is not None and len(weights):
            end = interactions.as_of.timestamp() / 86_400 if interactions.as_of else interactions.days.max()
            weights *= 0.5 ** ((end - interactions.days) / self.half_life_days)
        counts = np.bincount(interactions.items, weights, minlength=interactions.n_items)
        self.share = (counts / max(counts.sum(), 1e-12)).astype(np.float32)
        return self

    def scores(self, users: Indices, history: Interactions) -> Scores:
        """Logarithms of the shares, repeated for each user (b, m); half the least share where it is 0.

        A log tells a blend how the many plain items differ, where the share itself tells of a few favourites only.
        """
        if self.share is None:
            raise ModelError("popularity: fit before asking for scores")
        least = self.share[self.share > 0].min(initial=1.0) / 2
        return np.repeat(np.log(np.maximum(self.share, least))[None, :], len(users), axis=0)
