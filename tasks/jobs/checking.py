"""The check of one batch, step by step, between its spool and the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks import schema
from tasks.columns import Table
from tasks.errors import BatchRefused
from tasks.jobs.history import HEAD, KEPT, History, kept_before, known_items, read_history, repeated
from tasks.jobs.settling import PROFILE, REPORT, Settling, history_address
from tasks.jobs.spool import Spool
from tasks.jobs.workspace import Bag, bag_of, open_store, parse_as_of
from tasks.settings import Settings
from tasks.store import Ref

if TYPE_CHECKING:
    from tasks.quality import Judged

PLAN, SETTLED, MAPPING = "plan", "settled", "mapping"
POSITION, ROW = schema.QUARANTINE["position"].name, schema.QUARANTINE["row"].name
ORDER = (schema.ITEMS, schema.EVENTS)


class Batch:
    """One batch in its spool, as of the history that there is now."""

    def __init__(self, settings: Settings, plan: Mapping[str, Any]) -> None:
        self.settings, self.store = settings, open_store(settings)
        self.spool = Spool(settings.home, plan["spool"])
        self.document = self.spool.read_json(PLAN)
        self.id, self.as_of = str(self.document["batch_id"]), parse_as_of(self.document["as_of"])

    @property
    def tables(self) -> list[Table]:
        """The tables that the batch brings rows for, the catalogue first: events may name only known items."""
        return [table for table in ORDER if table.name in self.document["chunks"]]

    def chunks(self, table: Table) -> list[int]:
        """Numbers of the chunks that are meant for `table`."""
        return list(self.document["chunks"].get(table.name, ()))

    def adopts(self, history: History) -> bool:
        """Whether items are taken from the events, because no catalogue was ever given."""
        return bool(history["adopted"]) and schema.ITEMS.name not in self.document["chunks"]

    def judge(self, table: Table, number: int, known: set[str] | None) -> int:
        """Judge one chunk and keep what that gave beside it; gives the chunk's rows."""
        from tasks.quality import judge_chunk

        frame = self.spool.read_chunk(table.name, number)
        judged = judge_chunk(
            frame,
            table,
            batch_id=self.id,
            source=self.document["source"],
            as_of=self.as_of,
            future_tolerance_hours=self.settings.future_tolerance_hours,
            known_items=known,
            changes=self.settings.rules,
        )
        judged.save(self.spool.path(_named("judged", table, number)))
        self.spool.write_json(_named("users", table, number), {"affected": _affected(frame, judged)})
        return len(frame)

    def judged(self, table: Table) -> Iterator[Judged]:
        """What judging gave, chunk by chunk, in order."""
        from tasks.quality import Judged

        for number in self.chunks(table):
            yield Judged.load(self.spool.path(_named("judged", table, number)), table)

    def affected(self, table: Table) -> set[str]:
        """Users whose rows did not pass by themselves."""
        found = (self.spool.read_json(_named("users", table, number))["affected"] for number in self.chunks(table))
        return {user for users in found for user in users}


def judge(settings: Settings, plan: Mapping[str, Any], table: Table, number: int) -> int:
    """Judge one chunk; gives its rows. Items that events may name are those of before and those of this batch."""
    batch = Batch(settings, plan)
    return batch.judge(table, number, _known(batch) if table is schema.EVENTS else None)


def settle(settings: Settings, plan: Mapping[str, Any]) -> Bag:
    """Settle every judged chunk against the history as it is now, and write aside what the batch brings.

    Gives counts by table, how many `users` wrote rows that do not pass, and `stopped`: why, or nothing.
    """
    batch = Batch(settings, plan)
    settled = Settling(batch).run()
    batch.spool.write_json(SETTLED, settled)
    return {key: settled[key] for key in ("batch_id", "counts", "stopped", "users", "source", "alarms", "report")}


def keep(settings: Settings, plan: Mapping[str, Any], override: Mapping[str, str] | None) -> Bag:
    """Move the head `intake` to a history with this batch in it; settle again where another batch came first.

    A batch that is in the history already is given as it stands there: whoever kept it died before he could say so.
    """
    batch_id, history = str(plan["batch_id"]), read_history(open_store(settings))
    if batch_id in history["batches"]:
        return repeated(history, batch_id)
    batch = Batch(settings, plan)
    with batch.store.lock(HEAD):
        settled = batch.spool.read_json(SETTLED)
        if settled["history"] != history_address(batch.store):
            settled = Settling(batch).run()
        if settled["stopped"] and not override:
            raise BatchRefused(settled["stopped"])
        history = read_history(batch.store)
        if settled["nothing_new"]:
            result = repeated(history, history["last"])
        else:
            result = _keep(batch, history, settled, override)
    batch.spool.remove()
    return result


def _keep(batch: Batch, history: History, settled: Mapping[str, Any], override: Mapping[str, str] | None) -> Bag:
    """The history with the batch in it; hold the lock of the head."""
    store = batch.store
    brought = {name: [Ref.from_json(ref) for ref in refs] for name, refs in settled["brought"].items()}
    refs = {name: store.put_union(table, [*kept_before(history, name), *brought[name]]) for name, table in KEPT.items()}
    refs[REPORT] = Ref.from_json(settled["report"])
    facts = {"as_of": batch.document["as_of"], "stream": batch.document["stream"]}
    facts |= {name: settled[name] for name in ("counts", "source", "alarms")}
    if settled["profile"]:
        facts["profile"] = store.put_json(PROFILE, settled["profile"]).to_json()
    if batch.document.get("mapping"):
        facts["mapping"] = store.put_json(MAPPING, {"text": batch.document["mapping"]}).version
    if override:
        facts["override"] = dict(override)
    result = bag_of(refs, **facts)
    document = {
        "batches": {**history["batches"], batch.id: result},
        "watermarks": {**history["watermarks"], **batch.document.get("watermarks", {})},
        "last": batch.id,
        "adopted": batch.adopts(history),
    }
    store.move_head(HEAD, store.put_json(HEAD, document))
    return {**result, "batch_id": batch.id, "repeated": False, "users": settled["users"], "report": settled["report"]}


def _known(batch: Batch) -> set[str] | None:
    """Items that events may name: those of before and those of this batch; None where nobody ever gave any."""
    history = read_history(batch.store)
    if batch.adopts(history):
        return None
    brought = {str(item) for judged in batch.judged(schema.ITEMS) for item in judged.candidates[schema.ITEM_ID.name]}
    return brought | known_items(batch.store, kept_before(history, schema.ITEMS.name))


def _affected(frame: pd.DataFrame, judged: Judged) -> list[str]:
    """Users that wrote the rows of a chunk that do not pass."""
    if schema.USER_ID.name not in frame:
        return []
    out = frame.loc[frame["position"].isin(judged.quarantine["position"]), schema.USER_ID.name]
    return sorted({str(user) for user in out.dropna()})


def _named(what: str, table: Table, number: int) -> str:
    """What is kept of a chunk beside it."""
    return f"{what}-{table.name}-{number:06d}"
