"""Interest that is carried on: a decayed mean of everything so far, to which new events are added at their own cost.

A mean over weights 2^(−a / half-life), ages a counted from the user's latest event, is carried by itself, its total
weight W and that latest time. When the latest time moves on by t, every old weight shrinks by 2^(−t / half-life), so

    mean' = (W · 2^(−t / half-life) · mean + Σ w x) / (W · 2^(−t / half-life) + Σ w)

over the new evidence x with its weights w. That is what `vectors.user_vectors` computes from all events at once; an
event that is older than the latest counts by its own age, so the order in which events become known does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from tasks.interests.evidence import block_frame, item_links, text_links
from tasks.interests.vectors import unit
from tasks.schema import EVENTS, USER_ID, USER_VECTORS

DAY = 86_400e6  # microseconds
NEVER = 0
"""Latest time of who did nothing yet, microseconds since 1970."""


@dataclass(frozen=True)
class Space:
    """What texts and items lie at: `texts` and `items` name the rows of `said` (k, d) and `about` (m, d)."""

    texts: pd.Index
    said: np.ndarray
    items: pd.Index
    about: np.ndarray


@dataclass(frozen=True)
class Running:
    """Decayed means of n users and all that is needed to carry them on."""

    means: np.ndarray
    """(n, d) float32; zeros where the weight is 0."""
    weights: np.ndarray
    """(n,) float64, as of each user's latest event."""
    latest: np.ndarray
    """(n,) int64, time of the latest event of any kind, microseconds since 1970."""

    @classmethod
    def start(cls, users: int, width: int) -> Running:
        """The means of `users` who did nothing yet."""
        return cls(np.zeros((users, width), np.float32), np.zeros(users), np.full(users, NEVER, np.int64))


def carried_on(
    before: Running, rows: np.ndarray, events: pd.DataFrame, space: Space, *, half_life_days: float
) -> Running:
    """`before` and `events`, whose users are in places `rows` (e,).

    An event counts as in `user_vectors`: by its own text and by the item acted upon. Raises `ModelError` where a text
    that counts is not in the space; items that are not are passed over.
    """
    times = events[EVENTS["event_time"].name].to_numpy(dtype="datetime64[us]").astype(np.int64)
    latest = before.latest.copy()
    np.maximum.at(latest, rows, times)
    weights = np.exp2((times - latest[rows]) / DAY / half_life_days)
    own = text_links(rows, events, space.texts, weights, size=len(latest))
    acted = item_links(rows, events, space.items, weights, size=len(latest))
    kept = before.weights * np.exp2((before.latest - latest) / DAY / half_life_days)  # (n,)
    total = kept[:, None] * before.means  # (n, d)
    weight = kept + np.asarray(own.sum(axis=1)).ravel() + np.asarray(acted.sum(axis=1)).ravel()
    for links, matrix in ((own, space.said), (acted, space.about)):
        if links.nnz:
            used = np.unique(links.indices)
            total += links[:, used] @ matrix[used].astype(np.float64)
    means = total / np.where(weight > 0, weight, 1)[:, None]
    return Running(means.astype(np.float32), weight, latest)


def vectors_of(users: Sequence[str], long: Running, short: Running, *, encoder: str, as_of: datetime) -> pd.DataFrame:
    """Rows of `schema.USER_VECTORS` for those of `users` (n,) whose means both have a direction."""
    (long_term, long_there), (short_term, short_there) = unit(long.means), unit(short.means)
    known = np.flatnonzero(long_there & short_there)
    long_term, short_term = long_term[known], short_term[known]
    drift = np.clip(1 - np.einsum("ij,ij->i", long_term, short_term), 0, 2)
    part = {
        USER_ID.name: np.asarray(users, dtype=object)[known],
        USER_VECTORS["long_term"].name: list(long_term.astype(np.float32)),
        USER_VECTORS["short_term"].name: list(short_term.astype(np.float32)),
        USER_VECTORS["drift"].name: drift.astype(np.float32),
        USER_VECTORS["encoder"].name: encoder,
    }
    return block_frame(USER_VECTORS, [part], as_of)
