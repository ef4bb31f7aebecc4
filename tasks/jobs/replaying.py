"""Replaying the quarantine: mended rows go through the same check again, as a batch of their own.

Each row of the quarantine can be replayed once. What breaks a rule again is quarantined anew, under the replay's own
batch, and can be replayed from there; so the rows that are still out are always those that nobody replayed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks import schema
from tasks.errors import SourceError
from tasks.jobs import intake
from tasks.jobs.history import History, read_history, repeated
from tasks.jobs.quarantined import PLACE, select
from tasks.jobs.workspace import Bag, open_store, parse_as_of
from tasks.settings import Settings
from tasks.store import Ref, Store

Place = tuple[str, str, int]
"""Batch, table and position of a row in the quarantine."""
TABLES = {table.name: table for table in (schema.ITEMS, schema.EVENTS)}


def replay(
    *,
    file: str | None = None,
    batch: str | None = None,
    rule: str | None = None,
    source: str | None = None,
    as_of: str,
    override: Mapping[str, str] | None = None,
) -> Bag:
    """Send quarantined rows through the check again: the mended ones in `file`, or as they are those that fit.

    file: what `quarantine` wrote as .jsonl, with `row` mended. Without it, the rows of `batch`, `rule` or `source`
    are taken as they are, such as after a catalogue arrived or a threshold moved. Gives the bag of `ingest`, with
    `already`: rows left out because they were replayed before. Where that is all of them nothing changes and
    `repeated` is true. Raises `SourceError` where a line of the file is none of the quarantine's.
    """
    return intake.finish(read_replay(file=file, batch=batch, rule=rule, source=source, as_of=as_of), override=override)


def read_replay(
    *,
    file: str | None = None,
    batch: str | None = None,
    rule: str | None = None,
    source: str | None = None,
    as_of: str,
) -> Bag:
    """Read the rows to replay into a spool, as `intake.read_batch` does; arguments and errors as of `replay`."""
    settings, when = Settings(), parse_as_of(as_of)
    store = open_store(settings)
    history = read_history(store)
    known = select(store, replayed=True).drop_duplicates(PLACE)
    waiting = {_place(line) for line in select(store)[PLACE].to_dict("records")}
    if file:
        chosen = _mended(Path(file), {_place(line) for line in known[PLACE].to_dict("records")})
    else:
        fitting = select(store, batch=batch, rule=rule, source=source).drop_duplicates(PLACE)
        chosen = {_place(line): str(line["row"]) for line in fitting.to_dict("records")}
    rows = {place: row for place, row in chosen.items() if place in waiting}
    already = len(chosen) - len(rows)
    if not rows:
        if history["last"] is None:
            raise SourceError("there is nothing to replay: no batch was taken in yet")
        return {**repeated(history, history["last"]), "already": already}
    # the places too: a row that comes back unmended is the same row, and yet another replay
    batch_id = "p" + hashlib.blake2b(json.dumps(sorted(rows.items())).encode(), digest_size=8).hexdigest()
    with intake.Reading(settings, when, "replay") as reading:
        _take(reading, rows, history, store, settings.chunk_rows)
        return {**reading.plan(batch_id), "already": already}


def _take(reading: intake.Reading, rows: Mapping[Place, str], history: History, store: Store, chunk_rows: int) -> None:
    """Read the rows as their batches' mapping says; remember, in order of position, where each came from."""
    from tasks.sources import load_mapping, read_rows

    mappings = {history["batches"][place[0]].get("mapping") for place in rows}
    if len(mappings) > 1:
        raise SourceError("these rows came in with different mappings; replay them batch by batch, with `--batch`")
    address = mappings.pop()
    columns = load_mapping(reading.put_mapping(store.read_json(Ref("mapping", address))["text"]) if address else None)
    origins = {name: sorted(place for place in rows if place[1] == name) for name in TABLES}
    for name, places in origins.items():
        if places:
            raw = [rows[place] for place in places]
            reading.take(TABLES[name], read_rows(raw, columns, TABLES[name], source="replay", chunk_rows=chunk_rows))
    reading.facts["origins"] = {name: places for name, places in origins.items() if places}


def _place(line: Mapping[str, Any]) -> Place:
    return str(line["batch_id"]), str(line["table"]), int(line["position"])


def _mended(path: Path, known: set[Place]) -> dict[Place, str]:
    """The rows of a file of mended rows, as JSON text, by where they came from."""
    rows: dict[Place, str] = {}
    for number, text in _lines(path):
        try:
            line = json.loads(text)
            place, row = _place(line), line["row"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SourceError(
                f"{path}: line {number} is not what `quarantine --out` wrote: an object with {', '.join(PLACE)} and row"
            ) from None
        if place not in known:
            raise SourceError(f"{path}: line {number} names a row that is not in the quarantine; export it again")
        if place in rows:
            raise SourceError(f"{path}: line {number} names the same row as an earlier one; keep one of them")
        rows[place] = json.dumps(row, ensure_ascii=False)
    if not rows:
        raise SourceError(f"{path}: there is no row in it")
    return rows


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((n, line) for n, line in enumerate(file, 1) if line.strip())
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; name a file that can be read") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: it is not UTF-8; save it as UTF-8") from None
