"""Taking in a batch: read, check chunk by chunk, settle, keep; all of it or nothing.

`read_batch` puts the raw chunks into a spool, `check_chunk` judges one and knows nothing of the others, `settle_batch`
goes over the judged chunks in order and comes to a verdict, and `keep_batch` adds the batch to the history by moving
one head. A batch that is stopped waits in its spool until it is kept with a recorded override or discarded. `ingest`
is all of that in one process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks import schema
from tasks.columns import Table
from tasks.errors import BatchRefused, SettingsError, SourceError
from tasks.jobs import checking
from tasks.jobs.history import History, read_history, repeated
from tasks.jobs.spool import Spool
from tasks.jobs.workspace import Bag, open_store, parse_as_of, progress
from tasks.settings import Settings
from tasks.store import Ref

if TYPE_CHECKING:
    from tasks.sources import Mapping as ColumnMapping


def ingest(*, override: Mapping[str, str] | None = None, **batch: Any) -> Bag:
    """Take in one batch in this process; the arguments are those of `read_batch`.

    override: `by` and `why`, where the batch is to be kept even if a check would stop it. Raises `BatchRefused` where
    it is stopped; then nothing has changed.
    """
    return finish(read_batch(**batch), override=override)


def finish(plan: Bag, *, override: Mapping[str, str] | None = None) -> Bag:
    """Check, settle and keep a batch that was read, in this process; its spool is gone afterwards, come what may."""
    if plan["repeated"]:
        return plan
    with Spool(Settings().home, plan["spool"]).held():
        with progress("check", plan["rows"]) as update:
            for chunk in plan["chunks"]:
                update(check_chunk(plan, chunk)["rows"])
        settled = settle_batch(plan)
        report = report_batch(settled)
        if settled["stopped"] and not override:
            raise BatchRefused(f"{settled['stopped']}; the report is {report}")
        return keep_batch(plan, override=override if settled["stopped"] else None)


def read_batch(
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
    """Read a batch into a spool; gives its `batch_id`, the name of the `spool` and the numbers of its `chunks`.

    A batch of the same rows and mapping that was taken in before is a no-op: `repeated` is true and its own bag is
    given. So is a query with a watermark that finds nothing new. Where no catalogue was ever given, items are taken
    from the events that name them. Raises `SourceError` where a source cannot be read, `SettingsError` where `as_of`
    is no time or a query has no database.
    """
    from tasks.sources import digest_files, load_mapping, read_files

    if not (events or items or query):
        raise SourceError("nothing to take in: name event files, item files or a query")
    settings, when = Settings(), parse_as_of(as_of)
    if query and not (dsn or settings.source_dsn):  # libpq would go to whatever server is its default
        raise SettingsError(
            "PENCHANT_SOURCE_DSN is empty; set it to the libpq URI of the database that the query reads"
        )
    columns, history = load_mapping(mapping), read_history(open_store(settings))
    batch_id = "b" + digest_files([*items, *events, *([mapping] if mapping else [])])[:16]
    if not query and batch_id in history["batches"]:
        return repeated(history, batch_id)
    name = source or ", ".join(sorted({Path(p).name for p in (*items, *events)})) or "query"
    with Reading(settings, when, name, stream=source or "", digest=bool(query)) as reading:
        if mapping:
            reading.put_mapping(Path(mapping).read_text("utf-8-sig"))
        if items:
            reading.take(schema.ITEMS, read_files(items, columns, schema.ITEMS, chunk_rows=settings.chunk_rows))
        if events:
            reading.take(schema.EVENTS, read_files(events, columns, schema.EVENTS, chunk_rows=settings.chunk_rows))
        if query:
            new = _take_query(reading, history, columns, dsn or settings.source_dsn, query, watermark)
            batch_id = f"q{reading.digest}"
            if batch_id in history["batches"] or (not new and watermark and history["last"]):
                reading.drop()
                return repeated(history, batch_id if batch_id in history["batches"] else history["last"])
        return reading.plan(batch_id)


def check_chunk(plan: Mapping[str, Any], number: int) -> Bag:
    """Judge one chunk of events; safe to repeat and for chunks to be checked at once. Gives its number and `rows`."""
    return {"chunk": number, "rows": checking.judge(Settings(), plan, schema.EVENTS, number)}


def settle_batch(plan: Mapping[str, Any]) -> Bag:
    """Go over the judged chunks in order; gives counts by table and `stopped`, which says why a batch is stopped.

    Nothing of the history changes. Raises `ConservationError` where a row got lost or doubled, and `BatchRefused`
    where the batch is empty.
    """
    if plan["repeated"]:
        return {**plan, "stopped": ""}
    return checking.settle(Settings(), plan)


def report_batch(settled: Mapping[str, Any], *, run_url: str = "") -> str:
    """Write the report on a settled batch, kept or stopped; gives the path of its page."""
    from tasks.jobs.reports import write_report

    document = open_store(Settings()).read_json(
        Ref.from_json(settled.get("report") or settled["refs"]["quality_report"])
    )
    page = write_report(settled["batch_id"], document["parts"], refused=document["stopped"], run_url=run_url)
    return str(page)


def keep_batch(plan: Mapping[str, Any], *, override: Mapping[str, str] | None = None) -> Bag:
    """Add a settled batch to the history in one step; gives references to the whole history, this batch in it.

    override: who (`by`) keeps a stopped batch and `why`; it stands in the batch's record. Raises `BatchRefused` where
    the batch is stopped and nobody took that on himself.
    """
    return checking.keep(Settings(), plan, override)


def discard_batch(plan: Mapping[str, Any], *, by: str, why: str) -> None:
    """Give up a stopped batch: its raw rows are removed, and the history is as it was.

    Raises `BatchRefused` that says who (`by`) refused it and `why`; that is how a run learns of it.
    """
    Spool(Settings().home, plan["spool"]).remove()
    raise BatchRefused(
        f"batch {plan['batch_id']} was refused by {by} ({why or 'no reason given'}); nothing was changed"
    )


class Reading:
    """One batch on its way into a spool, which is removed where reading fails."""

    def __init__(
        self,
        settings: Settings,
        as_of: datetime,
        source: str,
        *,
        stream: str = "",
        digest: bool = False,
    ) -> None:
        self._settings = settings
        self._spool = Spool.new(settings.home)
        self._content = hashlib.blake2b(digest_size=8) if digest else None
        self._chunks: dict[str, list[int]] = {}
        self._taken: dict[str, int] = {}
        self.facts: dict[str, Any] = {"as_of": as_of.isoformat(), "source": source, "stream": stream}

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            self._spool.remove()

    @property
    def digest(self) -> str:
        """64-bit digest of the raw rows read so far; only where it was asked for."""
        if self._content is None:
            raise SourceError("the rows of this batch were not digested; ask for it with `digest=True`")
        return self._content.hexdigest()

    def put_mapping(self, text: str) -> Path:
        """Keep the mapping that the rows are read by, so that quarantined ones can be read again."""
        path = self._spool.path("mapping.yaml")
        path.write_text(text, encoding="utf-8")
        self.facts["mapping"] = text
        return path

    def take(self, table: Table, chunks: Iterable[pd.DataFrame]) -> int:
        """Put raw chunks aside; gives their rows."""
        numbers, taken = self._chunks.setdefault(table.name, []), 0
        with progress(f"read {table.name}", None) as update:
            for chunk in chunks:
                if self._content is not None:
                    self._content.update("\0".join(chunk[checking.ROW]).encode("utf-8", "backslashreplace"))
                self._spool.write_chunk(table.name, len(numbers), chunk)
                numbers.append(len(numbers))
                taken += len(chunk)
                update(len(chunk))
        self._taken[table.name] = taken
        return taken

    def drop(self) -> None:
        """Give the batch up."""
        self._spool.remove()

    def plan(self, batch_id: str) -> Bag:
        """What the tasks that check the batch need to know; the catalogue, where there is one, is judged here."""
        document = {**self.facts, "batch_id": batch_id, "chunks": self._chunks}
        self._spool.write_json(checking.PLAN, document)
        bag = {"batch_id": batch_id, "spool": self._spool.name, "as_of": document["as_of"], "repeated": False}
        for number in self._chunks.get(schema.ITEMS.name, ()):
            checking.judge(self._settings, bag, schema.ITEMS, number)
        self._spool.filled()
        events = self._chunks.get(schema.EVENTS.name, [])
        return {**bag, "chunks": events, "rows": self._taken.get(schema.EVENTS.name, 0)}


def _take_query(
    reading: Reading, history: History, columns: ColumnMapping, dsn: str, query: str, watermark: str | None
) -> bool:
    """Take the rows of a query, from the last watermark on; False where there are none."""
    from tasks.sources import read_query

    series = f"{query}|{watermark}"
    reader = read_query(
        dsn, query, columns, schema.EVENTS, chunk_rows=Settings().chunk_rows,
        watermark=watermark, since=history["watermarks"].get(series),
    )  # fmt: skip
    taken = reading.take(schema.EVENTS, reader)
    if watermark:
        reading.facts["watermarks"] = {series: reader.watermark}
    return taken > 0
