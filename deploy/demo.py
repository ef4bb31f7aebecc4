"""The demonstration: one batch of the sample shop through the whole pipeline, followed task by task."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.rest import ENDED, Airflow, Run, Task
from deploy.shop import Batch, Inbox, Shop
from deploy.stack import Say, Stack

CHAIN = ("ingest_events", "refresh_interests", "score_hybrid", "publish_release")
NEXT_RUN_S = 60.0
"""Seconds for which a run's asset event may take to start the next run; it takes about one."""
LOG_LINES = 40


def demo(stack: Stack, wished: Shop, say: Say) -> int:
    """Run the next batch and print what readers now find; 0 only if every task of every run worked."""
    inbox = Inbox(Path(stack.place.home))
    shop = inbox.shop(wished)
    if shop != wished:
        say(f"going on with the shop in {inbox.folder}: {shop}")
    batch = inbox.next(shop)
    say(f"writing batch {batch.number}: {' '.join(batch.command[3:])}")
    stack.processes.finish("sample-shop", batch.command)
    run = stack.airflow.trigger(CHAIN[0], _conf(batch))
    for number, name in enumerate(CHAIN):
        if not _follow(stack, run, say):
            return 1
        if name == CHAIN[0]:
            inbox.took(shop, batch)
        if number + 1 < len(CHAIN):
            started = _next_run(stack.airflow, run, CHAIN[number + 1])
            if started is None:
                say(f"{run.dag} started no run of {CHAIN[number + 1]}: its log says why")
                return 1
            run = started
    say("what readers now find:")
    return subprocess.run(("python", "-m", "tasks", "show"), env=stack.processes.environ, check=False).returncode


def _conf(batch: Batch) -> dict[str, object]:
    """The run's form, filled in with the files of `batch`."""
    files = {kind: sorted(str(path) for path in batch.folder.glob(f"{kind}.*")) for kind in ("events", "items")}
    return {**files, "source": f"sample shop, batch {batch.number}", "as_of": batch.as_of}


def _follow(stack: Stack, run: Run, say: Say) -> bool:
    """Print every change of state until the run ends; True where it succeeded."""
    seen: dict[str, tuple[str | None, int]] = {}
    while True:
        stack.processes.check()
        state = stack.airflow.state(run)
        tasks = stack.airflow.tasks(run)
        for task in sorted(tasks, key=lambda t: (t.started is None, t.started, t.index)):
            if seen.get(task.id) != (task.state, task.tries) and task.state in {*ENDED, "running", "up_for_retry"}:
                say(_line(run, task))
            seen[task.id] = (task.state, task.tries)
        if state in ("success", "failed"):
            break
        time.sleep(0.5)
    for task in (task for task in tasks if task.state == "failed"):
        say(f"the end of the log of {run.dag} {task.label}:")
        print("\n".join(f"    {line}" for line in _end_of_log(stack.airflow, run, task)), flush=True)
    return state == "success"


def _line(run: Run, task: Task) -> str:
    took = f"{task.seconds:7.1f} s" if task.state in ENDED and task.seconds is not None else ""
    again = f"  try {task.tries}" if task.tries > 1 else ""
    return f"{run.dag:<18} {task.label:<22} {task.state:<12} {took}{again}"


def _end_of_log(airflow: Airflow, run: Run, task: Task) -> Iterator[str]:
    yield from airflow.log(run, task)[-LOG_LINES:]


def _next_run(airflow: Airflow, run: Run, dag: str) -> Run | None:
    """The run of `dag` that the asset events of `run` started."""
    deadline = time.monotonic() + NEXT_RUN_S
    while time.monotonic() < deadline:
        for started in airflow.started_by(run):
            if started.dag == dag:
                return started
        time.sleep(0.5)
    return None
