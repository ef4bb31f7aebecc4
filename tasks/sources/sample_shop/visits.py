"""Who looks at what, day by day: the cheap part of the shop, which alone carries state from one day to the next.

So a later window of days is reached by running the visits of all days before it and writing none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sources.sample_shop import rates
from tasks.sources.sample_shop.catalogue import Catalogue
from tasks.sources.sample_shop.people import People, people

Array = NDArray[Any]
NOTHING = -1
_PEOPLE, _ITEMS, _VISITS = 1, 2, 3
"""Streams of random numbers: what is drawn in one never moves what is drawn in another."""


@dataclass(frozen=True)
class World:
    """Everything that holds on every day: people, catalogue, and what only the shop's maker knows of the items.

    shelves: items of each theme (themes, widest theme), −1 beyond its end. appeal: logarithm of the popularity of the
    item in each place of a shelf, −inf beyond its end. quality: standard normal (items,).
    """

    seed: int
    catalogue: Catalogue
    people: People
    shelves: Array
    appeal: Array
    quality: Array

    def stream(self, *keys: int) -> np.random.Generator:
        """Random numbers of their own for `keys`."""
        return np.random.default_rng([self.seed, *keys])


@dataclass
class Memory:
    """The last item of each user (users,), NOTHING at first, and what each has seen (users, items)."""

    last: Array
    seen: Array


@dataclass(frozen=True)
class Visits:
    """The visits of one day, in order of user and time, (n,) each: who, and to what."""

    user: Array
    item: Array

    def __len__(self) -> int:
        return len(self.user)


def make_world(catalogue: Catalogue, users: int, seed: int) -> World:
    """The world of `seed`: the same items and people whatever window of days is asked for."""
    rng = np.random.default_rng([seed, _ITEMS])
    themes = len(catalogue.themes)
    theme_popularity = (1 + rng.permutation(themes)) ** -rates.THEME_SKEW
    groups = [np.flatnonzero(catalogue.theme == theme) for theme in range(themes)]
    shelves = np.full((themes, max(map(len, groups))), NOTHING)
    appeal = np.full(shelves.shape, -np.inf)
    for theme, group in enumerate(groups):
        shelves[theme, : len(group)] = group
        appeal[theme, : len(group)] = -rates.ITEM_SKEW * np.log1p(rng.permutation(len(group)))
    quality = rng.standard_normal(len(catalogue))
    folk = people(users, theme_popularity / theme_popularity.sum(), np.random.default_rng([seed, _PEOPLE]))
    return World(seed, catalogue, folk, shelves, appeal.astype(np.float32), quality)


def fresh_memory(world: World) -> Memory:
    """What everybody remembers before the first day: nothing."""
    return Memory(np.full(len(world.people), NOTHING), np.zeros((len(world.people), len(world.catalogue)), dtype=bool))


def visit(world: World, memory: Memory, day: int) -> Visits:
    """The visits of `day`; `memory` must be that of the evening before and is brought to this one."""
    rng = world.stream(_VISITS, day)
    comes = rng.random(len(world.people)) < -np.expm1(-world.people.sessions)
    users = np.flatnonzero(comes)
    lengths = np.minimum(rng.geometric(1 / rates.VISITS_PER_SESSION, len(users)), rates.MOST_VISITS)
    steps = []
    for step in range(lengths.max(initial=0)):
        here = users[lengths > step]
        steps.append((here, _next_items(world, memory, here, day, rng)))
    user = np.concatenate([here for here, _ in steps] or [users])
    item = np.concatenate([items for _, items in steps] or [users])
    order = np.argsort(user, kind="stable")
    return Visits(user[order], item[order])


def _next_items(world: World, memory: Memory, users: Array, day: int, rng: np.random.Generator) -> Array:
    """The next item of each of `users`, (n,): by habit the one that follows the last, else by interest."""
    follower = np.append(world.catalogue.follows, NOTHING)[memory.last[users]]  # the last entry answers NOTHING
    habit = rng.random(len(users)) < rates.HABIT
    habit &= (follower != NOTHING) & ~memory.seen[users, follower]
    bounds = np.cumsum(world.people.interests(users, day), axis=1)
    theme = (rng.random(len(users))[:, None] * bounds[:, -1:] >= bounds).sum(1).clip(max=bounds.shape[1] - 1)
    shelf = world.shelves[theme]
    appeal = world.appeal[theme] + np.log(rates.SEEN_WEIGHT) * memory.seen[users[:, None], shelf]
    chosen = (appeal + rng.gumbel(size=appeal.shape)).argmax(1)
    items = np.where(habit, follower, shelf[np.arange(len(users)), chosen])
    memory.seen[users, items] = True
    memory.last[users] = items
    return items
