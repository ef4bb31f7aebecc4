"""The question about a stopped batch shows counts only, and its answer says who, why and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from pipeline_override import ACCEPT, REFUSE, OverrideOperator, decision

from tasks.errors import SchemaError
from tasks.jobs import alerting

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
PLANTED = "anna says the kettle burnt her"
ROWS = {"entered": 40, "accepted": 30, "quarantined": 10, "repeated": 0}
STOPPED = {
    "batch_id": "b1",
    "source": "a.csv, items.jsonl",
    "stopped": "25% of the batch is bad",
    "counts": {
        "accepted_events": {"rows": ROWS, "rules": {"unknown_item": 7, "bad_rating": 3}},
        "accepted_items": {"rows": ROWS | {"entered": 5, "quarantined": 0}, "rules": {}},
    },
    "users": 4,
}


def answer(option: str, reason: str | None = None, user: dict[str, str] | None = None) -> dict[str, Any]:
    given = {} if reason is None else {"reason": reason}
    return {"chosen_options": [option], "params_input": given, "responded_at": AT, "responded_by_user": user}


@pytest.mark.parametrize(
    ("given", "decided"),
    [
        (answer(ACCEPT, " it is fine ", {"id": "7", "name": "admin"}), (True, "admin", "it is fine")),
        (answer(ACCEPT, "it is fine", {"id": "7", "name": ""}), (True, "7", "it is fine")),
        (answer(REFUSE, "no", {"id": "7", "name": "admin"}), (False, "admin", "no")),
        (answer(REFUSE, None, {"id": "7", "name": "admin"}), (False, "admin", "")),
        (answer(REFUSE, ""), (False, "nobody", "no answer in time")),
    ],
)
def test_an_answer_says_who_why_and_when(given: dict[str, Any], decided: tuple[bool, str, str]) -> None:
    found = decision(given)
    assert (found["accepted"], found["by"], found["why"], found["at"]) == (*decided, AT.isoformat())
    assert json.loads(json.dumps(found)) == found


def test_the_question_adds_up_the_tables() -> None:
    subject, body = alerting.question(STOPPED)
    assert subject == "Let in batch b1?"
    assert "**10 of 45 rows (22.2%)** failed. They belong to 4 users." in body
    assert "of `a.csv, items.jsonl`" in body
    assert "| `unknown_item` | 7 |\n| `bad_rating` | 3 |" in body


def test_the_question_takes_no_prose() -> None:
    counts = {"accepted_events": {"rows": ROWS, "rules": {f"{PLANTED}!": 1}}}
    with pytest.raises(SchemaError) as refused:
        alerting.question(STOPPED | {"counts": counts})
    assert "kettle" not in str(refused.value)


def test_silence_is_a_refusal_after_the_time_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_OVERRIDE_HOURS", "2")
    with DAG("d", schedule=None):
        operator = OverrideOperator(task_id="override", batch=STOPPED)
    assert operator.response_timeout == timedelta(hours=2)
    assert (operator.options, operator.defaults) == ([ACCEPT, REFUSE], [REFUSE])
    assert set(operator.params) == {"reason"}
