"""One day of the sample shop: its rows as they are written, and what was planted in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sources.sample_shop.faults import plant
from tasks.sources.sample_shop.happenings import CHAT, KINDS, happenings
from tasks.sources.sample_shop.rows import ID, Rows, day_rows
from tasks.sources.sample_shop.visits import Memory, World, visit
from tasks.sources.sample_shop.voices import Voice
from tasks.sources.sample_shop.wording import texts

Array = NDArray[Any]
_FAULTS = 6


@dataclass(frozen=True)
class Shop:
    """A world and how it is written down. faults: share of rows to spoil; classes: the ways to spoil them."""

    world: World
    speech: tuple[Voice, ...]
    start: date
    faults: float
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Day:
    """Rows as written (n,), and the truth of the m ≤ n events they were made from.

    ids, themes (None for small talk), sentiment (NaN where none is told): (m,). users: who did something. places,
    faults: 0-based rows that were spoilt, and by which class. kinds: events of each kind. written: texts.
    """

    rows: Rows
    ids: Array
    themes: Array
    sentiment: Array
    users: Array
    places: Array
    faults: Array
    kinds: Counter[str]
    written: int

    def __len__(self) -> int:
        return len(self.rows[ID])


def make_day(shop: Shop, memory: Memory, day: int) -> Day:
    """What happens on `day`; `memory` is that of the evening before and is brought to this one."""
    world, catalogue = shop.world, shop.world.catalogue
    visits = visit(world, memory, day)
    events = happenings(world, visits, day)
    said, sentiment = texts(world, shop.speech, events, day)
    rows = day_rows(events, said, world.people.ids, catalogue.ids, day, shop.start)
    ids, places, faults = rows[ID], np.empty(0, np.int64), np.empty(0, object)
    themes = np.array(catalogue.themes, dtype=object)[catalogue.theme[events.item]]
    themes[events.kind == CHAT] = None
    if shop.classes:
        rows, places, faults = plant(rows, shop.classes, shop.faults, world.stream(_FAULTS, day))
    return Day(
        rows=rows,
        ids=ids,
        themes=themes,
        sentiment=sentiment,
        users=np.unique(events.user),
        places=places,
        faults=faults,
        kinds=Counter({kind: int((events.kind == at).sum()) for at, kind in enumerate(KINDS)}),
        written=sum(text is not None for text in said),
    )
