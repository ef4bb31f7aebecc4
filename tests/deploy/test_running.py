"""Real Airflow, planted jobs: the chain of runs, retries, refusals, clean stops and restarts."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import httpx
import psycopg2
import pytest

from deploy.rest import Airflow, Run
from tests.deploy.conftest import Deployed, left, read_until

pytestmark = [pytest.mark.topology, pytest.mark.slow]


def airflow(deployed: Deployed, printed: str, home: Path | None = None) -> Airflow:
    """The Airflow whose address stands in what was printed."""
    address = printed.split("Airflow: ")[1].split()[0]
    password = json.loads(((home or deployed.home) / "passwords.json").read_text())["admin"]
    return Airflow(address, "admin", password)


def wait_for(up: Airflow, dag: str, runs: int, seconds: float = 120) -> list[str]:
    """States of the runs of a DAG once there are `runs` of them and all have ended."""
    deadline = time.monotonic() + seconds
    while True:
        states = [run["state"] for run in up.get(f"dags/{dag}/dagRuns")["dag_runs"]]
        if (len(states) >= runs and set(states) <= {"success", "failed"}) or time.monotonic() > deadline:
            return states
        time.sleep(0.5)


def test_a_demonstration_from_nothing_and_another_on_the_same_home(deployed: Deployed) -> None:
    for number in (1, 2):
        process = deployed.start("demo", "--exit")
        printed = read_until(process, "materialize_shard [1]")
        family = deployed.family(process)
        assert len(family) > 5
        printed += process.communicate(timeout=400)[0]
        assert process.returncode == 0, printed
        assert f"writing batch {number}" in printed
        for task in (
            "read_batch",
            "check_chunk [2]",
            "keep_batch",
            "encode_shard [3]",
            "train_sequence",
            "score",
            "materialize_shard [1]",
            "flip",
        ):
            assert [line for line in printed.splitlines() if f" {task} " in line and " success " in line], task
        assert "the planted report" in printed
        assert left(family) == []


def test_a_stack_that_stays_is_on_loopback_takes_piled_up_batches_and_stops_at_a_signal(deployed: Deployed) -> None:
    deployed.ask("flaky")
    process = deployed.start("up")
    up = airflow(deployed, read_until(process, "Ctrl-C stops it"))

    family = deployed.family(process)
    assert [p for p in family if "postgres" in p.name()]
    assert {c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == "LISTEN"} == {"127.0.0.1"}
    assert httpx.get(f"{up.address}/api/v2/dags", trust_env=False).status_code == 401

    # Two batches at once: the second run waits, and the newest event alone may stand for both.
    for name in ("a.csv", "b.csv"):
        up.trigger("ingest_events", {"events": [name], "as_of": "2026-03-01T00:00:00Z"})
    assert wait_for(up, "ingest_events", 2) == ["success", "success"]
    assert set(wait_for(up, "publish_release", 1)) == {"success"}
    assert set(wait_for(up, "refresh_interests", 1)) == {"success"}

    # The unreachable store was tried again; nothing else was.
    runs = [Run("publish_release", run["dag_run_id"]) for run in up.get("dags/publish_release/dagRuns")["dag_runs"]]
    assert {t.label for run in runs for t in up.tasks(run) if t.tries > 1} == {"materialize_shard [1]"}

    # A release that the gate refuses fails at once, with the reason.
    deployed.ask("bad")
    refused = up.trigger("publish_release", {"refs": {"recommendations": {}}, "as_of": "2026-03-01T00:00:00Z"})
    while up.state(refused) not in ("success", "failed"):
        time.sleep(0.5)
    (gate,) = [task for task in up.tasks(refused) if task.name == "gate"]
    assert (gate.state, gate.tries) == ("failed", 1)
    assert [line for line in up.log(refused, gate) if "worse than the live one" in line]

    # A stop in the midst of a long task is quick and leaves nothing.
    deployed.ask("slow")
    up.trigger("ingest_events", {"events": ["c.csv"], "as_of": "2026-03-02T00:00:00Z"})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        (newest, *_) = up.get("dags/refresh_interests/dagRuns", order_by="-run_after")["dag_runs"]
        tasks = up.tasks(Run("refresh_interests", newest["dag_run_id"]))
        if [task for task in tasks if (task.name, task.state) == ("refresh_topics", "running")]:
            break
        time.sleep(0.5)
    else:
        pytest.fail("the slow task never started")
    family = deployed.family(process)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, 130)
    assert time.monotonic() - began < 40
    assert left(family) == []


def test_the_topology_runs_neural_tasks_on_the_gpu_worker(deployed: Deployed, servers: tuple[str, str]) -> None:
    postgres, redis = servers
    names = {"DATABASE_URL": "penchant_test_airflow", "PENCHANT_POSTGRES_DSN": "penchant_test_features"}
    drop(postgres, *names.values())
    environ = {name: f"{postgres}/{database}" for name, database in names.items()}
    try:
        process = deployed.start("demo", "--topology", **environ, REDIS_URL=f"{redis}/6")
        printed = read_until(process, "Ctrl-C stops it", 500)
        up = airflow(deployed, printed, deployed.home / "topology")
        (run,) = [
            Run("refresh_interests", r["dag_run_id"]) for r in up.get("dags/refresh_interests/dagRuns")["dag_runs"]
        ]
        logs = deployed.home / "topology" / "logs"
        ran = {name: (logs / f"{name}.log").read_text() for name in ("worker-gpu", "worker-default")}
        for task in up.tasks(run):
            neural = task.name in ("encode_shard", "train_sequence")
            assert (task.id in ran["worker-gpu"]) == neural, task.label
            assert (task.id in ran["worker-default"]) != neural, task.label
        features = printed.split("features: ")[1].split()[0]
        assert httpx.get(f"{features}/health", trust_env=False).status_code == 200
        family = deployed.family(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert left(family) == []
    finally:
        for process in deployed.began:
            process.terminate()
            process.wait()
        drop(postgres, *names.values())


def drop(postgres: str, *databases: str) -> None:
    connection = psycopg2.connect(f"{postgres}/postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        for database in databases:
            cursor.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    connection.close()
