"""The check of one batch: judged chunks are settled in order, with the same verdict as in one piece.

A row is judged by all rules but those on identity (`judge`); rows that keep them then claim their id in order, so that
a bad row never stands in the way of a good one with the same id. Nothing of a batch may be published before `finish`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.columns import Table
from tasks.errors import BatchRefused, ConservationError
from tasks.quality.chunk import POSITION
from tasks.quality.copies import Copies, Signed
from tasks.quality.expectations import Suite, document
from tasks.quality.judge import Judge
from tasks.quality.judged import CONTENT, KEY, Judged, merged
from tasks.quality.measures import outside
from tasks.quality.records import COLUMN, OFFSET, REASON, RULE, Rows, failures, ledger, quarantine, summary
from tasks.quality.rules import DUPLICATE, NEAR_DUPLICATE, REPEAT, Changes, Rule
from tasks.quality.seen import Claims, Seen
from tasks.schema import EVENTS

_NOTHING_REPORTED = pd.DataFrame(columns=[OFFSET, RULE, COLUMN, REASON], dtype=object)


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


class Settlement:
    """Settles the judged chunks of one batch in their order and comes to a verdict.

    rules: those that the chunks were judged by. seen: rows accepted before; it is read, and left as it is. recent: the
    last texts accepted before, which new ones may be copies of. max_quarantine_share: largest share of bad rows.
    """

    def __init__(
        self,
        table: Table,
        rules: tuple[Rule, ...],
        *,
        batch_id: str,
        source: str,
        as_of: datetime,
        max_quarantine_share: float,
        seen: Seen | None = None,
        recent: Signed | None = None,
    ) -> None:
        self.rules = rules
        self._table, self._batch_id, self._source, self._as_of = table, batch_id, source, as_of
        self._max_share = max_quarantine_share
        self._settled_here = tuple(rule for rule in rules if not rule.measure)
        self._key = {rule.name: rule.key for rule in self._settled_here}
        self._seen = seen or Seen()
        self._claims = Claims(self._seen, updates=table is not EVENTS)
        self._copies = Copies(recent or Signed.none())
        self._suite = Suite(table.name, self._settled_here)
        self._failed: Counter[str] = Counter()  # rows by name of rule
        self._broken: Counter[str] = Counter()  # rows by expectation
        self._rows = Rows()
        self._last = 0

    def settle(self, judged: Judged) -> Checked:
        """Part the candidates of a chunk into accepted rows, rows for quarantine and repeats.

        Raises `BatchRefused` where the chunk does not come after the one before.
        """
        tally = judged.tally
        if tally.rows and tally.first <= self._last:
            raise BatchRefused(f"batch {self._batch_id!r}: `position` does not increase from chunk to chunk")
        self._last = tally.last if tally.rows else self._last

        broken = self._suite.judge(self._measured(judged))
        lines = failures(self._settled_here, broken, _NOTHING_REPORTED)
        late = quarantine(
            lines, self._table, judged.positions, judged.redacted_rows, batch_id=self._batch_id, source=tally.source
        )
        stopped = np.isin(judged.positions, late[POSITION].to_numpy(dtype=np.int64))
        repeat = np.zeros(len(stopped), dtype=bool)
        repeat[broken[self._key[REPEAT]]] = True
        kept = ~stopped & ~repeat
        accepted = judged.candidates if kept.all() else judged.candidates[kept].reset_index(drop=True)
        lines_of_chunk = merged(judged.quarantine, late)

        self._failed.update(tally.failed)
        self._failed.update(lines[RULE])
        self._broken.update(tally.broken)
        self._broken.update({key: len(rows) for key, rows in broken.items()})
        quarantined = lines_of_chunk[POSITION].nunique()
        self._rows += Rows(tally.rows, len(accepted), quarantined, int((repeat & ~stopped).sum()))
        return Checked(accepted, lines_of_chunk)

    def _measured(self, judged: Judged) -> dict[str, NDArray[Any]]:
        """The measurements that take earlier rows, by key of rule, (n,) each.

        A text that copies another's claims no id where that stops the row; a row that was accepted before copies none.
        """
        keys, contents = judged.hashes(KEY), judged.hashes(CONTENT)
        claims, measured = np.ones(len(keys), dtype=bool), {}
        if copied := next((rule for rule in self._settled_here if rule.name == NEAR_DUPLICATE), None):
            likeness = np.full(len(keys), np.nan)
            likeness[judged.compared] = self._copies.likeness(judged.signed())
            known, old = self._seen.find(keys)
            likeness[known & (old == contents)] = np.nan
            measured[copied.key] = likeness
            if copied.severity != "info":
                claims = ~outside(likeness, copied.minimum, copied.maximum)
        conflicts, repeats = np.zeros(len(keys), dtype=bool), np.zeros(len(keys), dtype=bool)
        conflicts[claims], repeats[claims] = self._claims.settle(keys[claims], contents[claims])
        return {**measured, self._key[DUPLICATE]: conflicts, self._key[REPEAT]: repeats}

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
        return Verdict(rows, self.ledger(), document(self._table.name, self.rules), self.summary())

    def ledger(self) -> pd.DataFrame:
        """What the batch came to so far: one line of `schema.LEDGER` for the batch and one for each rule."""
        return ledger(self._table, self.rules, self._failed, self._rows, batch_id=self._batch_id, as_of=self._as_of)

    def summary(self) -> dict[str, Any]:
        """What the batch came to so far, per expectation: bounds, counts, percentages; no value of any row."""
        return summary(
            self._table, self.rules, self._broken, self._failed, self._rows,
            batch_id=self._batch_id, source=self._source, as_of=self._as_of,
        )  # fmt: skip

    def _stopped(self) -> str:
        noted = {rule.name for rule in self.rules if rule.severity == "info"}
        worst = ", ".join(f"{name} {count}" for name, count in self._failed.most_common() if name not in noted)
        return (
            f"batch {self._batch_id!r} from {self._source!r} is refused and nothing was changed: "
            f"{self._rows.quarantined} of {self._rows.entered} rows broke a rule ({worst});"
        )


class BatchCheck(Settlement):
    """Judges and settles the rows of one batch that are meant for `table`, in one process.

    The arguments are those of `Judge` and of `Settlement`.
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
        recent: Signed | None = None,
        changes: Changes | None = None,
    ) -> None:
        self._judge = Judge(
            table, batch_id=batch_id, source=source, as_of=as_of, future_tolerance_hours=future_tolerance_hours,
            known_items=known_items, changes=changes,
        )  # fmt: skip
        super().__init__(
            table, self._judge.rules, batch_id=batch_id, source=source, as_of=as_of,
            max_quarantine_share=max_quarantine_share, seen=seen, recent=recent,
        )  # fmt: skip

    def add(self, frame: pd.DataFrame) -> Checked:
        """Check a chunk; see `Judge.judge` and `Settlement.settle`."""
        return self.settle(self._judge.judge(frame))
