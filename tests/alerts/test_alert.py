"""An alert holds counts and names, says them shortly, and has no place for what people wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.alerts import Alert, Facts, as_name, cause, message, question, title
from tasks.errors import BatchRefused, PenchantError, SchemaError

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
FACTS = Facts(
    batch="b1",
    run="manual__2026-03-01T00:00:00+00:00",
    task="check_batch",
    error="BatchRefused",
    reason="too much of the batch is bad",
    rows=4000,
    rows_failed=312,
    rules={"bad_rating": 12, "unknown_item": 300},
    sources=("a.csv", "b.csv"),
    users=41,
    run_url="http://127.0.0.1:8080/dags/ingest_events/runs/r1?a=1&b=2",
    report_url="http://127.0.0.1:8080/reports/b1/",
)
FAILED = Alert(kind="failed", pipeline="ingest_events", source="shop", at=AT, incident="a-1", facts=FACTS)
PROSE = "I hate <b>this</b> kettle! Call me: 'anna'"


def test_it_says_what_how_many_which_rule_who_and_where() -> None:
    text = message(FAILED, "k").text
    assert title(FAILED) == "[Penchant] ingest_events (shop) failed: 312 of 4,000 rows (7.8%)"
    for said in (
        "Why: BatchRefused: too much of the batch is bad",
        "Rules: unknown_item 300, bad_rating 12",
        "Users affected: 41",
        "Sources: a.csv, b.csv",
        "Batch: b1",
        f"Run: {FACTS.run_url}",
        f"Report: {FACTS.report_url}",
        "When: 2026-03-01 09:30 UTC",
        "What to do: Open the run",
    ):
        assert said in text.splitlines() or any(line.startswith(said) for line in text.splitlines()), said


def test_a_recovery_says_what_it_ends() -> None:
    alert = Alert(kind="recovered", pipeline="score_hybrid", at=AT, was="failed", since=AT, times=3, incident="a-1")
    assert title(alert) == "[Penchant] score_hybrid has recovered"
    assert "Ended: failed, seen 3× since 2026-03-01 09:30 UTC" in message(alert, "k").text


def test_a_late_batch_says_how_late() -> None:
    alert = Alert(kind="overdue", pipeline="watch", at=AT, facts=Facts(waited_hours=30.25, allowed_hours=24))
    assert "Waited: 30.2 hours; 24 are allowed" in message(alert, "k").text


def test_long_lists_are_cut_and_counted() -> None:
    facts = Facts(rules={f"rule_{n}": n for n in range(12)}, sources=[f"s{n}" for n in range(7)])
    text = message(Alert(kind="failed", pipeline="p", at=AT, facts=facts), "k").text
    assert "rule_4 4 and 4 more" in text
    assert "s4 and 2 more" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))


def test_markup_in_a_reason_stays_words() -> None:
    facts = Facts(error="E", reason="<!channel> a & b <img src=x>", run_url=FACTS.run_url)
    said = message(Alert(kind="failed", pipeline="p", at=AT, facts=facts), "k")
    assert "&lt;!channel&gt; a &amp; b" in said.slack
    assert f"Run: <{FACTS.run_url.replace('&', '&amp;')}>" in said.slack
    tags = Tags()
    tags.feed(said.html)
    assert {tag for tag, _ in tags.seen} == {"p", "b", "table", "tr", "th", "td", "a"}
    assert [attrs["href"] for tag, attrs in tags.seen if tag == "a"] == [FACTS.run_url]


@pytest.mark.parametrize("name", ["batch", "run", "task", "error"])
def test_a_name_takes_no_prose(name: str) -> None:
    with pytest.raises(SchemaError) as refused:
        Facts(**{name: PROSE})
    assert "kettle" not in str(refused.value)


@pytest.mark.parametrize(
    "facts",
    [
        {"rules": {PROSE: 1}},
        {"sources": [PROSE]},
        {"rows": "many"},
        {"rows_failed": -1},
        {"users": [PROSE]},
        {"run_url": "javascript:alert(1)"},
        {"run_url": f"http://x/{PROSE}"},
        {"text": PROSE},
        {"batch": "x" * 101},
        {"batch": "two\nlines"},
    ],
    ids=str,
)
def test_nothing_else_fits_in(facts: dict[str, Any]) -> None:
    with pytest.raises(SchemaError) as refused:
        Facts(**facts)
    assert "kettle" not in str(refused.value)


@given(st.text(max_size=300))
def test_any_name_can_be_made_one(text: str) -> None:
    assert Facts(batch=as_name(text)).batch == as_name(text)


def test_only_our_own_errors_are_quoted() -> None:
    assert cause(ValueError(f"could not convert {PROSE!r}")) == {"error": "ValueError", "reason": ""}
    assert cause(BatchRefused("batch b1 is empty")) == {"error": "BatchRefused", "reason": "batch b1 is empty"}


def test_even_a_reason_of_ours_loses_what_looks_personal_and_stays_one_short_line() -> None:
    words = "line 3\nof anna@example.com, +86 138-0013-8000, card 4111 1111 1111 1111 on 2026-03-01 " + "x" * 500
    reason = Facts(**cause(PenchantError(words))).reason
    assert "anna" not in reason
    assert "0013" not in reason
    assert "4111" not in reason
    assert "2026-03-01" in reason
    assert reason.startswith("line 3 of … +")
    assert len(reason) <= 400


def test_an_alert_comes_back_from_json() -> None:
    assert Alert.model_validate_json(FAILED.model_dump_json()) == FAILED


def test_the_question_about_a_stopped_batch_counts_by_rule() -> None:
    subject, body = question(FACTS, "shop")
    assert subject == "Let in batch b1?"
    assert "**312 of 4,000 rows (7.8%)** failed. They belong to 41 users." in body
    assert body.index("| `unknown_item` | 300 |") < body.index("| `bad_rating` | 12 |")
    assert f"[Quality report]({FACTS.report_url})" in body
