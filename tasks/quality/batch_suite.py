"""The findings on a whole batch before Great Expectations, and what is written down of them.

The frame it judges has one row, the batch, and a column for each measurement; suite, summary and ledger have the form
of those on rows, so that reports and questions treat both alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tasks.errors import BatchRefused
from tasks.quality.drift import Finding
from tasks.quality.expectations import GX_VERSION, Suite, document, expectation
from tasks.quality.records import Rows
from tasks.quality.rules import Rule
from tasks.schema import EVENTS, LEDGER

SUITE = "batch"


@dataclass(frozen=True)
class BatchVerdict:
    """What Great Expectations says of the findings on one batch.

    broken: the findings that are alarms. ledger: a line of `schema.LEDGER` for each finding; the rule judges the batch
    as a whole, so `rows_failed` is all rows that came, or none. suite, summary: as those of `tasks.quality.Verdict`.
    """

    batch_id: str
    findings: tuple[Finding, ...]
    broken: tuple[Finding, ...]
    ledger: pd.DataFrame
    suite: dict[str, Any]
    summary: dict[str, Any]

    def stop_if_critical(self) -> None:
        """Raise `BatchRefused` where a critical rule is broken; call it before anything is kept."""
        critical = [finding for finding in self.broken if finding.severity == "critical"]
        if critical:
            said = " ".join(f"{finding.rule}: {finding.sentence}" for finding in critical)
            raise BatchRefused(f"batch {self.batch_id!r} is refused and nothing was changed: {said}")


def judge(findings: Sequence[Finding], rows: Rows, *, batch_id: str, source: str, as_of: datetime) -> BatchVerdict:
    """The verdict on `findings` of the batch of `schema.EVENTS` that came to `rows`."""
    rules = tuple(_rule(finding) for finding in findings)
    outside = Suite(SUITE, rules).judge({one.rule: np.array([one.measurement]) for one in findings})
    broken = {rule for rule, found in outside.items() if len(found)}
    ledger = pd.DataFrame(
        {
            "batch_id": batch_id,
            "table": EVENTS.name,
            "rule": [finding.rule for finding in findings],
            "severity": [finding.severity for finding in findings],
            "rows_in": rows.entered,
            "rows_failed": [rows.entered if finding.rule in broken else 0 for finding in findings],
            "rows_accepted": rows.accepted,
            "rows_quarantined": rows.quarantined,
            "rows_repeated": rows.repeated,
            "as_of": pd.Series([as_of] * len(findings), dtype="datetime64[us, UTC]"),
        }
    )
    summary = {
        "batch_id": batch_id,
        "table": SUITE,
        "source": source,
        "as_of": as_of.isoformat(),
        "great_expectations": GX_VERSION,
        "success": not broken,
        "rows": {"in": 1, "accepted": 1, "quarantined": 0, "repeated": 0},
        "expectations": [_line(one, rule, one.rule in broken) for one, rule in zip(findings, rules, strict=True)],
        "reported": {},
    }
    alarms = tuple(finding for finding in findings if finding.rule in broken)
    return BatchVerdict(batch_id, tuple(findings), alarms, ledger[list(LEDGER.names)], document(SUITE, rules), summary)


def _rule(finding: Finding) -> Rule:
    return Rule(
        finding.rule, None, finding.measured, None, finding.sentence, maximum=finding.limit, severity=finding.severity
    )


def _line(finding: Finding, rule: Rule, broken: bool) -> dict[str, Any]:
    return {
        "expectation": expectation(rule).expectation_type,
        "rule": finding.rule,
        "column": None,
        "severity": finding.severity,
        "measured": finding.measured,
        "minimum": None,
        "maximum": finding.limit,
        "success": not broken,
        "rows": 1,
        "unexpected": int(broken),
        "unexpected_percent": 100.0 * broken,
        "effect": finding.effect,
        "p": finding.p,
        "sentence": finding.sentence,
    }
