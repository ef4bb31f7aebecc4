"""Real Airflow: who tells of a run's end, a late run, and a person who decides about a stopped batch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.rest import Airflow, Refused, Run
from tests.alerts.servers import Hooked, webhook
from tests.deploy.conftest import Deployed, read_until

pytestmark = [pytest.mark.topology, pytest.mark.slow]

PLANTED, SECRET = "anna says the kettle burnt her", "T0/B0/s3cr3t"
BRITTLE = f'''
import os, signal, time
from typing import Any
from airflow.sdk import dag, task
from pipeline_policy import PIPELINE

@dag(schedule=None, **PIPELINE)
def brittle():
    @task(retries=0)
    def work(dag_run: Any):
        how = dag_run.conf["how"]
        if how == "fails": raise ValueError("{PLANTED}")
        if how == "is killed": os.kill(os.getpid(), signal.SIGKILL)
        if how == "is slow": time.sleep(50)
    work()

brittle()
'''
HELD = """
from airflow.sdk import dag, task
from pipeline_override import OverrideOperator
from pipeline_policy import JUDGED

@dag(schedule=None, **JUDGED)
def held():
    @task
    def check():
        rows = {"entered": 40, "accepted": 30, "quarantined": 10, "repeated": 0}
        counts = {"accepted_events": {"rows": rows, "rules": {"unknown_item": 7, "bad_rating": 3}}}
        return {"batch_id": "b1", "source": "a.csv", "stopped": "too bad", "counts": counts, "users": 4}

    @task
    def settle(decided):
        return decided

    settle(OverrideOperator(task_id="override", batch=check()).output)

held()
"""


@pytest.fixture(scope="module")
def hooked() -> Iterator[Hooked]:
    with webhook() as hooked:
        yield hooked


def until(found: Callable[[], Any], seconds: float = 90, said: Callable[[], Any] = str) -> Any:
    """The first thing that is true among what `found` gives."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"nothing after {seconds} s; {said()}"
        time.sleep(0.5)
    return value


def ended(up: Airflow, run: Run) -> str:
    return until(lambda: (state := up.state(run)) in ("success", "failed") and state)


def titles(hooked: Hooked, pipeline: str) -> list[str]:
    firsts = [text.splitlines()[0].strip("*").removeprefix("[Penchant] ") for text in hooked.texts]
    return [first.removeprefix(f"{pipeline} ") for first in firsts if first.startswith(f"{pipeline} ")]


def test_runs_tell_of_themselves_and_a_person_decides(deployed: Deployed, hooked: Hooked) -> None:
    for name, text in (("brittle", BRITTLE), ("held", HELD)):
        (deployed.project / "dags" / f"{name}.py").write_text(text)
    settings = {
        "PENCHANT_ALERT_TARGETS": hooked.address(SECRET),
        "PENCHANT_BATCH_DEADLINE_MINUTES": "0.6",
        "PENCHANT_OVERRIDE_HOURS": "0.02",
        "NO_PROXY": "127.0.0.1",
    }
    process = deployed.start("up", **settings)
    printed = read_until(process, "Ctrl-C stops it")
    address = printed.split("Airflow: ")[1].split()[0]
    passwords = json.loads((deployed.home / "passwords.json").read_text())
    up, viewer = (Airflow(address, name, passwords[name]) for name in ("admin", "viewer"))
    alerts_of_runs(up, hooked)
    decisions(up, viewer)
    process.terminate()
    process.communicate(timeout=60)
    logs = "".join(path.read_text(errors="replace") for path in (deployed.home / "logs").rglob("*.log"))
    assert SECRET not in logs


def alerts_of_runs(up: Airflow, hooked: Hooked) -> None:
    """Every way a run can go wrong is told of once, and its end once, by whichever process can."""
    wanted: list[str] = []
    for how, said in (("fails", "failed"), ("is killed", "failed"), ("is slow", "is overdue")):
        run = up.trigger("brittle", {"how": how})
        assert ended(up, run) == ("success" if how == "is slow" else "failed")
        wanted.append(said)
        if how != "is slow":
            until(lambda: titles(hooked, "brittle") == wanted, said=lambda: titles(hooked, "brittle"))
            assert ended(up, up.trigger("brittle", {"how": "works"})) == "success"
        wanted.append("has recovered")
        until(lambda: titles(hooked, "brittle") == wanted, said=lambda: titles(hooked, "brittle"))
    first = next(text for text in hooked.texts if "brittle" in text)
    assert "Why: ValueError" in first
    assert f"Run: <{up.address}/dags/brittle/runs/" in first
    assert not [text for text in hooked.texts if "kettle" in text]


def decisions(up: Airflow, viewer: Airflow) -> None:
    """A stopped batch waits for a person; who and why are recorded; silence is a refusal."""
    accepted = answer = waiting(up)
    (asked,) = up.get(f"dags/held/dagRuns/{accepted.id}/hitlDetails")["hitl_details"]
    assert asked["subject"] == "Let in batch b1?"
    assert "**10 of 40 rows (25.0%)** failed. They belong to 4 users." in asked["body"]
    assert "| `unknown_item` | 7 |" in asked["body"]
    assert (asked["options"], asked["defaults"]) == (["Accept", "Refuse"], ["Refuse"])
    with pytest.raises(Refused, match="403"):
        respond(viewer, answer, "Accept", "I may not")
    respond(up, answer, "Accept", "  ")
    until(lambda: state_of(up, answer) == "awaiting_input" and not detail(up, answer)["response_received"])
    respond(up, answer, "Accept", "the supplier renamed its items")
    assert ended(up, answer) == "success"
    decided = outcome(up, answer)
    assert decided.pop("at").startswith(detail(up, answer)["responded_at"][:19])
    assert decided == {"accepted": True, "by": "admin", "why": "the supplier renamed its items"}

    respond(up, refused := waiting(up), "Refuse", "")
    assert ended(up, refused) == "success"
    assert (outcome(up, refused)["accepted"], outcome(up, refused)["by"]) == (False, "admin")

    silent = waiting(up)
    until(lambda: up.state(silent) == "success", 240)
    decided = outcome(up, silent)
    assert (decided["accepted"], decided["by"], decided["why"]) == (False, "nobody", "no answer in time")


def waiting(up: Airflow) -> Run:
    run = up.trigger("held", {})
    until(lambda: state_of(up, run) == "awaiting_input")
    return run


def state_of(up: Airflow, run: Run) -> str | None:
    return next((task.state for task in up.tasks(run) if task.name == "override"), None)


def detail(up: Airflow, run: Run) -> dict[str, Any]:
    return up.get(f"dags/held/dagRuns/{run.id}/taskInstances/override/-1/hitlDetails")


def respond(up: Airflow, run: Run, option: str, reason: str) -> None:
    path = f"dags/held/dagRuns/{run.id}/taskInstances/override/-1/hitlDetails"
    up._call("PATCH", path, json={"chosen_options": [option], "params_input": {"reason": reason}})


def outcome(up: Airflow, run: Run) -> dict[str, Any]:
    entry = up.get(f"dags/held/dagRuns/{run.id}/taskInstances/settle/xcomEntries/return_value", deserialize=True)
    return entry["value"] if isinstance(entry["value"], dict) else json.loads(entry["value"])
