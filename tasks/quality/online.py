"""The check of a few rows at once, for events that arrive one by one: the same rules and bounds as a batch's check.

Great Expectations takes some 50 ms for its bookkeeping however few the rows are. Here each rule's own measurement is
held against its own bounds, which is all that the suite does too; a test holds the two to the same verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.columns import Table
from tasks.quality.chunk import read
from tasks.quality.judge import measured
from tasks.quality.measures import Reading, outside
from tasks.quality.records import COLUMN, OFFSET, REASON, RULE, SEVERITY, failures
from tasks.quality.rules import Changes, Rule, rules_for
from tasks.quality.seen import Hashes, hashes


@dataclass(frozen=True)
class Fault:
    """A rule that a row broke, and what a person needs to know to mend it, without the value."""

    rule: str
    column: str | None
    reason: str


@dataclass(frozen=True)
class Judged:
    """What became of a few rows: accepted ones in the table's columns; the faults of the others by row offset."""

    accepted: pd.DataFrame
    faults: dict[int, tuple[Fault, ...]]


class OnlineCheck:
    """Judges rows of `table` by all rules but those on identity, which need whoever keeps the rows."""

    def __init__(
        self,
        table: Table,
        *,
        known_items: pd.Index | None,
        future_tolerance_hours: float,
        changes: Changes | None = None,
    ) -> None:
        rules = rules_for(table, future_tolerance_hours=future_tolerance_hours, changes=changes)
        self._rules = tuple(rule for rule in rules if rule.measure)
        self._table, self._known_items = table, known_items

    def __call__(self, frame: pd.DataFrame, *, as_of: datetime, batch_id: str) -> Judged:
        """Judge a chunk as `tasks.sources` gives it; raises `BatchRefused` where its columns or types are wrong."""
        chunk = read(frame, self._table)
        reading = Reading(chunk, as_of, self._known_items)
        broken = {r.key: np.flatnonzero(outside(_measured(r, reading), r.minimum, r.maximum)) for r in self._rules}
        if not len(chunk.problems) and not any(len(rows) for rows in broken.values()):
            return Judged(chunk.accepted(np.ones(len(chunk), bool), batch_id), {})
        lines = failures(self._rules, broken, chunk.problems)
        lines = lines[lines[SEVERITY] != "info"]
        faults: dict[int, tuple[Fault, ...]] = {}
        for at, rule, column, reason in zip(*(lines[c] for c in (OFFSET, RULE, COLUMN, REASON)), strict=True):
            faults[int(at)] = (*faults.get(int(at), ()), Fault(rule, column, reason))
        sound = np.ones(len(chunk), bool)
        sound[list(faults)] = False
        return Judged(chunk.accepted(sound, batch_id), faults)


def _measured(rule: Rule, reading: Reading) -> NDArray[Any]:
    """The measurement of `rule`; where the source reported nothing there is nothing to be silent about."""
    if rule.measure and not len(reading.chunk.problems):
        return rule.measure(reading)
    return measured(rule, reading)


class Known:
    """Accepted rows by two sorted arrays of hashes (`Seen.merged`), 16 bytes a row; they may lie in mapped files."""

    def __init__(self, keys: Hashes, contents: Hashes) -> None:
        self._keys, self._contents = keys, contents

    def find(self, rows: pd.DataFrame, table: Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows (n,) have an id that is known, and which of those have another content than it has."""
        keys, contents = hashes(rows, table)
        at = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        known = self._keys[at] == keys if len(self._keys) else np.zeros(len(keys), bool)
        other = known & (self._contents[at] != contents) if len(self._keys) else known
        return np.asarray(known, bool), np.asarray(other, bool)
