"""Content scores: what an item is about against what a user writes and cares about."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks import schema
from tasks.errors import ModelError, SpaceMismatch
from tasks.scoring.calibration import centred
from tasks.scoring.ids import IdMap, Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Scores

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class ContentFeatures:
    """What is known of one side, users or items; a row of NaN where nothing is.

    `long_term` and `short_term` (n, d) in the space of `encoder`, the same array for items; `topics` (n, t) mixes.
    """

    encoder: str
    long_term: Vectors
    short_term: Vectors
    topics: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @classmethod
    def of_users(cls, users: IdMap, vectors: pd.DataFrame, topics: pd.DataFrame) -> ContentFeatures:
        """From rows of `schema.USER_VECTORS` and `schema.USER_TOPICS`; users without a row get NaN."""
        at, topics_at = users.find(vectors[schema.USER_ID.name]), users.find(topics[schema.USER_ID.name])
        long_term, short_term = (aligned(vectors[c], at, len(users)) for c in ("long_term", "short_term"))
        return cls(_one_space(vectors), long_term, short_term, aligned(topics["topic_mix"], topics_at, len(users)))

    @classmethod
    def of_items(cls, items: IdMap, content: pd.DataFrame) -> ContentFeatures:
        """From rows of `schema.ITEM_CONTENT`; items without a row get NaN."""
        at = items.find(content[schema.ITEM_ID.name])
        vectors = aligned(content["vector"], at, len(items))
        return cls(_one_space(content), vectors, vectors, aligned(content["topic_mix"], at, len(items)))


class ContentScorer:
    """Nearness of vectors and of topic mixes, each centred per user before they are weighed together.

    Vectors are compared after the items' mean is taken away from both sides, because what all texts share says
    nothing (Mu & Viswanath 2018, "All-but-the-top"); topic mixes by the Bhattacharyya coefficient Σ√(p·q).
    A user without vectors of his own gets those of his liked items, each × `decay` per later event; a user or item
    without either is left to the other scorers. Raises `SpaceMismatch` where users and items come from two encoders.
    """

    def __init__(
        self,
        users: ContentFeatures,
        items: ContentFeatures,
        short_share: float = 0.5,
        topic_share: float = 0.3,
        decay: float = 0.7,
        name: str = "content",
    ) -> None:
        if users.encoder and items.encoder and users.encoder != items.encoder:
            raise SpaceMismatch(
                f"{name}: users' vectors are of encoder {users.encoder}, items' of {items.encoder}; embed one again"
            )
        self.name, self.users, self.decay = name, users, decay
        self.shares = (1 - topic_share) * (1 - short_share), (1 - topic_share) * short_share, topic_share
        self.mean = np.zeros(items.long_term.shape[1], np.float32)
        if has(items.long_term).any():
            self.mean = np.nanmean(items.long_term, axis=0)
        self.vectors = unit(items.long_term - self.mean)
        self.topics = np.sqrt(items.topics)

    def for_users(self, users: ContentFeatures) -> Self:
        """The same scorer for other users; what is known of the items is shared, not computed again."""
        other = copy.copy(self)
        other.users = users
        return other

    def fit(self, interactions: Interactions) -> Self:
        """Nothing to learn: what users and items are about was computed before."""
        if interactions.n_items != len(self.vectors):
            raise ModelError(
                f"{self.name}: {len(self.vectors)} items' content for {interactions.n_items} items; use one id map"
            )
        return self

    def scores(self, users: Indices, history: Interactions) -> Scores:
        """Weighted mean of the centred nearnesses that can be computed (b, m)."""
        nearness = zip(self.shares, self._nearness(users, history), strict=True)
        kept = [(share, near) for share, near in nearness if near is not None]
        if len(kept) == 1:
            return np.asarray(kept[0][1], dtype=np.float32)
        total = np.zeros((len(users), len(self.vectors)), np.float32)
        weight = np.zeros_like(total)
        for share, near in kept:
            said = ~np.isnan(near)
            total += share * np.where(said, centred(near), 0)
            weight += share * said
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(weight > 0, total / weight, np.nan), dtype=np.float32)

    def _nearness(self, users: Indices, history: Interactions) -> Iterator[Scores | None]:
        """Long-term, short-term and topic nearness, each (b, m) or None where it has no share or no topics."""
        fallback = self._of_history(users, history)
        for share, vectors in zip(self.shares[:2], (self.users.long_term, self.users.short_term), strict=True):
            own = unit(vectors[users] - self.mean)
            yield np.where(has(own)[:, None], own, fallback) @ self.vectors.T if share > 0 else None
        has_topics = self.shares[2] > 0 and self.users.topics.size > 0
        yield np.sqrt(self.users.topics[users]) @ self.topics.T if has_topics else None

    def _of_history(self, users: Indices, history: Interactions) -> Vectors:
        """Unit mean of the liked items' vectors, later ones heavier (b, d); NaN without one."""
        profile = history.of(users).liked(self.decay)
        return unit(profile @ np.nan_to_num(self.vectors), nothing=np.nan)


def aligned(values: pd.Series, at: Indices, n: int) -> Vectors:
    """Lists of one length as rows `at` of an (n, length) array; rows of −1 are dropped, others NaN."""
    length = len(values.iloc[0]) if len(values) else 0
    out = np.full((n, length), np.nan, np.float32)
    if len(values):
        out[at[at >= 0]] = np.stack(values.to_numpy()[at >= 0]) if (at >= 0).any() else out[:0]
    return out


def has(vectors: Vectors) -> NDArray[np.bool_]:
    """Which rows hold something `(n,)`."""
    if not vectors.shape[1]:
        return np.zeros(len(vectors), bool)
    return np.asarray(~np.isnan(vectors).any(axis=1), dtype=bool)


def unit(vectors: Vectors, nothing: float = np.nan) -> Vectors:
    """Rows scaled to length 1; a row of zeros becomes `nothing`."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(norms > 1e-12, vectors / norms, nothing), dtype=np.float32)


def _one_space(frame: pd.DataFrame) -> str:
    """The one encoder of the frame's vectors, empty where it has no row; raises `SpaceMismatch` on two."""
    encoders = frame["encoder"].unique()
    if len(encoders) > 1:
        raise SpaceMismatch(f"vectors of {len(encoders)} encoders in one table: {', '.join(map(str, encoders))}")
    return str(encoders[0]) if len(encoders) else ""
