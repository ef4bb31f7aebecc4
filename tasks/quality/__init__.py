"""The check that every row passes before anything else: rules from the schema, quarantine, ledger, conservation.

How the parts relate. `rules` computes the rules of a table from `tasks.schema`. Each rule measures one number per row
(`measures`: a column at a time, in Arrow and NumPy) and says between which bounds it must lie. `expectations` hands the
measurements of a chunk, and nothing else, to Great Expectations; its suite decides which rows are out of bounds. The
check itself (`check`) applies the bounds only to learn which rows may claim an id (`seen`), which two rows cannot both
do; the suite then judges that claim too, and its answer alone parts the rows. Tests hold the suite against GX's stock
expectations on the raw columns, on random frames.
"""

from tasks.quality.check import BatchCheck, Checked, Verdict
from tasks.quality.records import Rows
from tasks.quality.rules import Rule, Severity, rules_for
from tasks.quality.seen import Seen

__all__ = ["BatchCheck", "Checked", "Rows", "Rule", "Seen", "Severity", "Verdict", "rules_for"]
