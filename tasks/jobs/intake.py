"""Taking in a batch: read, check, keep; all of it or nothing.

Everything a batch brings is written aside as artifacts. The one thing that changes is the head `intake`, a small
document that names the history so far; it moves once, at the end, under a lock. A batch that is refused, or a process
that dies, leaves the head where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks import schema
from tasks.columns import Table
from tasks.errors import ArtifactError, SettingsError, SourceError
from tasks.jobs.workspace import Bag, bag_of, open_store, parse_as_of, progress
from tasks.settings import Settings
from tasks.store import Ref, Store

if TYPE_CHECKING:
    from tasks.quality import BatchCheck, Verdict
    from tasks.sources import Mapping as ColumnMapping

HEAD, REPORT = "intake", "quality_report"
HISTORIES = {t.name: t for t in (schema.EVENTS, schema.ITEMS, schema.QUARANTINE, schema.LEDGER)}


def ingest(
    *,
    events: Sequence[str] = (),
    items: Sequence[str] = (),
    mapping: str | None = None,
    source: str | None = None,
    as_of: str,
    dsn: str | None = None,
    query: str | None = None,
    watermark: str | None = None,
) -> Bag:
    """Check one batch and take in what is good; gives the whole history's references, counts and the batch's id.

    A batch of the same bytes and mapping that was taken in before is a no-op: `repeated` is true. So is a query with a
    watermark that finds nothing new. Where no catalogue was ever given, items are taken from the events that name
    them. Raises `SourceError` where a source cannot be read, `SettingsError` where `as_of` is no time or a query has
    no database, `BatchRefused` where too much of the batch is bad; then nothing has changed.
    """
    from tasks.sources import digest_files, load_mapping, read_files

    if not (events or items or query):
        raise SourceError("nothing to take in: name event files, item files or a query")
    settings, when = Settings(), parse_as_of(as_of)
    if query and not (dsn or settings.source_dsn):  # libpq would go to whatever server is its default
        raise SettingsError(
            "PENCHANT_SOURCE_DSN is empty; set it to the libpq URI of the database that the query reads"
        )
    store, columns = open_store(settings), load_mapping(mapping)
    with store.lock(HEAD):
        history = _history(store)
        batch_id = "b" + digest_files([*items, *events, *([mapping] if mapping else [])])[:16]
        if query:
            batch_id = f"q{len(history['batches']):06d}"
        if batch_id in history["batches"]:
            return {**history["batches"][batch_id], "batch_id": batch_id, "repeated": True}
        name = source or ", ".join(sorted({Path(p).name for p in (*items, *events)})) or "query"
        batch = _Batch(store, settings, history, batch_id, when, name)
        if items:
            batch.take(schema.ITEMS, read_files(items, columns, schema.ITEMS, chunk_rows=settings.chunk_rows))
        if events:
            batch.take(schema.EVENTS, read_files(events, columns, schema.EVENTS, chunk_rows=settings.chunk_rows))
        if query and not batch.take_query(columns, dsn or settings.source_dsn, query, watermark):
            return {**history["batches"][history["last"]], "batch_id": history["last"], "repeated": True}
        return {**batch.keep(), "batch_id": batch_id, "repeated": False}


def last_batch(store: Store) -> Bag:
    """What the last batch gave: references to the whole history; raises `ArtifactError` where there is none."""
    history = _history(store)
    if history["last"] is None:
        raise ArtifactError(f"no batch was taken in yet in {store.root.parent}; run `python -m tasks ingest` first")
    last: Bag = history["batches"][history["last"]]
    return last


class _Batch:
    """One batch on its way in: what it has brought so far, aside from the history."""

    def __init__(
        self, store: Store, settings: Settings, history: dict[str, Any], batch_id: str, as_of: datetime, source: str
    ) -> None:
        self._store, self._settings, self._history = store, settings, history
        self._id, self._as_of, self._source = batch_id, as_of, source
        self._brought: dict[str, list[Ref]] = {name: [] for name in HISTORIES}
        self._counts: dict[str, dict[str, Any]] = {}
        self._reports: dict[str, Any] = {}

    def take(self, table: Table, chunks: Iterator[pd.DataFrame]) -> None:
        """Check every chunk of `table` and write aside what was accepted and what was quarantined."""
        if table is schema.ITEMS:
            self._history["adopted"] = False
        check = self._check(table)
        with progress(f"check {table.name}", None) as update:
            for chunk in chunks:
                checked = check.add(chunk)
                if table is schema.EVENTS and self._history["adopted"]:
                    self._adopt(checked.accepted)
                self._put(table, checked.accepted)
                self._put(schema.QUARANTINE, checked.quarantine)
                update(len(chunk))
        verdict = check.finish()
        self._put(schema.LEDGER, verdict.ledger)
        self._counts[table.name] = _counts(verdict)
        self._reports[table.name] = verdict.summary

    def take_query(self, mapping: ColumnMapping, dsn: str, query: str, watermark: str | None) -> bool:
        """Check the rows of a query, from the last watermark on; False where all of them were taken in before."""
        from tasks.sources import read_query

        series = f"{query}|{watermark}"
        reader = read_query(
            dsn, query, mapping, schema.EVENTS, chunk_rows=self._settings.chunk_rows,
            watermark=watermark, since=self._history["watermarks"].get(series),
        )  # fmt: skip
        first = next(reader, None)
        if first is None and watermark:
            return False
        self.take(schema.EVENTS, chain([] if first is None else [first], reader))
        if watermark:
            self._history["watermarks"][series] = reader.watermark
        rows = self._counts[schema.EVENTS.name]["rows"]
        return not watermark or bool(rows["accepted"] + rows["quarantined"])

    def keep(self) -> Bag:
        """Add the batch to the history in one step; gives references to the whole history, this batch in it."""
        refs = {
            name: self._store.put_union(table, [*self._before(name), *self._brought[name]])
            for name, table in HISTORIES.items()
        }
        refs[REPORT] = self._store.put_json(REPORT, self._reports)
        result = bag_of(refs, as_of=self._as_of.isoformat(), counts=self._counts, source=self._source)
        batches = {**self._history["batches"], self._id: result}
        document = {**self._history, "batches": batches, "last": self._id}
        self._store.move_head(HEAD, self._store.put_json(HEAD, document))
        return result

    def _check(self, table: Table) -> BatchCheck:
        from tasks.quality import BatchCheck, Seen

        known = None
        if table is schema.EVENTS and not self._history["adopted"]:
            known = {i for frame in self._rows(schema.ITEMS, [schema.ITEM_ID.name]) for i in frame.iloc[:, 0]}
        return BatchCheck(
            table,
            batch_id=self._id,
            source=self._source,
            as_of=self._as_of,
            future_tolerance_hours=self._settings.future_tolerance_hours,
            max_quarantine_share=self._settings.max_quarantine_share,
            known_items=known,
            seen=Seen.of(self._rows(table, Seen.columns(table)), table),
        )

    def _adopt(self, accepted: pd.DataFrame) -> None:
        """Make items of the ids that events name and nobody has described."""
        from tasks.sources import items_from_events

        known = {i for frame in self._rows(schema.ITEMS, [schema.ITEM_ID.name]) for i in frame.iloc[:, 0]}
        named = items_from_events(accepted[~accepted[schema.ITEM_ID.name].isin(known)])
        self._put(schema.ITEMS, named.assign(**{schema.ITEMS["batch_id"].name: self._id}))

    def _before(self, name: str) -> list[Ref]:
        last = self._history["last"]
        return [Ref.from_json(self._history["batches"][last]["refs"][name])] if last else []

    def _rows(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        for ref in (*self._before(table.name), *self._brought[table.name]):
            yield from self._store.stream(ref, table, columns)

    def _put(self, table: Table, frame: pd.DataFrame) -> None:
        if len(frame):
            self._brought[table.name].append(self._store.put_frame(frame, table))


def _history(store: Store) -> dict[str, Any]:
    """What was taken in so far: batches by id, the last one's id, watermarks by query, whether items are adopted."""
    head = store.head(HEAD)
    return store.read_json(head) if head else {"batches": {}, "watermarks": {}, "last": None, "adopted": True}


def _counts(verdict: Verdict) -> dict[str, Any]:
    """Rows in, accepted, quarantined and repeated, and rows by rule that was broken."""
    rows, ledger = asdict(verdict.rows), verdict.ledger
    rule, failed = schema.LEDGER["rule"].name, schema.LEDGER["rows_failed"].name
    broken = ledger[(ledger[failed] > 0) & (ledger[rule] != "rows")]
    return {"rows": rows, "rules": {str(r): int(n) for r, n in zip(broken[rule], broken[failed], strict=True)}}
