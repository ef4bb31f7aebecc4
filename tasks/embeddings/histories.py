"""What each user did, in order of time, as flat arrays that a sequence model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks import schema
from tasks.errors import ModelError

NONE = -1
"""Stands for no item and for no text."""


def _no_vectors() -> NDArray[np.float32]:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Histories:
    """The histories of n users, one after another: e events, those of user u from `offsets[u]` to `offsets[u + 1]`."""

    offsets: NDArray[np.int64]
    """(n + 1,) where each history starts; the last is e."""
    items: NDArray[np.int32]
    """(e,) row of the item, `NONE` where the event is about none."""
    seconds: NDArray[np.int64]
    """(e,) when, in seconds since 1970 UTC; 0 everywhere where only the order is known."""
    kinds: NDArray[np.int16]
    """(e,) place in `schema.KINDS`."""
    ratings: NDArray[np.float32]
    """(e,) from 1 to 5, NaN where there is none."""
    texts: NDArray[np.int32]
    """(e,) row of `text_vectors`, `NONE` where there is no text."""
    text_vectors: NDArray[np.float32] = field(default_factory=_no_vectors)
    """(k, d) vectors of the distinct texts; shared, never copied."""

    def __post_init__(self) -> None:
        events = {len(a) for a in (self.items, self.seconds, self.kinds, self.ratings, self.texts)}
        if len(self.offsets) < 1 or self.offsets[0] != 0 or events != {int(self.offsets[-1])}:
            raise ModelError(f"histories: offsets end at {self.offsets[-1:].tolist()}, events are {sorted(events)}")
        if (np.diff(self.offsets) < 0).any():
            raise ModelError("histories: offsets go down; sort the events by user")
        if self.texts.max(initial=NONE) >= len(self.text_vectors):
            raise ModelError(f"histories: a text points beyond the {len(self.text_vectors)} text vectors")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each user (n,)."""
        return np.diff(self.offsets)

    def between(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Histories:
        """The events of each user from place `starts` (n,) up to place `stops` (n,), counted within the history."""
        lengths = self.lengths
        starts = np.clip(starts, 0, lengths)
        kept = np.maximum(np.clip(stops, 0, lengths) - starts, 0)  # (n,)
        return self._take(kept, self.offsets[:-1] + starts)

    def _take(self, lengths: NDArray[np.int64], starts: NDArray[np.int64]) -> Histories:
        """Histories made of `lengths` (n,) events each, from rows `starts` (n,) on."""
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        columns = {name: getattr(self, name)[rows] for name in ("items", "seconds", "kinds", "ratings", "texts")}
        return replace(self, offsets=offsets, **columns)

    def of(self, users: NDArray[np.int64]) -> Histories:
        """The histories of the users in places `users`, in that order."""
        lengths = self.lengths[users]
        return self._take(lengths, self.offsets[users])

    def gaps(self, last: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Seconds (e,) since the event before; since `last` (n,) for a first event; 0 where nothing came before.

        An event older than the one before it has gap 0: time does not run backwards.
        """
        before = np.concatenate(([0], self.seconds[:-1]))
        some = self.lengths > 0
        before[self.offsets[:-1][some]] = 0 if last is None else last[some]
        return np.where(before > 0, np.maximum(self.seconds - before, 0), 0)


def build_histories(
    events: pd.DataFrame,
    item_ids: Sequence[str],
    user_ids: Sequence[str],
    *,
    text_hashes: Sequence[str] = (),
    text_vectors: NDArray[np.float32] | None = None,
) -> Histories:
    """The histories of `user_ids`, in their order, from a frame of `schema.EVENTS` in any order.

    Items are numbered as in `item_ids`, texts as in `text_hashes`, whose vectors are `text_vectors` (k, d). Events of
    one second keep the order of the frame. An event about no known item stays where it has a known text; others
    are left out, and a user without events has an empty history. Raises `ModelError` for ids given twice.
    """
    vectors = _no_vectors() if text_vectors is None else text_vectors
    if len(vectors) != len(text_hashes):
        raise ModelError(f"histories: {len(text_hashes)} text hashes, but {len(vectors)} text vectors")
    users = _rows(events[schema.USER_ID.name], user_ids, "user")
    items = _rows(events[schema.ITEM_ID.name], item_ids, "item")
    texts = _rows(events[schema.TEXT_HASH.name], text_hashes, "text")
    kinds = _rows(events[schema.EVENTS["kind"].name], schema.KINDS, "kind")
    if (kinds == NONE).any():
        raise ModelError(f"histories: {(kinds == NONE).sum()} events of a kind that schema.KINDS does not name")
    seconds = pd.DatetimeIndex(pd.to_datetime(events[schema.EVENTS["event_time"].name], utc=True)).as_unit("s").asi8
    kept = np.flatnonzero((users != NONE) & ((items != NONE) | (texts != NONE)))
    rows = kept[np.lexsort((seconds[kept], users[kept]))]  # a stable sort: ties keep the frame's order
    return Histories(
        offsets=np.concatenate(([0], np.cumsum(np.bincount(users[rows], minlength=len(user_ids))))),
        items=items[rows].astype(np.int32),
        seconds=seconds[rows],
        kinds=kinds[rows].astype(np.int16),
        ratings=events[schema.EVENTS["rating"].name].to_numpy(np.float32, na_value=np.nan)[rows],
        texts=texts[rows].astype(np.int32),
        text_vectors=vectors,
    )


def of_sequences(sequences: Sequence[Sequence[int]], kind: str = "purchase") -> Histories:
    """Histories of which only the order of the item rows is known, one user a sequence."""
    items = np.concatenate([np.asarray(s, np.int32) for s in sequences] or [np.zeros(0, np.int32)])
    return Histories(
        offsets=np.concatenate(([0], np.cumsum([len(s) for s in sequences], dtype=np.int64))).astype(np.int64),
        items=items,
        seconds=np.zeros(len(items), np.int64),
        kinds=np.full(len(items), schema.KINDS.index(kind), np.int16),
        ratings=np.full(len(items), np.nan, np.float32),
        texts=np.full(len(items), NONE, np.int32),
    )


def _rows(values: pd.Series, ids: Sequence[str], what: str) -> NDArray[np.int64]:
    """Row of each value in `ids`, `NONE` where it is null or not among them."""
    index = pd.Index(ids, dtype=object)
    if not index.is_unique:
        raise ModelError(f"histories: {len(index) - index.nunique()} {what} ids are given twice")
    rows: NDArray[np.int64] = np.asarray(index.get_indexer(pd.Index(values, dtype=object)), np.int64)
    return rows
