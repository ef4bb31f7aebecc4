"""The history of what was taken in: one document under the head `intake`, moved once per batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from tasks import schema
from tasks.columns import Table
from tasks.errors import ArtifactError
from tasks.jobs.workspace import Bag
from tasks.store import Ref, Store

HEAD = "intake"
KEPT = {t.name: t for t in (schema.EVENTS, schema.ITEMS, schema.QUARANTINE, schema.REPLAYED, schema.LEDGER)}
"""Tables that grow with every batch; a batch's bag refers to the whole of each, its own rows in it."""

History = dict[str, Any]
"""`batches`: bag by batch id, oldest first; `last`: id of the newest; `watermarks` by query; `adopted`: whether items
are still taken from the events that name them, because no catalogue was ever given."""


def read_history(store: Store) -> History:
    """What was taken in so far."""
    head = store.head(HEAD)
    return store.read_json(head) if head else {"batches": {}, "watermarks": {}, "last": None, "adopted": True}


def last_batch(store: Store) -> Bag:
    """What the last batch gave: references to the whole history; raises `ArtifactError` where there is none."""
    history = read_history(store)
    if history["last"] is None:
        raise ArtifactError(f"no batch was taken in yet in {store.root.parent}; run `python -m tasks ingest` first")
    last: Bag = history["batches"][history["last"]]
    return last


def repeated(history: History, batch_id: str) -> Bag:
    """The bag of a batch that was taken in before."""
    return {**history["batches"][batch_id], "batch_id": batch_id, "repeated": True, "chunks": []}


def kept_before(history: History, name: str) -> list[Ref]:
    """The rows of a table as of the last batch: one reference, or none."""
    last = history["last"]
    refs = history["batches"][last]["refs"] if last else {}
    return [Ref.from_json(refs[name])] if name in refs else []


def rows(
    store: Store, refs: Sequence[Ref], table: Table, columns: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """The rows of several artifacts of one table, file by file."""
    for ref in refs:
        yield from store.stream(ref, table, columns)


def known_items(store: Store, refs: Sequence[Ref]) -> set[str]:
    """Ids of the items in `refs`."""
    return {str(i) for frame in rows(store, refs, schema.ITEMS, [schema.ITEM_ID.name]) for i in frame.iloc[:, 0]}
