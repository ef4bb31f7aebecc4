"""Settling a batch: judged chunks in order, the batch as a whole beside recent ones, and what stops it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import Table
from tasks.errors import BatchRefused
from tasks.jobs.history import HEAD, KEPT, kept_before, known_items, read_history, rows
from tasks.store import Ref, Store

if TYPE_CHECKING:
    from tasks.jobs.checking import Batch
    from tasks.quality import Judged, Settlement
    from tasks.quality.copies import Signed
    from tasks.quality.profile import Profile

REPORT, PROFILE = "quality_report", "batch_profile"


class Settling:
    """One pass over the judged chunks: what the batch brings, in artifacts that nothing refers to yet."""

    def __init__(self, batch: Batch) -> None:
        self._batch, self._store = batch, batch.store
        self._history = read_history(batch.store)
        self._brought: dict[str, list[Ref]] = {name: [] for name in KEPT}
        self._counts: dict[str, Any] = {}
        self._reports: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._alarms: list[str] = []
        self._profile: Profile | None = None
        self._stopped: list[str] = []
        self._affected: set[str] = set()

    def run(self) -> dict[str, Any]:
        """Settle all tables; gives a JSON document."""
        for table in self._batch.tables:
            self._table(table)
        self._whole()
        self._affected |= self._batch.affected(schema.EVENTS)
        events = self._counts.get(schema.EVENTS.name, {}).get("rows", {})
        fresh = events.get("accepted", 0) + events.get("quarantined", 0)
        stopped = "; ".join(self._stopped)
        report = self._store.put_json(REPORT, {"parts": self._reports, "stopped": stopped})
        return {
            "batch_id": self._batch.id,
            "source": self._batch.document["source"],
            "history": history_address(self._store),
            "brought": {name: [ref.to_json() for ref in refs] for name, refs in self._brought.items()},
            "counts": self._counts,
            "report": report.to_json(),
            "profile": self._profile.sealed().to_json() if self._profile else None,
            "stopped": stopped,
            "alarms": self._alarms,
            "users": len(self._affected),
            "nothing_new": bool(self._batch.document.get("watermarks") and self._history["last"] and not fresh),
        }

    def _table(self, table: Table) -> None:
        from tasks.quality.expectations import document
        from tasks.quality.profile import Profile

        settlement = self._settlement(table)
        adopts = table is schema.EVENTS and self._batch.adopts(self._history)
        for judged in self._batch.judged(table):
            checked = settlement.settle(judged)
            self._affected |= _late(judged, checked.quarantine)
            if table is schema.EVENTS:
                self._profile = (self._profile or Profile()) + Profile.of(checked.accepted)
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
        ledger, summary = settlement.ledger(), settlement.summary()
        self._put(schema.LEDGER, ledger)
        self._counts[table.name] = _counts(summary["rows"], ledger)
        self._reports.append((summary, document(table.name, settlement.rules)))

    def _whole(self) -> None:
        """Judge the batch as a whole beside the recent ones of its stream; a replay is only a handful of rows."""
        from tasks.jobs.comparing import compare_batch
        from tasks.quality import Rows

        if self._profile is None or self._batch.document.get("origins"):
            return
        batch, settings = self._batch, self._batch.settings
        severities: dict[str, Any] = {
            rule: change["severity"]
            for rule, change in settings.rules.items()
            if rule.startswith("batch_") and "severity" in change
        }
        verdict = compare_batch(
            self._profile,
            self._recent_profiles(),
            rows=Rows(**self._counts[schema.EVENTS.name]["rows"]),
            batch_id=batch.id,
            source=batch.document["source"],
            as_of=batch.as_of,
            settings=settings,
            severities=severities,
        )
        try:
            verdict.stop_if_critical()
        except BatchRefused as stopped:
            self._stopped.append(str(stopped))
        self._alarms = [f"{finding.rule}: {finding.sentence}" for finding in verdict.broken]
        self._put(schema.LEDGER, verdict.ledger)
        self._reports.append((verdict.summary, verdict.suite))

    def _recent_profiles(self) -> list[dict[str, Any]]:
        """Profiles of the latest batches of this stream that brought events, oldest first."""
        stream, wanted = self._batch.document["stream"], self._batch.settings.recent_batches
        bags = [bag for bag in self._history["batches"].values() if bag.get("profile") and bag["stream"] == stream]
        return [self._store.read_json(Ref.from_json(bag["profile"])) for bag in bags[-wanted:]]

    def _recent_texts(self) -> Signed:
        """The latest texts that new ones may copy; the newest files of the history are read until there are enough."""
        from tasks.quality.copies import Signed

        most, found = self._batch.settings.recent_texts, Signed.none()
        members = [m for ref in kept_before(self._history, schema.EVENTS.name) for m in self._store.members(ref)]
        for member in reversed(members):
            if len(found.users) >= most:
                break
            older = Signed.of(self._store.stream(member, schema.EVENTS, Signed.columns()), most=most)
            found = Signed(*(np.concatenate([a, b])[-most:] for a, b in zip(older, found, strict=True)))
        return found

    def _settlement(self, table: Table) -> Settlement:
        from tasks.quality import Seen, Settlement, rules_for

        settings = self._batch.settings
        before = rows(self._store, kept_before(self._history, table.name), table, Seen.columns(table))
        return Settlement(
            table,
            rules_for(table, future_tolerance_hours=settings.future_tolerance_hours, changes=settings.rules),
            batch_id=self._batch.id,
            source=self._batch.document["source"],
            as_of=self._batch.as_of,
            max_quarantine_share=1.0 if self._batch.document.get("origins") else settings.max_quarantine_share,
            seen=Seen.of(before, table),
            recent=self._recent_texts() if table is schema.EVENTS else None,
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


def _outcomes(batch: Batch, table: Table, judged: Judged, quarantine: pd.DataFrame) -> pd.DataFrame:
    """Lines of `schema.REPLAYED` for a chunk of a replay; none for any other batch."""
    origins = batch.document.get("origins", {}).get(table.name, [])[max(judged.tally.first - 1, 0) : judged.tally.last]
    out = set(quarantine["position"])
    lines = [
        [*origin, batch.id, "quarantined" if position in out else "accepted"]
        for position, origin in enumerate(origins, judged.tally.first)
    ]
    return pd.DataFrame(lines, columns=list(schema.REPLAYED.names))


def _late(judged: Judged, quarantine: pd.DataFrame) -> set[str]:
    """Users whose rows passed by themselves and were stopped when the batch was settled."""
    if schema.USER_ID.name not in judged.candidates:
        return set()
    out = np.isin(judged.positions, quarantine["position"].to_numpy(dtype=np.int64))
    return {str(user) for user in judged.candidates.loc[out, schema.USER_ID.name]}


def history_address(store: Store) -> str:
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
