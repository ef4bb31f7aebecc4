"""The check of one batch, step by step, between its spool and the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import Table
from tasks.errors import BatchRefused
from tasks.jobs.history import HEAD, KEPT, History, kept_before, known_items, read_history, rows
from tasks.jobs.spool import Spool
from tasks.jobs.workspace import Bag, bag_of, open_store, parse_as_of
from tasks.settings import Settings
from tasks.store import Ref, Store

if TYPE_CHECKING:
    from tasks.quality import Judged, Settlement

PLAN, SETTLED, REPORT, MAPPING = "plan", "settled", "quality_report", "mapping"
POSITION, ROW = schema.QUARANTINE["position"].name, schema.QUARANTINE["row"].name
ORDER = (schema.ITEMS, schema.EVENTS)
"""The catalogue first: events may name only items that are known."""


class Batch:
    """One batch in its spool, as of the history that there is now."""

    def __init__(self, settings: Settings, plan: Mapping[str, Any]) -> None:
        self.settings, self.store = settings, open_store(settings)
        self.spool = Spool(settings.home, plan["spool"])
        self.document = self.spool.read_json(PLAN)
        self.id, self.as_of = str(self.document["batch_id"]), parse_as_of(self.document["as_of"])

    def chunks(self, table: Table) -> list[int]:
        """Numbers of the chunks that are meant for `table`."""
        return list(self.document["chunks"].get(table.name, ()))

    def adopts(self, history: History) -> bool:
        """Whether items are taken from the events, because no catalogue was ever given."""
        return bool(history["adopted"]) and schema.ITEMS.name not in self.document["chunks"]

    def judge(self, table: Table, number: int, known: set[str] | None) -> int:
        """Judge one chunk and keep what that gave beside it; gives the chunk's rows."""
        from tasks.quality import judge_chunk

        folder = self.spool.path(f"judged-{table.name}-{number:06d}")
        frame = self.spool.read_chunk(table.name, number)
        judged = judge_chunk(
            frame,
            table,
            batch_id=self.id,
            source=self.document["source"],
            as_of=self.as_of,
            future_tolerance_hours=self.settings.future_tolerance_hours,
            known_items=known,
        )
        judged.save(folder)
        self.spool.write_json(f"users-{table.name}-{number:06d}", {"affected": _affected(frame, judged)})
        return len(frame)

    def judged(self, table: Table) -> Iterator[Judged]:
        """What judging gave, chunk by chunk, in order."""
        from tasks.quality import Judged

        for number in self.chunks(table):
            yield Judged.load(self.spool.path(f"judged-{table.name}-{number:06d}"), table)


def judge(settings: Settings, plan: Mapping[str, Any], table: Table, number: int) -> int:
    """Judge one chunk; gives its rows. Items that events may name are those of before and those of this batch."""
    batch = Batch(settings, plan)
    return batch.judge(table, number, _known(batch) if table is schema.EVENTS else None)


def settle(settings: Settings, plan: Mapping[str, Any]) -> Bag:
    """Settle every judged chunk against the history as it is now, and write aside what the batch brings.

    Gives counts by table, how many `users` wrote rows that do not pass, and `stopped`: why, or nothing.
    """
    batch = Batch(settings, plan)
    settled = _Settling(batch).run()
    batch.spool.write_json(SETTLED, settled)
    return {key: settled[key] for key in ("batch_id", "counts", "stopped", "users", "source")}


def keep(settings: Settings, plan: Mapping[str, Any], override: Mapping[str, str] | None) -> Bag:
    """Move the head `intake` to a history with this batch in it; settle again where another batch came first.

    A batch that is in the history already is given as it stands there: whoever kept it died before he could say so.
    """
    batch_id, history = str(plan["batch_id"]), read_history(open_store(settings))
    if batch_id in history["batches"]:
        return {**history["batches"][batch_id], "batch_id": batch_id, "repeated": True}
    batch = Batch(settings, plan)
    with batch.store.lock(HEAD):
        settled = batch.spool.read_json(SETTLED)
        if settled["history"] != _address(batch.store):
            settled = _Settling(batch).run()
        if settled["stopped"] and not override:
            raise BatchRefused(settled["stopped"])
        history = read_history(batch.store)
        if settled["nothing_new"]:
            result = {**history["batches"][history["last"]], "batch_id": history["last"], "repeated": True}
        else:
            result = _keep(batch, history, settled, override)
    batch.spool.remove()
    return result


class _Settling:
    """One pass over the judged chunks: what the batch brings, in artifacts that nothing refers to yet."""

    def __init__(self, batch: Batch) -> None:
        self._batch, self._store = batch, batch.store
        self._history = read_history(batch.store)
        self._brought: dict[str, list[Ref]] = {name: [] for name in KEPT}
        self._counts: dict[str, Any] = {}
        self._reports: dict[str, Any] = {}
        self._stopped: list[str] = []
        self._affected: set[str] = set()

    def run(self) -> dict[str, Any]:
        """Settle all tables; gives a JSON document."""
        for table in ORDER:
            if table.name in self._batch.document["chunks"]:
                self._table(table)
        for number in self._batch.chunks(schema.EVENTS):
            self._affected.update(self._batch.spool.read_json(f"users-{schema.EVENTS.name}-{number:06d}")["affected"])
        events = self._counts.get(schema.EVENTS.name, {}).get("rows", {})
        fresh = events.get("accepted", 0) + events.get("quarantined", 0)
        return {
            "batch_id": self._batch.id,
            "source": self._batch.document["source"],
            "history": _address(self._store),
            "brought": {name: [ref.to_json() for ref in refs] for name, refs in self._brought.items()},
            "counts": self._counts,
            "reports": self._reports,
            "stopped": "; ".join(self._stopped),
            "users": len(self._affected),
            "nothing_new": bool(self._batch.document.get("watermarks") and self._history["last"] and not fresh),
        }

    def _table(self, table: Table) -> None:
        settlement = self._settlement(table)
        adopts = table is schema.EVENTS and self._batch.adopts(self._history)
        for judged in self._batch.judged(table):
            checked = settlement.settle(judged)
            self._affected |= _late(judged, checked.quarantine)
            if adopts:
                self._adopt(checked.accepted)
            self._put(table, checked.accepted)
            self._put(schema.QUARANTINE, checked.quarantine)
            self._put(schema.REPLAYED, _outcomes(self._batch, table, judged, checked.quarantine))
        try:
            settlement.finish()
        except BatchRefused as stopped:
            if not settlement.summary()["rows"]["in"]:  # an empty batch is no batch, whoever asks for it
                raise
            self._stopped.append(str(stopped))
        ledger = settlement.ledger()
        self._put(schema.LEDGER, ledger)
        self._counts[table.name] = _counts(settlement.summary()["rows"], ledger)
        self._reports[table.name] = settlement.summary()

    def _settlement(self, table: Table) -> Settlement:
        from tasks.quality import Seen, Settlement, rules_for

        settings = self._batch.settings
        before = rows(self._store, kept_before(self._history, table.name), table, Seen.columns(table))
        return Settlement(
            table,
            rules_for(table, future_tolerance_hours=settings.future_tolerance_hours),
            batch_id=self._batch.id,
            source=self._batch.document["source"],
            as_of=self._batch.as_of,
            max_quarantine_share=1.0 if self._batch.document.get("origins") else settings.max_quarantine_share,
            seen=Seen.of(before, table),
        )

    def _adopt(self, accepted: pd.DataFrame) -> None:
        """Make items of the ids that events name and nobody has described."""
        from tasks.sources import items_from_events

        name = schema.ITEMS.name
        known = known_items(self._store, [*kept_before(self._history, name), *self._brought[name]])
        named = items_from_events(accepted[~accepted[schema.ITEM_ID.name].isin(known)])
        self._put(schema.ITEMS, named.assign(**{schema.ITEMS["batch_id"].name: self._batch.id}))

    def _put(self, table: Table, frame: pd.DataFrame) -> None:
        if len(frame):
            self._brought[table.name].append(self._store.put_frame(frame, table))


def _keep(batch: Batch, history: History, settled: Mapping[str, Any], override: Mapping[str, str] | None) -> Bag:
    """The history with the batch in it; hold the lock of the head."""
    store = batch.store
    brought = {name: [Ref.from_json(ref) for ref in refs] for name, refs in settled["brought"].items()}
    refs = {name: store.put_union(table, [*kept_before(history, name), *brought[name]]) for name, table in KEPT.items()}
    refs[REPORT] = store.put_json(REPORT, settled["reports"])
    facts = {"as_of": batch.document["as_of"], "counts": settled["counts"], "source": settled["source"]}
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
    return {**result, "batch_id": batch.id, "repeated": False, "users": settled["users"]}


def _known(batch: Batch) -> set[str] | None:
    """Items that events may name: those of before and those of this batch; None where nobody ever gave any."""
    history = read_history(batch.store)
    if batch.adopts(history):
        return None
    brought = {str(item) for judged in batch.judged(schema.ITEMS) for item in judged.candidates[schema.ITEM_ID.name]}
    return brought | known_items(batch.store, kept_before(history, schema.ITEMS.name))


def _outcomes(batch: Batch, table: Table, judged: Judged, quarantine: pd.DataFrame) -> pd.DataFrame:
    """Lines of `schema.REPLAYED` for a chunk of a replay; none for any other batch."""
    origins = batch.document.get("origins", {}).get(table.name, [])[max(judged.tally.first - 1, 0) : judged.tally.last]
    out = set(quarantine["position"])
    lines = [
        [*origin, batch.id, "quarantined" if position in out else "accepted"]
        for position, origin in enumerate(origins, judged.tally.first)
    ]
    return pd.DataFrame(lines, columns=list(schema.REPLAYED.names))


def _affected(frame: pd.DataFrame, judged: Judged) -> list[str]:
    """Users that wrote the rows of a chunk that do not pass."""
    if schema.USER_ID.name not in frame:
        return []
    out = frame.loc[frame["position"].isin(judged.quarantine["position"]), schema.USER_ID.name]
    return sorted({str(user) for user in out.dropna()})


def _late(judged: Judged, quarantine: pd.DataFrame) -> set[str]:
    """Users whose rows passed by themselves and were stopped when the batch was settled."""
    if schema.USER_ID.name not in judged.candidates:
        return set()
    out = np.isin(judged.positions, quarantine["position"].to_numpy(dtype=np.int64))
    return {str(user) for user in judged.candidates.loc[out, schema.USER_ID.name]}


def _address(store: Store) -> str:
    """Which history there is now."""
    return str(store.head(HEAD) or "")


def _counts(in_all: Mapping[str, int], ledger: pd.DataFrame) -> dict[str, Any]:
    """Rows in, accepted, quarantined and repeated, and rows by rule that was broken."""
    rule, failed = schema.LEDGER["rule"].name, schema.LEDGER["rows_failed"].name
    broken = ledger[(ledger[failed] > 0) & (ledger[rule] != "rows")]
    return {
        "rows": {"entered" if name == "in" else name: number for name, number in in_all.items()},
        "rules": {str(r): int(n) for r, n in zip(broken[rule], broken[failed], strict=True)},
    }
