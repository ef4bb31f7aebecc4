"""The check that every row passes before anything else: rules from the schema, quarantine, ledger, conservation.

How the parts relate. `rules` computes the rules of a table from `tasks.schema`. Each rule measures one number per row
(`measures`: a column at a time, in Arrow and NumPy) and says between which bounds it must lie. `expectations` hands the
measurements of a chunk, and nothing else, to Great Expectations; the answer of its suite alone parts the rows.

A chunk is judged by itself, in any process (`judge`); what that gave (`judged`) is settled in the order of the batch
(`check`), because only there is known which row came first with an id (`seen`), which two rows cannot both do. Tests
hold the suite against GX's stock expectations on the raw columns, on random frames.
"""

from tasks.quality.check import BatchCheck, Checked, Settlement, Verdict
from tasks.quality.copies import Signed
from tasks.quality.judge import Judge, judge_chunk
from tasks.quality.judged import Judged
from tasks.quality.records import Rows
from tasks.quality.rules import Rule, Severity, rules_for
from tasks.quality.seen import Seen

__all__ = [
    "BatchCheck",
    "Checked",
    "Judge",
    "Judged",
    "Rows",
    "Rule",
    "Seen",
    "Settlement",
    "Severity",
    "Signed",
    "Verdict",
    "judge_chunk",
    "rules_for",
]
