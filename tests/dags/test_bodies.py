"""Task bodies call the jobs with what they were given, and nothing more; the jobs are planted."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Metadata
from airflow.sdk.exceptions import AirflowSkipException

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


def ingest(dag_bag: Any, *, tries: int = 1, **form: Any) -> tuple[Any, list[Metadata]]:
    params = {"events": ["a.csv"], "items": [], "again": False, **FORM, **form}
    arguments = {"params": params, "ti": SimpleNamespace(try_number=tries)}
    return run(dag_bag, "ingest_events", "check_batch", **arguments, dag_run=SimpleNamespace(run_after=WHEN))


def outcome(*, repeated: bool = False) -> dict[str, Any]:
    return {"refs": REFS, "as_of": "2026-02-01", "batch_id": "b1", "counts": {"rows": 3}, "repeated": repeated}


def test_a_batch_is_taken_in_and_both_assets_carry_its_references(dag_bag: Any, jobs: ModuleType) -> None:
    given: dict[str, Any] = {}
    jobs.ingest = lambda **arguments: given.update(arguments) or outcome()  # type: ignore[attr-defined]
    returned, attached = ingest(dag_bag, as_of="2026-02-01", source="shop")
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
    assert returned["counts"] == {"rows": 3}
    assert [m.asset.name for m in attached] == ["accepted_events", "accepted_items"]
    assert all(m.extra == {"refs": REFS, "as_of": "2026-02-01"} for m in attached)


def test_without_a_time_the_run_s_own_is_taken(dag_bag: Any, jobs: ModuleType) -> None:
    given: dict[str, Any] = {}
    jobs.ingest = lambda **arguments: given.update(arguments) or outcome()  # type: ignore[attr-defined]
    ingest(dag_bag)
    assert given["as_of"] == WHEN.isoformat()


def test_a_known_batch_is_skipped_and_starts_nothing(dag_bag: Any, jobs: ModuleType) -> None:
    jobs.ingest = lambda **_: outcome(repeated=True)  # type: ignore[attr-defined]
    with pytest.raises(AirflowSkipException, match="b1 was taken in before"):
        ingest(dag_bag)


@pytest.mark.parametrize("way", [{"tries": 2}, {"again": True}], ids=["after a killed try", "because asked to"])
def test_a_known_batch_is_published_all_the_same(dag_bag: Any, jobs: ModuleType, way: dict[str, Any]) -> None:
    jobs.ingest = lambda **_: outcome(repeated=True)  # type: ignore[attr-defined]
    _, attached = ingest(dag_bag, **way)
    assert len(attached) == 2


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
