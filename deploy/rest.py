"""The few calls of Airflow's REST API that bringing up and following a pipeline need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}


class Refused(RuntimeError):
    """Airflow answered a call with an error."""


@dataclass(frozen=True)
class Run:
    """One run of one DAG."""

    dag: str
    id: str


@dataclass(frozen=True)
class Task:
    """One task of a run as Airflow sees it now; `index` is -1 unless the task is mapped."""

    id: str
    name: str
    index: int
    state: str | None
    tries: int
    seconds: float | None
    queue: str | None
    started: datetime | None

    @property
    def label(self) -> str:
        """Name and shard."""
        return self.name if self.index < 0 else f"{self.name} [{self.index}]"


class Airflow:
    """A running Airflow, logged in to on the first call that needs it."""

    def __init__(self, address: str, user: str = "admin", password: str = "") -> None:
        self.address = address
        self._login = {"username": user, "password": password}
        # Loopback is never behind the proxy that the environment may name.
        self._http = httpx.Client(base_url=address, timeout=30, trust_env=False)

    def health(self) -> dict[str, str]:
        """Component → status."""
        answer = self._http.get("/api/v2/monitor/health").raise_for_status().json()
        return {name: part["status"] for name, part in answer.items()}

    def warm_up(self) -> None:
        """Have the API server build the application that tasks talk to; the first request takes seconds."""
        self._http.get("/execution/health", timeout=120).raise_for_status()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The JSON answer to a GET below `/api/v2/`."""
        return self._call("GET", path, params=query)

    def import_errors(self) -> list[str]:
        """One line for each DAG file that cannot be parsed."""
        errors = self.get("importErrors")["import_errors"]
        return [f"{e['filename']}: {e['stack_trace'].strip().splitlines()[-1]}" for e in errors]

    def dags(self) -> set[str]:
        """Names of the DAGs that were parsed."""
        return {dag["dag_id"] for dag in self.get("dags", limit=100)["dags"]}

    def trigger(self, dag: str, conf: dict[str, Any]) -> Run:
        """Start a run."""
        answer = self._call("POST", f"dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf})
        return Run(dag, answer["dag_run_id"])

    def state(self, run: Run) -> str:
        """State of a run."""
        return str(self.get(f"dags/{run.dag}/dagRuns/{run.id}")["state"])

    def tasks(self, run: Run) -> list[Task]:
        """Every task of a run, mapped ones one by one."""
        rows = self.get(f"dags/{run.dag}/dagRuns/{run.id}/taskInstances", limit=1000)["task_instances"]
        return [
            Task(
                row["id"],
                row["task_id"],
                row["map_index"],
                row["state"],
                row["try_number"],
                row["duration"],
                row["queue"],
                datetime.fromisoformat(row["start_date"]) if row["start_date"] else None,
            )
            for row in rows
        ]

    def started_by(self, run: Run) -> Iterator[Run]:
        """The runs that the asset events of `run` started, as far as they have begun."""
        try:
            answer = self.get("assets/events", source_dag_id=run.dag, source_run_id=run.id)
        except Refused:  # Airflow 3.3 answers 500 while a started run waits in the queue and has no start date
            return
        for event in answer["asset_events"]:
            for started in event["created_dagruns"]:
                yield Run(started["dag_id"], started["run_id"])

    def log(self, run: Run, task: Task) -> list[str]:
        """The lines that a task logged in its last try."""
        path = f"dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task.name}/logs/{task.tries}"
        content = self.get(path, map_index=task.index, full_content=True)["content"]
        return [line for entry in content for line in _lines(entry)]

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self._http.request(method, f"/api/v2/{path}", **request)
        if answer.status_code == 401:  # not logged in yet, or a day ago
            token = self._http.post("/auth/token", json=self._login).raise_for_status().json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
            answer = self._http.request(method, f"/api/v2/{path}", **request)
        if answer.is_error:
            raise Refused(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        value: dict[str, Any] = answer.json()
        return value


def _lines(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield from entry.splitlines()
        return
    yield f"{(entry.get('level') or 'info').upper():8} {entry.get('event', '')}"
    for error in entry.get("error_detail") or []:
        yield f"{'':8} {error.get('exc_type')}: {error.get('exc_value')}"
