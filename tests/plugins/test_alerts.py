"""Callbacks say what may be said and no more; Airflow connections become addresses."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pipeline_alerts
import pytest
from airflow.sdk import Connection

from tasks.errors import BatchRefused
from tasks.jobs import alerting
from tests.alerts.servers import Hooked, smtp, webhook

SECRET, PLANTED = "s3cr3t-w0rd", "anna says the kettle burnt her"
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def hooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooked]:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path))
    monkeypatch.setattr(pipeline_alerts, "run_url", lambda *names: "http://127.0.0.1:8080/" + "/".join(names))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with webhook() as hooked:
        monkeypatch.setenv("PENCHANT_ALERT_TARGETS", hooked.address(SECRET))
        yield hooked


def task(error: BaseException | str | None, run: str = "r1") -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="ingest_events", run_id=run, task_id="check_batch")
    return {"ti": ti, "exception": error, "params": {"source": "shop"}}


def run(name: str = "r1", ended: datetime | None = None) -> dict[str, Any]:
    ending = {"dag_run": SimpleNamespace(end_date=ended)} if ended else {}
    dag = SimpleNamespace(dag_id="ingest_events")
    return {"dag": dag, "run_id": name, "reason": "task_failure", "params": {"source": "shop"}, **ending}


def test_task_and_run_tell_of_one_failure_and_a_good_run_ends_it(hooked: Hooked) -> None:
    pipeline_alerts.task_failed(task(BatchRefused("batch b1 is empty")))
    pipeline_alerts.run_failed(run())
    pipeline_alerts.run_succeeded(run("r2"))
    failed, recovered = hooked.texts
    assert failed.startswith("*[Penchant] ingest_events (shop) failed*")
    assert "Why: BatchRefused: batch b1 is empty" in failed
    assert "Task: check_batch" in failed
    assert "Run: <http://127.0.0.1:8080/ingest_events/r1/check_batch>" in failed
    assert recovered.startswith("*[Penchant] ingest_events (shop) has recovered*")
    assert "Run: <http://127.0.0.1:8080/ingest_events/r2>" in recovered


def test_a_task_that_was_killed_is_told_of_by_its_run(hooked: Hooked) -> None:
    pipeline_alerts.run_failed({name: run()[name] for name in ("dag", "run_id", "reason")})
    assert len(hooked.texts) == 1


@pytest.mark.parametrize("error", [ValueError(PLANTED), PLANTED, KeyError(PLANTED)])
def test_words_that_are_not_ours_are_not_repeated(hooked: Hooked, error: BaseException | str) -> None:
    pipeline_alerts.task_failed(task(error))
    assert "kettle" not in hooked.texts[0] + json.dumps(alerting.status())


def test_a_callback_about_an_old_run_that_comes_late_says_nothing(hooked: Hooked) -> None:
    pipeline_alerts.run_succeeded(run("r2", AT + timedelta(hours=1)))
    pipeline_alerts.run_failed(run("r1", AT))
    assert hooked.posts == []


def test_a_stopped_batch_is_told_of_with_its_counts_and_its_failed_task_adds_nothing(hooked: Hooked) -> None:
    rows = {"entered": 40, "accepted": 30, "quarantined": 10, "repeated": 0}
    batch = {"batch_id": "b1", "stopped": "too bad", "counts": {"events": {"rows": rows, "rules": {"bad_rating": 10}}}}
    context = task(BatchRefused("too bad"))
    pipeline_alerts.tell_batch(batch, context, when_stopped=True)
    pipeline_alerts.task_failed(context)
    good = batch | {"stopped": "", "counts": {}}
    assert pipeline_alerts.tell_batch(good, context, when_stopped=True) == good
    assert len(hooked.texts) == 1
    pipeline_alerts.tell_batch(good, context)
    stopped, recovered = hooked.texts
    assert stopped.startswith("*[Penchant] ingest_events (shop) failed: 10 of 40 rows (25.0%)*")
    assert "Run: <http://127.0.0.1:8080/ingest_events/r1>" in stopped
    assert recovered.startswith("*[Penchant] ingest_events (shop) has recovered*")


def test_a_late_run_is_told_of_once_and_its_end_too(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_BATCH_DEADLINE_MINUTES", "30")
    late = {"dag_id": "ingest_events", "dag_run_id": "r1", "state": "running", "conf": {"source": "shop"}}
    missed = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    for _ in range(2):
        pipeline_alerts.run_late({"dag_run": late, "deadline": {"id": "d", "deadline_time": missed}})
    pipeline_alerts.run_succeeded(run("r1", datetime.now(UTC)))
    overdue, recovered = hooked.texts
    assert overdue.startswith("*[Penchant] ingest_events (shop) is overdue*")
    assert "Waited: 0.6 hours; 0.5 are allowed" in overdue
    assert "has recovered" in recovered


def test_the_deadline_of_a_run_that_has_failed_says_nothing(hooked: Hooked) -> None:
    over = {"dag_id": "ingest_events", "dag_run_id": "r1", "state": "failed", "conf": {}}
    pipeline_alerts.run_late({"dag_run": over, "deadline": {"deadline_time": AT.isoformat()}})
    assert hooked.posts == []


def test_a_deadline_is_given_only_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipeline_alerts.deadline() == {}
    monkeypatch.setenv("PENCHANT_BATCH_DEADLINE_MINUTES", "90")
    alert = pipeline_alerts.deadline()["deadline"]
    assert alert.interval == timedelta(minutes=90)
    assert alert.callback.path == "pipeline_alerts.run_late"


@pytest.mark.parametrize(
    ("setting", "schedule"),
    [
        ({}, None),
        ({"PENCHANT_BATCH_EVERY_HOURS": "24"}, "@hourly"),
        ({"PENCHANT_ALERT_TARGETS": "https://hooks.example.org/x"}, "@hourly"),
        ({"PENCHANT_ALERT_CONNECTIONS": "ops"}, "@hourly"),
    ],
)
def test_batches_are_watched_where_it_matters(
    monkeypatch: pytest.MonkeyPatch, setting: dict[str, str], schedule: str | None
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    assert pipeline_alerts.hourly_if_watched() == schedule


def test_a_link_leads_to_the_run_and_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_alerts.conf, "get", lambda *_, **__: "http://127.0.0.1:8080/")
    name = "manual__2026-03-01T00:00:00+00:00"
    page = "http://127.0.0.1:8080/dags/d/runs/manual__2026-03-01T00%3A00%3A00%2B00%3A00"
    assert pipeline_alerts.run_url("d", name) == page
    assert pipeline_alerts.run_url("d", name, "t") == f"{page}/tasks/t"
    monkeypatch.setattr(pipeline_alerts.conf, "get", lambda *_, **__: "")
    assert pipeline_alerts.run_url("d", name) == ""


def connection(**fields: Any) -> Connection:
    extra = {"extra": json.dumps(fields.pop("extra"))} if "extra" in fields else {}
    return Connection(conn_id="c", **fields, **extra)


MAIL = {"from_email": "penchant@example.org", "to": "ops@example.org"}
QUERY = "from=penchant%40example.org&to=ops%40example.org"
CONNECTIONS: dict[str, tuple[Callable[[], Connection], list[str]]] = {
    "mail with TLS first": (
        lambda: connection(conn_type="smtp", host="mail.example.org", login="p@x", password="a:b/c", extra=MAIL),
        [f"smtps://p%40x:a%3Ab%2Fc@mail.example.org/?{QUERY}"],
    ),
    "mail with STARTTLS": (
        lambda: connection(conn_type="smtp", host="mail", port=587, extra=MAIL | {"disable_ssl": True}),
        [f"smtp://mail:587/?{QUERY}&tls=required"],
    ),
    "plain mail": (
        lambda: connection(
            conn_type="smtp", host="mail", port=25, extra=MAIL | {"disable_ssl": True, "disable_tls": True}
        ),
        [f"smtp://mail:25/?{QUERY}&tls=none"],
    ),
    "a Slack token": (
        lambda: connection(conn_type="slackwebhook", password="T0/B0/x"),
        ["https://hooks.slack.com/services/T0/B0/x"],
    ),
    "a Slack token elsewhere": (
        lambda: connection(conn_type="slackwebhook", host="chat.example.org/hooks/", schema="http", password="x"),
        ["http://chat.example.org/hooks/x"],
    ),
    "a whole webhook": (
        lambda: connection(conn_type="slackwebhook", password="https://chat.example.org/hooks/x"),
        ["https://chat.example.org/hooks/x"],
    ),
    "one Apprise address": (
        lambda: connection(conn_type="apprise", extra={"config": {"path": "json://a/x", "tag": "ops"}}),
        ["json://a/x"],
    ),
    "several Apprise addresses": (
        lambda: connection(conn_type="apprise", extra={"config": ["json://a/x", {"path": "json://b/x"}]}),
        ["json://a/x", "json://b/x"],
    ),
}


@pytest.mark.parametrize("kind", CONNECTIONS)
def test_a_connection_becomes_addresses(kind: str) -> None:
    made, wanted = CONNECTIONS[kind]
    assert pipeline_alerts.addresses_of(made()) == wanted


def test_alerts_go_to_connections_too_and_one_that_is_missing_is_seen(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with smtp() as postbox:
        extra = json.dumps(MAIL | {"disable_ssl": True, "disable_tls": True})
        mail = {"conn_type": "smtp", "host": "127.0.0.1", "port": postbox.port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_OPS_MAIL", json.dumps(mail))
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", f"postgresql://u:{SECRET}@db/x")
        monkeypatch.setenv("PENCHANT_ALERT_CONNECTIONS", "ops_mail shop")
        pipeline_alerts.task_failed(task(None))
    (mailed,) = postbox.mails
    assert mailed["Subject"] == "[Penchant] ingest_events (shop) failed"
    assert len(hooked.posts) == 1
    shown = alerting.status(pipeline_alerts.connected())
    assert [(t["target"], bool(t["last_error"]), t["pending"]) for t in shown["targets"]] == [
        ("http 127.0.0.1", False, 0),
        ("smtp 127.0.0.1", False, 0),
        ("connection", True, 1),
    ]
    assert "'shop': ValueError" in caplog.text
    assert SECRET not in caplog.text + json.dumps(shown)
