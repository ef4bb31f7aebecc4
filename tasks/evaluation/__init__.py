"""Evaluation: splits, metrics, resampling, the evaluation card and the gate's verdict."""

from tasks.evaluation.card import card, markdown
from tasks.evaluation.gate import Verdict, verdict
from tasks.evaluation.metrics import coverage, from_lists, from_ranks, mid_ranks, of_lists
from tasks.evaluation.splits import halves, leave_one_out, refuse_leak, temporal
from tasks.evaluation.statistics import Paired, interval, paired

__all__ = [
    "Paired",
    "Verdict",
    "card",
    "coverage",
    "from_lists",
    "from_ranks",
    "halves",
    "interval",
    "leave_one_out",
    "markdown",
    "mid_ranks",
    "of_lists",
    "paired",
    "refuse_leak",
    "temporal",
    "verdict",
]
