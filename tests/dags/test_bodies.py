"""Task bodies call the jobs with what they were given, and nothing more; the jobs are planted."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Metadata
from airflow.sdk.exceptions import AirflowSkipException

from tasks.errors import BatchRefused

REFS = {"accepted_events": {"name": "accepted_events", "version": "1", "rows": 3}}
WHEN = datetime(2026, 3, 1, tzinfo=UTC)
FORM = {"mapping": None, "source": None, "as_of": None, "connection": None, "query": None, "watermark": None}


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module in the place of `tasks.jobs`; a test puts into it what it needs."""
    import tasks

    planted = ModuleType("tasks.jobs")
    monkeypatch.setitem(sys.modules, "tasks.jobs", planted)
    monkeypatch.setattr(tasks, "jobs", planted, raising=False)
    return planted


def run(dag_bag: Any, dag: str, task: str, **arguments: Any) -> tuple[Any, list[Metadata]]:
    """What a task returns, and what it attaches to its assets' events."""
    produced = dag_bag.dags[dag].get_task(task).python_callable(**arguments)
    if not hasattr(produced, "__next__"):
        return produced, []
    attached = []
    while True:
        try:
            attached.append(next(produced))
        except StopIteration as end:
            return end.value, attached


def read(dag_bag: Any, **form: Any) -> Any:
    params = {"events": ["a.csv"], "items": [], "again": False, **FORM, **form}
    return run(dag_bag, "ingest_events", "read_batch", params=params, dag_run=SimpleNamespace(run_after=WHEN))[0]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, dag_bag: Any) -> list[str]:
    """What the alerts were told of, in place of telling anybody."""
    batches: list[str] = []

    def tell(batch: dict[str, Any], context: Any, *, when_stopped: bool = False) -> dict[str, Any]:
        batches.append(f"{batch['batch_id']}{' if stopped' if when_stopped else ''}")
        return batch

    for dag, task in (
        ("ingest_events", "keep_batch"),
        ("ingest_events", "settle_batch"),
        ("replay_quarantine", "replay"),
    ):
        body = dag_bag.dags[dag].get_task(task).python_callable
        monkeypatch.setitem(body.__globals__, "tell_batch", tell)
    return batches


def keep(dag_bag: Any, answer: dict[str, Any] | None = None) -> tuple[Any, list[Metadata]]:
    return run(dag_bag, "ingest_events", "keep_batch", plan={"batch_id": "b1"}, answer=answer)


def outcome(*, repeated: bool = False) -> dict[str, Any]:
    return {"refs": REFS, "as_of": "2026-02-01", "batch_id": "b1", "counts": {"rows": 3}, "repeated": repeated}


def test_a_batch_is_read_as_the_form_says(dag_bag: Any, jobs: ModuleType) -> None:
    given: dict[str, Any] = {}
    jobs.read_batch = lambda **arguments: given.update(arguments) or outcome()  # type: ignore[attr-defined]
    read(dag_bag, as_of="2026-02-01", source="shop")
    assert given == {
        "events": ["a.csv"],
        "items": [],
        "mapping": None,
        "source": "shop",
        "as_of": "2026-02-01",
        "dsn": None,
        "query": None,
        "watermark": None,
    }
    read(dag_bag)
    assert given["as_of"] == WHEN.isoformat()


def test_a_known_batch_is_skipped_and_starts_nothing_unless_asked_to(dag_bag: Any, jobs: ModuleType) -> None:
    jobs.read_batch = lambda **_: outcome(repeated=True)  # type: ignore[attr-defined]
    with pytest.raises(AirflowSkipException, match="b1 was taken in before"):
        read(dag_bag)
    assert read(dag_bag, again=True)["repeated"]


def test_a_kept_batch_is_told_of_and_both_assets_carry_its_references(
    dag_bag: Any, jobs: ModuleType, told: list[str]
) -> None:
    jobs.keep_batch = lambda plan, override: outcome()  # type: ignore[attr-defined]
    returned, attached = keep(dag_bag)
    assert returned["counts"] == {"rows": 3}
    assert told == ["b1"]
    assert [m.asset.name for m in attached] == ["accepted_events", "accepted_items"]
    assert all(m.extra == {"refs": REFS, "as_of": "2026-02-01"} for m in attached)


@pytest.mark.parametrize(("stopped", "next_task"), [("", "keep_batch"), ("more than 20%", "ask")])
def test_a_stopped_batch_is_asked_about(dag_bag: Any, stopped: str, next_task: str) -> None:
    assert run(dag_bag, "ingest_events", "decide", settled={"stopped": stopped})[0] == next_task


def test_who_accepts_a_stopped_batch_is_kept_with_it(dag_bag: Any, jobs: ModuleType, told: list[str]) -> None:
    given = []
    jobs.keep_batch = lambda plan, override: given.append(override) or outcome()  # type: ignore[attr-defined]
    answer = {"accepted": True, "by": "ana", "why": "known", "at": "2026-02-01"}
    keep(dag_bag, answer)
    assert given == [answer]


def test_a_refused_batch_is_discarded_and_published_to_nobody(dag_bag: Any, jobs: ModuleType, told: list[str]) -> None:
    def discard(plan: dict[str, Any], *, by: str, why: str) -> None:
        raise BatchRefused(f"{by}: {why}")

    jobs.discard_batch = discard  # type: ignore[attr-defined]
    with pytest.raises(BatchRefused, match="ana: no"):
        keep(dag_bag, {"accepted": False, "by": "ana", "why": "no", "at": "2026-02-01"})
    assert told == []


@pytest.mark.parametrize("tries", [1, 2])
def test_a_replay_that_finds_nothing_is_skipped_unless_its_first_try_was_killed(
    dag_bag: Any, jobs: ModuleType, told: list[str], tries: int
) -> None:
    jobs.replay = lambda **_: outcome(repeated=True)  # type: ignore[attr-defined]
    params = {"file": "a.jsonl", "batch": None, "rule": None, "source": None, "as_of": None}
    arguments = {"ti": SimpleNamespace(try_number=tries), "dag_run": SimpleNamespace(run_after=WHEN), "params": params}
    if tries == 1:
        with pytest.raises(AirflowSkipException, match="nothing was changed"):
            run(dag_bag, "replay_quarantine", "replay", **arguments)
    else:
        assert len(run(dag_bag, "replay_quarantine", "replay", **arguments)[1]) == 2


def test_vectors_are_joined_from_a_plain_list(dag_bag: Any, jobs: ModuleType) -> None:
    jobs.join_vectors = lambda plan, shards: {"got": shards}  # type: ignore[attr-defined]
    returned, _ = run(dag_bag, "refresh_interests", "join_vectors", plan={}, shards=iter([{"a": 1}, {"b": 2}]))
    assert returned == {"got": [{"a": 1}, {"b": 2}]}


def test_the_live_release_is_published_when_readers_were_turned_to_it(dag_bag: Any, jobs: ModuleType) -> None:
    jobs.flip_release = lambda prepared: {"live": prepared["release"]}  # type: ignore[attr-defined]
    _, attached = run(dag_bag, "publish_release", "flip", prepared={"release": "r7"})
    assert [(m.asset.name, m.extra) for m in attached] == [("live_release", {"live": "r7"})]


def test_the_gate_hears_whether_it_is_to_be_passed(dag_bag: Any, jobs: ModuleType) -> None:
    jobs.check_gate = lambda prepared, force: {"force": force}  # type: ignore[attr-defined]
    returned, _ = run(dag_bag, "publish_release", "gate", prepared={}, params={"force": True})
    assert returned == {"force": True}
