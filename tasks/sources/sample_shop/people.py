"""The people of the sample shop: language, interests before and after they drift, temperament, activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sources.sample_shop import rates

Array = NDArray[Any]
NEVER = -1
"""Drift day of somebody whose interests stay."""


@dataclass(frozen=True)
class People:
    """One row per user, (n,) unless said otherwise.

    language: 0 English, 1 Chinese, as in `schema.LANGUAGES`. before, after: theme weights (n, themes) that sum to 1;
    equal where nothing drifts. drift_day: day of the change or NEVER. pleased: standard normal. wordy, loud, curious:
    0 to 1, how long somebody writes, how often with exclamation marks, how often asking. sessions: mean per day.
    """

    ids: Array
    language: Array
    before: Array
    after: Array
    drift_day: Array
    pleased: Array
    wordy: Array
    loud: Array
    curious: Array
    sessions: Array

    def __len__(self) -> int:
        return len(self.language)

    def interests(self, users: Array, day: int) -> Array:
        """Theme weights of `users` on `day`, (len(users), themes)."""
        drifted = (self.drift_day[users] != NEVER) & (self.drift_day[users] <= day)
        weights: Array = self.before[users]
        weights[drifted] = self.after[users[drifted]]
        return weights


def people(users: int, theme_popularity: Array, rng: np.random.Generator) -> People:
    """`users` people whose interests follow `theme_popularity` (themes,), drawn with `rng`."""
    before = _interests(users, theme_popularity, rng, avoid=None)
    drifts = rng.random(users) < rates.DRIFT_SHARE
    after = np.where(drifts[:, None], _interests(users, theme_popularity, rng, avoid=before.argmax(1)), before)
    days = rng.integers(*rates.DRIFT_DAYS, size=users)
    activity = np.exp(rates.ACTIVITY_SIGMA * rng.standard_normal(users) - rates.ACTIVITY_SIGMA**2 / 2)
    return People(
        ids=np.array([f"u{at:06d}" for at in range(users)], dtype=object),
        language=(rng.random(users) >= rates.ENGLISH_SHARE).astype(np.int8),
        before=before.astype(np.float32),
        after=after.astype(np.float32),
        drift_day=np.where(drifts, days, NEVER).astype(np.int32),
        pleased=rng.standard_normal(users).astype(np.float32),
        wordy=rng.beta(2, 2, users).astype(np.float32),
        loud=rng.beta(1, 4, users).astype(np.float32),
        curious=rng.beta(1.5, 1.5, users).astype(np.float32),
        sessions=np.minimum(rates.SESSIONS_PER_DAY * activity, rates.MOST_SESSION_RATE).astype(np.float32),
    )


def _interests(users: int, popularity: Array, rng: np.random.Generator, avoid: Array | None) -> Array:
    """Two or three themes a user, drawn by popularity without repeats (Gumbel); `avoid` is nobody's first theme."""
    keys = np.log(popularity) + rng.gumbel(size=(users, len(popularity)))
    if avoid is not None:
        keys[np.arange(users), avoid] = -np.inf
    first_three = np.argsort(-keys, axis=1)[:, :3]
    third = rng.random(users) < rates.THIRD_THEME_SHARE
    rest = 1 - rates.FIRST_THEME - rates.SECOND_THEME
    two = np.array([rates.FIRST_THEME + rest / 2, rates.SECOND_THEME + rest / 2, 0.0])
    shares = np.where(third[:, None], [rates.FIRST_THEME, rates.SECOND_THEME, rest], two)
    shares = shares * rng.uniform(0.7, 1.3, shares.shape)  # nobody's taste is exactly like another's
    shares /= shares.sum(1, keepdims=True)
    weights: Array = np.full((users, len(popularity)), rates.STRAY_SHARE / len(popularity))
    np.put_along_axis(weights, first_three, (1 - rates.STRAY_SHARE) * shares, axis=1)
    weights /= weights.sum(1, keepdims=True)
    return weights
