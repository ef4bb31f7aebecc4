"""Writing the sample shop: a day at a time, so that memory holds one day and what people remember."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import SettingsError
from tasks.sources.sample_shop.catalogue import load_catalogue, write_items
from tasks.sources.sample_shop.days import Shop, make_day
from tasks.sources.sample_shop.faults import fault_classes as known_classes
from tasks.sources.sample_shop.phrases import load_phrases
from tasks.sources.sample_shop.rows import write_header, write_rows
from tasks.sources.sample_shop.truth import TruthWriter, planted, write_users
from tasks.sources.sample_shop.visits import fresh_memory, make_world, visit
from tasks.sources.sample_shop.voices import voices

DATA = Path(__file__).parent / "data"
MOST_FAULTS = 0.5
"""Largest share of faulty rows; every class must still find sound rows to spoil."""
OPENING_DAY = date(2026, 1, 1)
_TRUTH = ("truth.json", "truth_users.parquet", "truth_events.parquet", "truth_faults.parquet")
_FILES = ("items.jsonl", "events.csv", *_TRUTH)


def write_shop(
    out: Path,
    *,
    users: int,
    days: int,
    seed: int,
    faults: float = 0.0,
    start: date = OPENING_DAY,
    first_day: int = 0,
    fault_classes: Collection[str] | None = None,
    progress: Callable[[int], object] | None = None,
    data: Path = DATA,
) -> dict[str, Any]:
    """Write the days [first_day, first_day + days) of the shop of `seed` into the folder `out`.

    The same arguments give the same files, and without faults two windows that meet give the rows of the whole.
    users: people in the world. faults: share of rows that are spoilt, shared evenly among `fault_classes` (all where
    None; see `faults.FAULTS`). start: date of day 0. progress: called with 1 after each day that was written. data:
    folder with `catalogue.yaml` and `phrases.yaml`. Returns `as_of` (ISO, end of the last day), `counts` and `paths`.
    Raises `SettingsError` for an argument out of range and `SourceError` for unusable data; then nothing is written.
    """
    _refuse_odd(users, days, first_day, faults, seed)
    classes = known_classes(fault_classes) if faults else ()
    catalogue = load_catalogue(data)
    speech = voices(catalogue, load_phrases(data))
    world = make_world(catalogue, users, seed)
    as_of = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=first_day + days)
    out.mkdir(parents=True, exist_ok=True)
    aside = out / ".writing"  # moved into place when whole, so that nobody reads half a shop
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        write_items(catalogue, aside / "items.jsonl", start)
        write_users(world.people, aside / "truth_users.parquet")
        shop = Shop(world, speech, start, faults, classes)
        counts = _write_days(aside, shop, range(first_day, first_day + days), progress)
        truth = {
            **planted(catalogue),
            "as_of": as_of.isoformat(),
            "counts": counts,
            "seed": seed,
            "window": {"start": start.isoformat(), "first_day": first_day, "days": days},
            "faults": {"rate": faults, "classes": list(classes)},
        }
        (aside / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1), encoding="utf-8")
        for name in _FILES:
            (aside / name).replace(out / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return {"as_of": as_of.isoformat(), "counts": counts, "paths": {name: str(out / name) for name in _FILES}}


def _refuse_odd(users: int, days: int, first_day: int, faults: float, seed: int) -> None:
    """Raise `SettingsError` for the first argument that is out of range."""
    for name, value, least in (("users", users, 1), ("days", days, 1), ("first_day", first_day, 0), ("seed", seed, 0)):
        if value < least:
            raise SettingsError(f"sample shop: {name} is {value}; it must be at least {least}")
    if not 0 <= faults <= MOST_FAULTS:
        raise SettingsError(f"sample shop: faults is {faults}; it must lie between 0 and {MOST_FAULTS}")


def _write_days(folder: Path, shop: Shop, window: range, progress: Callable[[int], object] | None) -> dict[str, Any]:
    """Write the events of `window` and their truth; returns the counts. Days before the window are only lived."""
    world, memory, rows, texts = shop.world, fresh_memory(shop.world), 0, 0
    kinds, faults, active = Counter[str](), Counter[str](), np.zeros(len(world.people), dtype=bool)
    for day in range(window.start):
        visit(world, memory, day)
    with (folder / "events.csv").open("wb") as out, TruthWriter(folder) as truth:
        write_header(out)
        for day in window:
            made = make_day(shop, memory, day)
            write_rows(made.rows, out)
            truth.events(made.ids, made.themes, made.sentiment)
            truth.faults(rows + 1 + made.places, made.faults)
            kinds.update(made.kinds)
            faults.update(made.faults.tolist())
            active[made.users] = True
            rows, texts = rows + len(made), texts + made.written
            if progress:
                progress(1)
    people = {"users": len(world.people), "active_users": int(active.sum()), "items": len(world.catalogue)}
    events = {"rows": rows, "events": kinds.total(), "texts": texts}
    return {**events, **people, "kinds": dict(kinds), "faults": dict(faults)}
