"""The check of one batch, chunk by chunk, with the same verdict as in one piece.

A row is judged by all rules but those on identity; rows that keep them then claim their id in order, so that a bad
row never stands in the way of a good one with the same id. Nothing of a batch may be published before `finish`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.columns import Table
from tasks.errors import BatchRefused, ConservationError, SettingsError
from tasks.quality.chunk import Chunk, read
from tasks.quality.expectations import Suite
from tasks.quality.measures import Reading, outside
from tasks.quality.records import COLUMN, OFFSET, RULE, Rows, failures, ledger, quarantine, summary
from tasks.quality.rules import DUPLICATE, REPEAT, UNREADABLE, Rule, Severity, rules_for
from tasks.quality.seen import Claims, Seen, hashes
from tasks.schema import EVENTS

Mask = NDArray[np.bool_]


class Checked(NamedTuple):
    """What became of a chunk: accepted rows in the table's columns, and lines of `schema.QUARANTINE`."""

    accepted: pd.DataFrame
    quarantine: pd.DataFrame


@dataclass(frozen=True)
class Verdict:
    """What became of a batch.

    ledger: lines of `schema.LEDGER`. suite: the suite that judged, as Great Expectations writes it. summary: the
    outcome per expectation as a JSON document, with counts and no values.
    """

    rows: Rows
    ledger: pd.DataFrame
    suite: dict[str, Any]
    summary: dict[str, Any]


class BatchCheck:
    """Checks the rows of one batch that are meant for `table`.

    as_of: end of the data interval, UTC. known_items: ids that exist; None where nobody knows, and then no item is
    unknown. seen: rows accepted before; it is read, and left as it is. max_quarantine_share: largest share of bad rows.
    severities: by rule, instead of the built-in ones. Raises `SettingsError` where one makes no sense.
    """

    def __init__(
        self,
        table: Table,
        *,
        batch_id: str,
        source: str,
        as_of: datetime,
        future_tolerance_hours: float,
        max_quarantine_share: float,
        known_items: Iterable[str] | None = None,
        seen: Seen | None = None,
        severities: Mapping[str, Severity] | None = None,
    ) -> None:
        if as_of.tzinfo is None:
            raise SettingsError("as_of has no time zone; give it one, such as +00:00")
        self.rules = rules_for(table, future_tolerance_hours=future_tolerance_hours, severities=severities)
        self._table, self._batch_id, self._source, self._as_of = table, batch_id, source, as_of
        self._max_share = max_quarantine_share
        self._known_items = None if known_items is None else pd.Index(sorted(set(known_items)), dtype=object)
        self._claims = Claims(seen or Seen(), updates=table is not EVENTS)
        self._suite = Suite(table.name, self.rules)
        self._failed: Counter[str] = Counter()  # rows by name of rule
        self._broken: Counter[str] = Counter()  # rows by expectation
        self._rows = Rows()
        self._last = 0

    def add(self, frame: pd.DataFrame) -> Checked:
        """Check a chunk: `position`, `row`, the table's given columns and `problems` (see `tasks.quality.chunk`).

        Raises `BatchRefused` where columns or types are wrong, or where `position` does not increase.
        """
        chunk = read(frame, self._table)
        if len(chunk) and chunk.positions[0] <= self._last:
            raise BatchRefused(f"batch {self._batch_id!r}: `position` does not increase from chunk to chunk")
        self._last = int(chunk.positions[-1]) if len(chunk) else self._last
        return self._settle(chunk)

    def finish(self) -> Verdict:
        """The verdict on the whole batch.

        Raises `ConservationError` where a row got lost or doubled, and `BatchRefused` where the batch is empty, breaks
        a critical rule, or has too large a share of bad rows. `ledger` and `summary` can be asked even then.
        """
        rows = self._rows
        if rows.entered != rows.accepted + rows.quarantined + rows.repeated:
            raise ConservationError(f"batch {self._batch_id!r}: {rows} does not add up; nothing may be published")
        if not rows.entered:
            raise BatchRefused(f"batch {self._batch_id!r} from {self._source!r} is empty; nothing was changed")
        critical = sorted({r.name for r in self.rules if r.severity == "critical" and self._failed[r.name]})
        if critical:
            raise BatchRefused(f"{self._stopped()} a critical rule ({', '.join(critical)}) was broken")
        if rows.quarantined > self._max_share * rows.entered:
            raise BatchRefused(f"{self._stopped()} more than {self._max_share:.0%} of the rows are bad")
        return Verdict(rows, self.ledger(), self._suite.to_json(), self.summary())

    def ledger(self) -> pd.DataFrame:
        """What the batch came to so far: one line of `schema.LEDGER` for the batch and one for each rule."""
        return ledger(self._table, self.rules, self._failed, self._rows, batch_id=self._batch_id, as_of=self._as_of)

    def summary(self) -> dict[str, Any]:
        """What the batch came to so far, per expectation: bounds, counts, percentages; no value of any row."""
        return summary(
            self._table, self.rules, self._broken, self._failed, self._rows,
            batch_id=self._batch_id, source=self._source, as_of=self._as_of,
        )  # fmt: skip

    def _settle(self, chunk: Chunk) -> Checked:
        """Judge the rows and part them into accepted rows, rows for quarantine and repeats."""
        reading = Reading(chunk, self._as_of, self._known_items)
        measured = {rule.key: _measured(rule, reading) for rule in self.rules if rule.name not in (DUPLICATE, REPEAT)}
        sound = ~_any(len(chunk), (outside(measured[r.key], r.minimum, r.maximum) for r in self._stopping(measured)))
        candidates = chunk.accepted(sound, self._batch_id)
        conflicts, repeats = self._claims.settle(*hashes(candidates, self._table))
        reading = replace(reading, conflicts=_spread(conflicts, sound), repeats=_spread(repeats, sound))
        measured |= {rule.key: rule.measure(reading) for rule in self.rules if rule.key not in measured}

        broken = self._suite.judge(measured)
        bad = _any(len(chunk), (_mask(broken[rule.key], len(chunk)) for rule in self._stopping(measured)))
        repeat = _any(len(chunk), (_mask(broken[rule.key], len(chunk)) for rule in self.rules if rule.name == REPEAT))
        kept = (~bad & ~repeat)[sound]
        accepted = candidates if kept.all() else candidates[kept].reset_index(drop=True)
        lines = failures(chunk, self.rules, broken)
        self._failed.update(lines[RULE])
        self._broken.update({key: len(rows) for key, rows in broken.items()})
        self._rows += Rows(len(chunk), len(accepted), int(bad.sum()), int((repeat & ~bad).sum()))
        return Checked(
            accepted,
            quarantine(chunk, lines, batch_id=self._batch_id, source=chunk.frame.attrs.get("source", self._source)),
        )

    def _stopping(self, measured: Mapping[str, Any]) -> Iterable[Rule]:
        """Rules, of those measured, that keep a row from being accepted."""
        return (rule for rule in self.rules if rule.key in measured and rule.severity != "info")

    def _stopped(self) -> str:
        worst = ", ".join(f"{name} {count}" for name, count in self._failed.most_common() if name != REPEAT)
        return (
            f"batch {self._batch_id!r} from {self._source!r} is refused and nothing was changed: "
            f"{self._rows.quarantined} of {self._rows.entered} rows broke a rule ({worst});"
        )


def _measured(rule: Rule, reading: Reading) -> NDArray[Any]:
    """The measurement of `rule`, silent about values, and whole rows, that the source itself could not read."""
    values = rule.measure(reading)
    problems = reading.chunk.problems
    unread = (problems[COLUMN] == rule.column) | problems[COLUMN].isna()
    at = problems[OFFSET][unread].to_numpy(dtype=np.int64)
    if len(at) and rule.name != UNREADABLE:
        values = values.copy()
        values[at] = False if values.dtype == bool else np.nan
    return values


def _any(rows: int, masks: Iterable[Mask]) -> Mask:
    found = np.zeros(rows, dtype=bool)
    for mask in masks:
        found |= mask
    return found


def _mask(offsets: NDArray[np.int64], rows: int) -> Mask:
    mask = np.zeros(rows, dtype=bool)
    mask[offsets] = True
    return mask


def _spread(values: Mask, where: Mask) -> Mask:
    """`values` of the rows where `where`, False elsewhere."""
    spread = np.zeros(len(where), dtype=bool)
    spread[where] = values
    return spread
