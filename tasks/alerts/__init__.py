"""Alerts: what to say about a pipeline, when it is worth saying, and to whom.

`incidents` decides by edges (a pipeline that goes wrong, or right again), `alert` holds the counts and names that may
be said, `wording` says them, `outbox` remembers what was said to whom, `targets` carries it there.
"""

from tasks.alerts.alert import CONDITIONS, Alert, Facts, as_name, cause
from tasks.alerts.incidents import State, step
from tasks.alerts.outbox import Outbox
from tasks.alerts.targets import Target, deliver, read_targets
from tasks.alerts.wording import Message, message, question, title

__all__ = [
    "CONDITIONS",
    "Alert",
    "Facts",
    "Message",
    "Outbox",
    "State",
    "Target",
    "as_name",
    "cause",
    "deliver",
    "message",
    "question",
    "read_targets",
    "step",
    "title",
]
