"""Who did what with which item and when: each user's history in time order, and matrices made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from tasks import schema
from tasks.errors import LeakError
from tasks.scoring.ids import IdMap, Indices

KIND_WEIGHTS = {
    "purchase": 4.0,
    "review": 3.0,
    "rating": 3.0,
    "comment": 1.5,
    "question": 1.0,
    "click": 1.0,
    "chat": 0.5,
    "view": 0.5,
    "search": 0.5,
}
"""How much an event says that a person wants an item, by what it cost the person: money, then the work of writing an
opinion, then a word, then a click. Only the order matters much (Hu, Koren & Volinsky 2008 take counts the same way)."""

DAY = 86_400.0
NEUTRAL_RATING, RATING_SPAN = 2.5, 2.5
"""A rating turns a pair's weight: 5 → 1, 4 → 0.6, 3 → 0.2, 2 → −0.2, 1 → −0.6, so that what was disliked is never
counted as wanted; the neutral point lies between 2 and 3 because on most shops 3 of 5 is still an acceptance."""


@dataclass(frozen=True)
class Interactions:
    """Every user's events with items, flat and in time order; user `u` owns the slice `indptr[u]:indptr[u + 1]`.

    `items` (e,) int64 index; `days` (e,) float64 days since 1970, 0 throughout where only the order is known;
    `weights` (e,) float32, negative where the person disliked the item.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int64]
    days: NDArray[np.float64]
    weights: NDArray[np.float32]
    n_items: int
    as_of: datetime | None = None

    @classmethod
    def from_events(cls, events: pd.DataFrame, users: IdMap, items: IdMap, as_of: datetime) -> Interactions:
        """Histories from rows of `schema.EVENTS` that name an item; events at one time keep their order.

        Raises `LeakError` where an event is after `as_of`, `ModelError` where an id is in neither map.
        """
        late = int((events["event_time"] > as_of).sum())
        if late:
            raise LeakError(f"{late} events are after as_of {as_of.isoformat()}; cut the events before fitting")
        rows = events[events[schema.ITEM_ID.name].notna()]
        user, item = users.index(rows[schema.USER_ID.name]), items.index(rows[schema.ITEM_ID.name])
        days = rows["event_time"].to_numpy("datetime64[s]").astype(np.int64) / DAY
        weights = rows["kind"].map(KIND_WEIGHTS).to_numpy(np.float32)
        order = np.lexsort((days, user))  # stable: equal times keep the order of the frame
        rating = rows["rating"].to_numpy(np.float32)[order]
        user, item, days, weights = user[order], item[order], days[order], weights[order]
        turned = weights * _turn(user * len(items) + item, rating)
        return cls(_indptr(user, len(users)), item, days, turned, len(items), as_of)

    @classmethod
    def from_sequences(cls, sequences: Sequence[ArrayLike], n_items: int) -> Interactions:
        """Histories where only the order is known: one sequence of item indices a user, every event of weight 1."""
        lengths = np.array([len(np.atleast_1d(s)) for s in sequences], dtype=np.int64)
        items = np.concatenate([np.atleast_1d(s) for s in sequences]) if len(sequences) else np.empty(0)
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        events = int(indptr[-1])
        ones = np.ones(events, np.float32)
        return cls(indptr, items.astype(np.int64), np.zeros(events), ones, n_items)

    @property
    def n_users(self) -> int:
        """Number of users, those without any event included."""
        return len(self.indptr) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each user `(n,)`."""
        return np.diff(self.indptr)

    @property
    def user_of(self) -> NDArray[np.int64]:
        """The user of each event `(e,)`."""
        return np.repeat(np.arange(self.n_users), self.lengths)

    @property
    def ages(self) -> NDArray[np.int64]:
        """How many events of the same user came after each event `(e,)`; 0 for the latest."""
        ends = np.repeat(self.indptr[1:], self.lengths)
        return np.asarray(ends - 1 - np.arange(len(self.items)), dtype=np.int64)

    def of(self, users: Indices) -> Interactions:
        """The same for `users` only, in their order: row `i` is `users[i]`."""
        lengths = self.lengths[users]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        take = np.repeat(self.indptr[:-1][users] - indptr[:-1], lengths) + np.arange(indptr[-1])
        picked = self.items[take], self.days[take], self.weights[take]
        return Interactions(indptr, *picked, self.n_items, self.as_of)

    def among(self, items: Indices) -> Interactions:
        """The events with `items` (k,), ascending, numbered by their place there; the same object where that is all."""
        if len(items) == self.n_items:
            return self
        place = np.full(self.n_items, -1, np.int64)
        place[items] = np.arange(len(items))
        kept = place[self.items] >= 0
        indptr = _indptr(self.user_of[kept], self.n_users)
        return Interactions(
            indptr, place[self.items[kept]], self.days[kept], self.weights[kept], len(items), self.as_of
        )

    def distinct(self) -> Interactions:
        """One event a pair, where the latest was and with the sum of its weights, so that steps count items, not
        clicks; the same object where no pair has two."""
        pair = self.user_of * self.n_items + self.items
        order = np.argsort(pair, kind="stable")
        last = np.append(np.diff(pair[order]) > 0, [True] * bool(len(pair)))
        if last.all():
            return self
        total = np.add.reduceat(self.weights[order], np.flatnonzero(np.append(True, last[:-1])))
        keep = np.sort(order[last])
        weights = np.empty(len(pair), np.float32)
        weights[order[last]] = total
        indptr = _indptr(self.user_of[keep], self.n_users)
        return Interactions(indptr, self.items[keep], self.days[keep], weights[keep], self.n_items, self.as_of)

    def matrix(self, values: NDArray[np.float32] | None = None) -> sparse.csr_matrix:
        """Sum of `values` (the weights where none are given) for each pair, CSR (n, m) float32, indices sorted."""
        data = self.weights if values is None else values
        matrix = sparse.csr_matrix((data, self.items, self.indptr), shape=(self.n_users, self.n_items), copy=True)
        matrix.sum_duplicates()
        return matrix

    def liked(self, decay: float = 1.0, cap: float | None = None) -> sparse.csr_matrix:
        """What each user liked, CSR (n, m): weight, at most `cap`, × `decay` per item touched later; no dislikes."""
        once = self.distinct()
        weights = np.clip(once.weights, 0, cap)
        matrix = once.matrix((weights * np.float32(decay) ** once.ages).astype(np.float32))
        matrix.eliminate_zeros()
        return matrix

    def seen(self) -> sparse.csr_matrix:
        """CSR (n, m) with 1 for each pair of the history, liked or not."""
        matrix = self.matrix(np.ones(len(self.items), np.float32))
        matrix.data[:] = 1
        return matrix

    def last_days(self) -> sparse.csr_matrix:
        """Day of the latest event of each pair, CSR (n, m) float64."""
        pairs = pd.DataFrame({"user": self.user_of, "item": self.items, "day": self.days})
        last = pairs.groupby(["user", "item"], sort=True)["day"].max()
        where = last.index.get_level_values("user"), last.index.get_level_values("item")
        return sparse.csr_matrix((last.to_numpy(), where), shape=(self.n_users, self.n_items))

    def latest(self) -> NDArray[np.int64]:
        """Each user's latest item `(n,)`, −1 without one."""
        latest = np.full(self.n_users, -1, np.int64)
        known = self.lengths > 0
        latest[known] = self.items[self.indptr[1:][known] - 1]
        return latest

    def counts(self) -> NDArray[np.int64]:
        """Distinct users of each item `(m,)`."""
        return np.bincount(self.seen().indices, minlength=self.n_items).astype(np.int64)


def _indptr(user: Indices, n: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n))]).astype(np.int64)


def _turn(pair: Indices, rating: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the pair's last rating makes of the weight of each of its events `(e,)`; 1 where it was never rated."""
    rated = ~np.isnan(rating)
    last = pd.Series(rating[rated]).groupby(pair[rated]).last()  # the caller sorted by time
    turn = pd.Series((last - NEUTRAL_RATING) / RATING_SPAN).reindex(pair).fillna(1.0)
    return np.asarray(turn.to_numpy(), dtype=np.float32)
