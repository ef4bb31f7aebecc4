"""What every job shares: the store, a bag of references, the clock, and the memo of work already done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from tasks.errors import SettingsError
from tasks.settings import Settings
from tasks.store import Ref, Store

Bag = dict[str, Any]
"""JSON values that travel between jobs: `refs` (name → reference), `as_of` (ISO 8601) and small facts, never rows."""

Refs = dict[str, Ref]

CODE = "2"
"""Version of the computation: raise it when a job's result changes for the same input, so that no memo is reused."""


def open_store(settings: Settings) -> Store:
    """The artifact store below the settings' home."""
    return Store(settings.home / "artifacts")


def refs_of(bag: Mapping[str, Any]) -> Refs:
    """The references in a bag."""
    return {name: Ref.from_json(value) for name, value in bag["refs"].items()}


def bag_of(refs: Mapping[str, Ref], **facts: Any) -> Bag:
    """A bag of `refs` and `facts`."""
    return {"refs": {name: ref.to_json() for name, ref in refs.items()}, **facts}


def parse_as_of(text: str) -> datetime:
    """An ISO 8601 time as UTC; a time without an offset is UTC. Raises `SettingsError` where it is no time."""
    try:
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(f"as_of is not an ISO 8601 time: {text!r}; write it as 2026-03-01T00:00:00Z") from None


def once(store: Store, job: str, inputs: Mapping[str, Any], make: Callable[[], Refs]) -> Refs:
    """What `job` made from `inputs` before, or what `make` makes now; inputs are everything the result depends on."""
    return store.remembered(json.dumps([CODE, job, inputs], sort_keys=True, default=str), make)


def chosen(settings: Settings, *names: str) -> dict[str, Any]:
    """The named settings, as the part of a memo's inputs and of an artifact's `meta.json`."""
    return {name: getattr(settings, name) for name in names}


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], object]]:
    """A bar on standard error where a person watches, silence elsewhere; gives its `update`."""
    with tqdm(total=total, desc=what, disable=None, leave=False) as bar:
        yield bar.update
