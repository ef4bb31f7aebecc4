"""The step in which a person decides about a stopped batch: who, why and when are kept; silence is a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

from tasks.settings import Settings

ACCEPT, REFUSE = "Accept", "Refuse"
NOBODY = "nobody"
REASON = Param(
    "",
    source="task",
    type="string",
    title="Reason",
    description="Why the batch is let in; kept with your name. Required.",
)


class OverrideOperator(HITLOperator):
    """Asks in the Airflow UI whether a stopped batch is let in; gives `decision`'s answer.

    batch: the stopped batch's bag, as `tasks.jobs.alerting.question` takes it, or the output of the task that gives it.
    The question counts rows by rule and shows no value of any. Acceptance without a reason is asked for again. Without
    an answer within the setting `override_hours` the batch is refused.
    """

    template_fields: Sequence[str] = ("subject", "body", "batch")

    def __init__(self, *, batch: Any, **arguments: Any) -> None:
        limits = {"response_timeout": timedelta(hours=Settings().override_hours)}
        question = {"subject": "Let in a stopped batch?", "options": [ACCEPT, REFUSE], "defaults": REFUSE}
        # Airflow hands over the DAG's own params here, which are no fields of the question
        super().__init__(**{**question, **limits, **arguments, "params": {"reason": REASON}})
        self.batch = batch

    def execute(self, context: Any) -> Any:
        """Put the question and wait without a worker."""
        from tasks.jobs import alerting

        self.subject, self.body = alerting.question(self.batch)
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Read the answer, or ask again."""
        decided = decision(super().execute_complete(context, event))
        if decided["accepted"] and not decided["why"]:
            self.log.warning("the batch was accepted without a reason; the question is put again")
            self.execute(context)  # raises what makes the task wait
        return decided


def decision(answer: Mapping[str, Any]) -> dict[str, Any]:
    """`{"accepted", "by", "why", "at"}` of an answer as the operator gives it; by `nobody` where time ran out."""
    user, at = answer["responded_by_user"], answer["responded_at"]
    return {
        "accepted": answer["chosen_options"] == [ACCEPT],
        "by": (user["name"] or user["id"]) if user else NOBODY,
        "why": str((answer["params_input"] or {}).get("reason") or "").strip() if user else "no answer in time",
        "at": at.isoformat() if isinstance(at, datetime) else str(at),
    }
