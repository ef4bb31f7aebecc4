"""The part of the check that needs nothing but the chunk: any process may do it, in any order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.columns import Table
from tasks.errors import SettingsError
from tasks.quality.chunk import POSITION, ROW, Chunk, read
from tasks.quality.copies import sign, unsigned
from tasks.quality.expectations import Suite
from tasks.quality.judged import CONTENT, KEY, Judged, Tally
from tasks.quality.measures import Reading
from tasks.quality.records import COLUMN, OFFSET, RULE, failures, quarantine
from tasks.quality.rules import UNREADABLE, Changes, Rule, rules_for
from tasks.quality.seen import hashes
from tasks.schema import EVENTS


class Judge:
    """Judges chunks of rows that are meant for `table`; chunks of one batch may go to many of them.

    as_of: end of the data interval, UTC. known_items: ids that exist; None where nobody knows, and then no item is
    unknown. changes: to the severities and bounds of rules (see `rules_for`). Raises `SettingsError`
    where one makes no sense.
    """

    def __init__(
        self,
        table: Table,
        *,
        batch_id: str,
        source: str,
        as_of: datetime,
        future_tolerance_hours: float,
        known_items: Iterable[str] | None = None,
        changes: Changes | None = None,
    ) -> None:
        if as_of.tzinfo is None:
            raise SettingsError("as_of has no time zone; give it one, such as +00:00")
        self.rules = rules_for(table, future_tolerance_hours=future_tolerance_hours, changes=changes)
        self._table, self._batch_id, self._source, self._as_of = table, batch_id, source, as_of
        self._known_items = None if known_items is None else pd.Index(sorted(set(known_items)), dtype=object)
        self._judged_here = tuple(rule for rule in self.rules if rule.measure)
        self._suite = Suite(table.name, self._judged_here)

    def judge(self, frame: pd.DataFrame) -> Judged:
        """Judge a chunk: `position`, `row`, the table's given columns and `problems` (see `tasks.quality.chunk`).

        Raises `BatchRefused` where columns or types are wrong, or where `position` does not increase.
        """
        chunk = read(frame, self._table)
        reading = Reading(chunk, self._as_of, self._known_items)
        broken = self._suite.judge({rule.key: measured(rule, reading) for rule in self._judged_here})
        sound = np.ones(len(chunk), dtype=bool)
        for rule in self._judged_here:
            if rule.severity != "info":
                sound[broken[rule.key]] = False
        lines = failures(self._judged_here, broken, chunk.problems)
        source = frame.attrs.get("source", self._source)
        positions = chunk.positions
        candidates = chunk.accepted(sound, self._batch_id)
        return Judged(
            self._table,
            candidates,
            self._marks(chunk, sound, candidates),
            *(sign(candidates) if self._table is EVENTS else unsigned()),
            quarantine(lines, self._table, positions, chunk.redacted_rows, batch_id=self._batch_id, source=source),
            Tally(
                rows=len(chunk),
                first=int(positions[0]) if len(chunk) else 0,
                last=int(positions[-1]) if len(chunk) else 0,
                source=source,
                failed={str(name): int(count) for name, count in lines[RULE].value_counts().items()},
                broken={key: len(rows) for key, rows in broken.items()},
            ),
        )

    def _marks(self, chunk: Chunk, sound: NDArray[np.bool_], candidates: pd.DataFrame) -> pd.DataFrame:
        keys, contents = hashes(candidates, self._table)
        rows = chunk.rows(np.flatnonzero(sound))
        return pd.DataFrame({POSITION: chunk.positions[sound], KEY: keys, CONTENT: contents, ROW: rows}, copy=False)


def judge_chunk(frame: pd.DataFrame, table: Table, **options: Any) -> Judged:
    """Judge one chunk with a `Judge` of its own, which `options` are for."""
    return Judge(table, **options).judge(frame)


def measured(rule: Rule, reading: Reading) -> NDArray[Any]:
    """The measurement of `rule`, silent about values, and whole rows, that the source itself could not read."""
    assert rule.measure
    values = rule.measure(reading)
    problems = reading.chunk.problems
    unread = (problems[COLUMN] == rule.column) | problems[COLUMN].isna()
    at = problems[OFFSET][unread].to_numpy(dtype=np.int64)
    if len(at) and rule.name != UNREADABLE:
        values = values.copy()
        values[at] = False if values.dtype == bool else np.nan
    return values
