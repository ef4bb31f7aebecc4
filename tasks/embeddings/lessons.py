"""What the sequence model learns from a set of histories, and what it is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.embeddings.histories import NONE, Histories
from tasks.embeddings.sequence import SequenceModel
from tasks.embeddings.steps import packed
from tasks.errors import NotEnoughData

BUCKET = 50
"""Batches sorted by length together: long and short histories seldom share a batch, and batches still vary."""
BLOCK = 512
"""Held-out users tried at a time."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Lessons:
    """The next new item after each of e events of n users, less the last one of the users that are held out."""

    histories: Histories
    targets: Rows
    """(e,) item that comes next, `NONE` where nothing is learned."""
    held_out: Histories
    """Of v users, what came before the item that the model is tried on."""
    answers: Rows
    """(v,) that item."""

    def batches(self, users: int, max_length: int, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
        """Rows (s,) and sizes (t,) of packed batches of the latest `max_length` events, each user once, shuffled."""
        lengths = np.minimum(self.histories.lengths, max_length)  # (n,)
        starts = self.histories.offsets[1:] - lengths
        taught = np.concatenate(([0], np.cumsum(self.targets != NONE)))  # (e + 1,)
        order = rng.permutation(np.flatnonzero(taught[starts + lengths] > taught[starts]))
        made = []
        for first in range(0, len(order), BUCKET * users):
            bucket = order[first : first + BUCKET * users]
            bucket = bucket[np.argsort(-lengths[bucket], kind="stable")]
            made += [bucket[i : i + users] for i in range(0, len(bucket), users)]
        for place in rng.permutation(len(made)):
            yield packed(starts[made[place]], lengths[made[place]])

    def ndcg(self, model: SequenceModel) -> float | None:
        """NDCG of the answers, each ranked among all items that are new to its user; None where none is held out.

        Not cut at a rank: cut at 10, the few users it still counts made training stop after one epoch in two fits of
        four on 1,429 users.
        """
        gains = [self._gains(model, first) for first in range(0, len(self.answers), BLOCK)]
        return float(np.concatenate(gains).mean()) if gains else None

    def _gains(self, model: SequenceModel, first: int) -> NDArray[np.float64]:
        """1 / log2(1 + rank) of each answer of one block."""
        block = self.held_out.of(np.arange(first, min(first + BLOCK, len(self.answers))))
        scores = model.scores(model.states(block).h)  # (b, m)
        answers = self.answers[first : first + BLOCK]
        wanted = scores[np.arange(len(block)), answers]
        met = block.items != NONE
        scores[np.repeat(np.arange(len(block)), block.lengths)[met], block.items[met]] = -np.inf
        above, level = (scores > wanted[:, None]).sum(1), (scores == wanted[:, None]).sum(1)  # (b,)
        ranks = above + (1 + level) / 2  # the middle of those that score the same
        gains: NDArray[np.float64] = 1 / np.log2(1 + ranks)
        return gains


def lessons_from(
    histories: Histories, validation_share: float, rng: np.random.Generator, answers: Rows | None = None
) -> Lessons:
    """The lessons of `histories`, the last one of `validation_share` of the users held out.

    Where `answers` (n,) are given, the item that each user took after the history, `NONE` where that is not known,
    all lessons are learned and the model is tried on those. Raises `NotEnoughData` where nothing is left to learn.
    """
    upcoming = next_new_items(histories)  # (e,)
    targets = np.where(upcoming == NONE, NONE, histories.items[upcoming]).astype(np.int64)
    users = np.repeat(np.arange(len(histories)), histories.lengths)  # (e,)
    last = np.full(len(histories), NONE)  # (n,): row of each user's last new item
    np.maximum.at(last, users, upcoming)
    able = np.flatnonzero(last != NONE) if answers is None else np.zeros(0, np.int64)
    tried = np.sort(rng.permutation(able)[: round(len(able) * validation_share)])
    targets[np.isin(users, tried) & (upcoming == last[users])] = NONE
    if not (targets != NONE).any():
        raise NotEnoughData("sequence model: too few users have two different items to learn from; take in more events")
    if answers is not None:
        known = np.flatnonzero(answers != NONE)
        return Lessons(histories, targets, histories.of(known), answers[known])
    ends = last[tried]
    before = histories.of(tried).between(np.zeros_like(ends), ends - histories.offsets[tried])
    return Lessons(histories, targets, before, histories.items[ends].astype(np.int64))


def next_new_items(histories: Histories) -> Rows:
    """Row (e,) of the event that brings each event's user the next item that is new to them, `NONE` after the last.

    New items only, because what a user had is not recommended again.
    """
    events = len(histories.items)
    users = np.repeat(np.arange(len(histories)), histories.lengths)  # (e,)
    about = np.flatnonzero(histories.items != NONE)
    pairs = users[about] * (int(histories.items.max(initial=0)) + 1) + histories.items[about]
    first = about[np.unique(pairs, return_index=True)[1]]  # rows of first encounters
    upcoming = np.full(events + 1, events)
    upcoming[first] = first
    upcoming = np.minimum.accumulate(upcoming[::-1])[::-1][1:]  # (e,): first encounter after each row, whoever's
    return np.where(upcoming < histories.offsets[users + 1], upcoming, NONE)
