"""Alerts go out once each, through crashes and dead targets, and never say what people wrote."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks import jobs
from tasks.errors import BatchRefused, StoreUnavailable
from tasks.jobs import alerting
from tasks.jobs.workspace import open_store
from tasks.settings import Settings
from tests.alerts.servers import LOOPBACK, Hooked, free_port, webhook

SECRET, PLANTED = "T0/B0/s3cr3t", "anna.novak@example.com says the kettle burnt her"
EVENT = {
    "event_id": "e1",
    "user_id": "u1",
    "item_id": "i1",
    "kind": "review",
    "text": "The burr grinder works beautifully and I use it every morning.",
    "event_time": "2026-01-05T08:00:00Z",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def hooked(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooked]:
    with webhook() as hooked:
        monkeypatch.setenv("PENCHANT_ALERT_TARGETS", hooked.address(SECRET))
        yield hooked


def titles(hooked: Hooked) -> list[str]:
    return [text.splitlines()[0].strip("*").removeprefix("[Penchant] ") for text in hooked.texts]


def batch(bad: int, *, rows: int = 100, **more: Any) -> dict[str, Any]:
    counted = {"entered": rows, "accepted": rows - bad, "quarantined": bad, "repeated": 0}
    rules = {"unknown_item": bad} if bad else {}
    return {"batch_id": "b1", "source": "a.csv", "counts": {"events": {"rows": counted, "rules": rules}}, **more}


def test_a_failure_its_retries_and_callbacks_alert_once_and_the_end_of_it_once(hooked: Hooked) -> None:
    alerting.report("score_hybrid", "ok")
    for _ in range(3):
        alerting.report_failure("score_hybrid", StoreUnavailable("the store is away"), run="r1")
    alerting.report_failure("score_hybrid", None, run="r1")
    alerting.report("score_hybrid", "ok")
    alerting.report("score_hybrid", "ok")
    assert titles(hooked) == ["score_hybrid failed", "score_hybrid has recovered"]
    assert "Why: StoreUnavailable: the store is away" in hooked.texts[0]
    assert "seen 4× since" in hooked.texts[1]


def test_sources_stand_for_themselves(hooked: Hooked) -> None:
    for source in ("shop", "forum"):
        alerting.report_batch("ingest_events", batch(0, stopped="it is bad"), source=source)
    alerting.report_batch("ingest_events", batch(0), source="forum")
    assert titles(hooked) == [
        "ingest_events (shop) failed",
        "ingest_events (forum) failed",
        "ingest_events (forum) has recovered",
    ]
    assert [(i["source"], i["condition"]) for i in alerting.status()["open"]] == [("shop", "failed")]


def test_a_budget_is_breached_above_it_only_and_each_source_may_have_its_own(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENCHANT_WARNING_BUDGETS", '{"forum": 0.3}')
    alerting.report_batch("ingest_events", batch(5))
    assert hooked.posts == []
    alerting.report_batch("ingest_events", batch(6, users=4))
    alerting.report_batch("ingest_events", batch(30), source="forum")
    alerting.report_batch("ingest_events", batch(90, repeated=True), source="forum")
    (text,) = hooked.texts
    assert "let in a batch with too many bad rows: 6 of 100 rows (6.0%)" in text
    for line in ("Budget: 5.0% of rows", "Rules: unknown_item 6", "Users affected: 4", "Sources: a.csv", "Batch: b1"):
        assert line in text.splitlines()


def test_a_batch_unlike_the_recent_ones_is_told_of_once_and_the_next_like_them_ends_it(hooked: Hooked) -> None:
    odd = {**batch(0), "alarms": ["batch_ratings: The mean rating is 1.20 beside 4.10 recently."]}
    alerting.report_batch("ingest_events", odd)
    alerting.report_batch("ingest_events", odd)
    alerting.report_batch("ingest_events", batch(0))
    unlike, recovered = hooked.texts
    assert "let in a batch unlike the recent ones" in unlike
    assert "The mean rating is 1.20 beside 4.10 recently." in unlike
    assert "has recovered" in recovered


def test_a_stopped_batch_says_what_failed_and_the_good_one_after_it_ends_it(hooked: Hooked) -> None:
    alerting.report_batch("ingest_events", batch(60, stopped="60.0% of the batch is bad, more than 20%"), run="r1")
    alerting.report_failure("ingest_events", BatchRefused("60.0% of the batch is bad"), run="r1")
    alerting.report_batch("ingest_events", batch(1))
    assert titles(hooked) == ["ingest_events failed: 60 of 100 rows (60.0%)", "ingest_events has recovered"]
    assert "Why: BatchRefused: 60.0% of the batch is bad, more than 20%" in hooked.texts[0]


def test_a_dead_target_fails_nothing_is_seen_and_is_tried_again_in_order(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with webhook() as hooked:
        dead = f"http://{LOOPBACK}:{port}/{SECRET}"
        monkeypatch.setenv("PENCHANT_ALERT_TARGETS", f"{hooked.address()} {dead}")
        alerting.report_failure("score_hybrid", ValueError(PLANTED))
        alerting.report("score_hybrid", "ok")
        assert titles(hooked) == ["score_hybrid failed", "score_hybrid has recovered"]
        alive, broken = alerting.status()["targets"]
        assert (alive["pending"], alive["last_error"], broken["pending"]) == (0, "", 2)
        assert broken["last_error"] == "URLError"
        assert datetime.fromisoformat(broken["last_error_at"]) < datetime.now(UTC)
        assert broken["last_success"] is None
    assert SECRET not in json.dumps(alerting.status())


def test_what_waited_is_delivered_when_the_target_is_back(hooked: Hooked) -> None:
    hooked.answer = 503
    alerting.report_failure("score_hybrid", None)
    alerting.report("score_hybrid", "ok")
    assert titles(hooked) == ["score_hybrid failed"] * 2, "an alert overtook the one before it"
    hooked.answer = 200
    hooked.posts.clear()
    assert alerting.deliver() == 2
    assert alerting.deliver() == 0
    assert titles(hooked) == ["score_hybrid failed", "score_hybrid has recovered"]
    (target,) = alerting.status()["targets"]
    assert (target["pending"], target["given_up"]) == (0, 0)
    assert target["last_success"] > target["last_error_at"]


def test_an_alert_is_given_up_after_its_attempts_and_that_is_seen(hooked: Hooked) -> None:
    from tasks.alerts.outbox import ATTEMPTS

    hooked.answer = 500
    alerting.report_failure("score_hybrid", None)
    for _ in range(ATTEMPTS + 3):
        alerting.deliver()
    assert len(hooked.posts) == ATTEMPTS
    (target,) = alerting.status()["targets"]
    assert (target["pending"], target["given_up"]) == (0, 1)
    hooked.answer = 200
    alerting.report("score_hybrid", "ok")
    assert titles(hooked)[-1] == "score_hybrid has recovered"


def test_death_between_deciding_and_delivering_loses_nothing(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(alerting, "deliver", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            alerting.report_failure("score_hybrid", None)
    assert hooked.posts == []
    alerting.report_failure("score_hybrid", None)
    assert titles(hooked) == ["score_hybrid failed"]


def test_death_between_delivering_and_noting_it_sends_again_under_the_same_key(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(alerting, "_record", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            alerting.report_failure("score_hybrid", None)
    alerting.deliver()
    alerting.deliver()
    assert len({headers["Idempotency-Key"] for _, headers, _ in hooked.posts}) == 1
    assert len(hooked.posts) == 2


@pytest.mark.slow
def test_several_processes_at_once_send_each_alert_once(hooked: Hooked) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fail, args=(name,)) for name in ("score_hybrid", "score_hybrid", "publish")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(titles(hooked)) == ["publish failed", "score_hybrid failed"]


def _fail(pipeline: str) -> None:
    alerting.report_failure(pipeline, None)


def test_only_the_newest_outbox_is_kept(hooked: Hooked) -> None:
    for _ in range(4):
        alerting.report_failure("score_hybrid", None)
        alerting.report("score_hybrid", "ok")
    folder = open_store(Settings()).root / alerting.HEAD
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1
    assert SECRET not in "".join(path.read_text() for path in folder.rglob("*.json"))


def test_what_was_done_with_long_ago_is_dropped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.alerts.outbox.KEPT", 4)
    for _ in range(5):
        alerting.report_failure("score_hybrid", None)
        alerting.report("score_hybrid", "ok")
    assert len(alerting.status()["alerts"]) == 4


def test_without_targets_an_alert_is_kept_to_be_seen(home: Path) -> None:
    alerting.report_failure("score_hybrid", None)
    (alert,) = alerting.status()["alerts"]
    assert (alert["title"], alert["targets"]) == ("[Penchant] score_hybrid failed", 0)


def test_a_test_reaches_every_target_and_opens_nothing(hooked: Hooked) -> None:
    shown = alerting.send_test([hooked.address("other")])
    assert titles(hooked) == ["alerts sends a test"] * 2
    assert [target["last_error"] for target in shown["targets"]] == ["", ""]
    assert shown["open"] == []


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def good(home: Path, as_of: str) -> None:
    jobs.ingest(events=[write(home / f"{as_of[:13]}.jsonl", EVENT | {"event_id": as_of})], as_of=as_of)


def test_a_batch_that_does_not_come_alerts_once_and_its_coming_once(
    home: Path, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert alerting.check_overdue("2026-02-01T00:00:00Z") == {"hours": None, "overdue": False}
    good(home, "2026-02-01T00:00:00Z")
    assert alerting.check_overdue("2026-03-01T00:00:00Z") == {"hours": 672.0, "overdue": False}, "nobody waits"
    monkeypatch.setenv("PENCHANT_BATCH_EVERY_HOURS", "24")
    start = datetime(2026, 3, 1, 1, tzinfo=UTC)
    good(home, "2026-03-01T00:00:00Z")
    late = [alerting.check_overdue((start + timedelta(hours=n)).isoformat())["overdue"] for n in range(30)]
    assert late == [n >= 24 for n in range(30)]
    good(home, "2026-03-02T05:00:00Z")
    good(home, "2026-01-15T00:00:00Z")  # an old batch that comes after it does not make it older
    alerting.check_overdue("2026-03-02T07:00:00Z")
    assert titles(hooked) == ["watch_batches is overdue", "watch_batches has recovered"]
    assert "Waited: 25.0 hours; 24 are allowed" in hooked.texts[0]


FAILING: dict[str, Callable[[Path], dict[str, Any]]] = {
    "a kind nobody knows": lambda home: {"events": [write(home / "a.jsonl", EVENT | {"kind": PLANTED})]},
    "a number that is none": lambda home: {"events": [write(home / "a.jsonl", EVENT | {"rating": PLANTED})]},
    "a time that is none": lambda home: {"events": [write(home / "a.jsonl", EVENT | {"event_time": PLANTED})]},
    "a line that is no JSON": lambda home: {"events": [_raw(home / "a.jsonl", PLANTED)]},
    "columns named by a person": lambda home: {"events": [_raw(home / "a.csv", f"{PLANTED},b\n1,2\n")]},
}


def _raw(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("kind", FAILING)
def test_what_people_wrote_in_a_failing_batch_stands_in_no_alert(home: Path, hooked: Hooked, kind: str) -> None:
    with pytest.raises(Exception, match=r".") as failed:
        jobs.ingest(**FAILING[kind](home), as_of="2026-02-01T00:00:00Z")
    alerting.report_failure("ingest_events", failed.value)
    (text,) = hooked.texts
    assert "Why: " in text
    for said in (text, json.dumps(alerting.status())):
        assert not [word for word in ("anna", "kettle", "burnt", "example.com") if word in said]
