"""What the check writes down: rows for quarantine, lines of the ledger, and the summary for the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.columns import Table
from tasks.quality.expectations import GX_VERSION, expectation
from tasks.quality.rules import ROWS, UNREADABLE, Rule
from tasks.schema import LEDGER, QUARANTINE

OFFSET, SEVERITY = "offset", LEDGER["severity"].name
RULE, COLUMN, REASON = (QUARANTINE[name].name for name in ("rule", "column", "reason"))


@dataclass(frozen=True)
class Rows:
    """Rows of a batch: all that entered, and what became of them."""

    entered: int = 0
    accepted: int = 0
    quarantined: int = 0
    repeated: int = 0

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            self.entered + other.entered,
            self.accepted + other.accepted,
            self.quarantined + other.quarantined,
            self.repeated + other.repeated,
        )


def failures(rules: Iterable[Rule], broken: Mapping[str, NDArray[np.int64]], reported: pd.DataFrame) -> pd.DataFrame:
    """One line per row and rule it broke, in order of rows: `offset` of the row, rule, column, reason, severity.

    What the source reported stands first, because its reason knows more; it always keeps a row out.
    """
    severities = {rule.name: rule.severity for rule in rules}
    reported = reported.copy()
    reported[SEVERITY] = ["critical" if severities.get(n) == "critical" else "warning" for n in reported[RULE]]
    found = [
        pd.DataFrame({OFFSET: rows, RULE: rule.name, COLUMN: rule.column, REASON: rule.reason, SEVERITY: rule.severity})
        for rule in rules
        if rule.name != UNREADABLE and len(rows := broken[rule.key])
    ]
    lines = pd.concat([reported, *found], ignore_index=True) if found else reported
    return lines.drop_duplicates([OFFSET, RULE]).sort_values(OFFSET, kind="stable", ignore_index=True)


def quarantine(
    lines: pd.DataFrame,
    table: Table,
    positions: NDArray[np.int64],
    rows: Callable[[NDArray[np.int64]], list[str]],
    *,
    batch_id: str,
    source: str,
) -> pd.DataFrame:
    """Lines of `schema.QUARANTINE` for the failures that keep a row out; the row stands in each.

    positions: of the rows that `lines` count by offset, (n,). rows: gives the raw rows at some offsets.
    """
    stopping = lines[lines[SEVERITY] != "info"]
    at = stopping[OFFSET].to_numpy(dtype=np.int64)
    columns = {
        "batch_id": batch_id,
        "table": table.name,
        "position": positions[at],
        "source": source,
        RULE: stopping[RULE].to_numpy(dtype=object),
        COLUMN: stopping[COLUMN].to_numpy(dtype=object),
        REASON: stopping[REASON].to_numpy(dtype=object),
        "row": rows(at),
    }
    return pd.DataFrame({name: columns[name] for name in QUARANTINE.names})


def ledger(
    table: Table, rules: tuple[Rule, ...], failed: Mapping[str, int], rows: Rows, *, batch_id: str, as_of: datetime
) -> pd.DataFrame:
    """Lines of `schema.LEDGER`: the batch itself, each rule of the table, and each rule that the source reported."""
    severities = {rule.name: rule.severity for rule in rules if rule.name != UNREADABLE}
    names = {ROWS: "info", **severities, **dict.fromkeys(sorted(set(failed) - set(severities)), "warning")}
    frame = pd.DataFrame(
        {
            "batch_id": batch_id,
            "table": table.name,
            RULE: list(names),
            SEVERITY: list(names.values()),
            "rows_in": rows.entered,
            "rows_failed": [rows.quarantined if name == ROWS else failed.get(name, 0) for name in names],
            "rows_accepted": rows.accepted,
            "rows_quarantined": rows.quarantined,
            "rows_repeated": rows.repeated,
            "as_of": pd.Series([as_of] * len(names), dtype="datetime64[us, UTC]"),
        }
    )
    return frame[list(LEDGER.names)]


def summary(
    table: Table,
    rules: tuple[Rule, ...],
    broken: Mapping[str, int],
    failed: Mapping[str, int],
    rows: Rows,
    *,
    batch_id: str,
    source: str,
    as_of: datetime,
) -> dict[str, Any]:
    """The validation result as a JSON document: per expectation its bounds, counts and percentage; no values."""
    known = {rule.name for rule in rules}
    return {
        "batch_id": batch_id,
        "table": table.name,
        "source": source,
        "as_of": as_of.isoformat(),
        "great_expectations": GX_VERSION,
        "success": not rows.quarantined,
        "rows": {
            "in": rows.entered,
            "accepted": rows.accepted,
            "quarantined": rows.quarantined,
            "repeated": rows.repeated,
        },
        "expectations": [_line(rule, broken.get(rule.key, 0), rows.entered) for rule in rules],
        "reported": {name: count for name, count in sorted(failed.items()) if name not in known},
    }


def _line(rule: Rule, count: int, rows: int) -> dict[str, Any]:
    return {
        "expectation": expectation(rule).expectation_type,
        "rule": rule.name,
        "column": rule.column,
        "severity": rule.severity,
        "measured": rule.measured,
        "minimum": rule.minimum,
        "maximum": rule.maximum,
        "success": not count,
        "rows": rows,
        "unexpected": count,
        "unexpected_percent": round(100 * count / rows, 4) if rows else 0.0,
    }
