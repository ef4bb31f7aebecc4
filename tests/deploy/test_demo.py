"""The demonstration follows the chain of runs, names what failed and ends with the right status; Airflow is planted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import demo as module
from deploy.demo import CHAIN, demo
from deploy.rest import Run, Task
from deploy.shop import Shop

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Planted:
    """An Airflow whose runs end at once: those of `failing` by failing, those of `ending` without starting another."""

    failing: str = ""
    ending: str = ""
    conf: dict[str, Any] = field(default_factory=dict)

    def trigger(self, dag: str, conf: dict[str, Any]) -> Run:
        self.conf = conf
        return Run(dag, "r")

    def state(self, run: Run) -> str:
        return "failed" if run.dag == self.failing else "success"

    def tasks(self, run: Run) -> list[Task]:
        return [Task(f"{run.dag}-{n}", "work", n, self.state(run), 1, 2.0, "default", WHEN) for n in (0, 1)]

    def started_by(self, run: Run) -> list[Run]:
        return [] if run.dag == self.ending else [Run("other", "r"), Run(CHAIN[CHAIN.index(run.dag) + 1], "r")]

    def log(self, run: Run, task: Task) -> list[str]:
        return [f"line {n}" for n in range(100)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the demonstration on a planted Airflow; gives its status and what it said."""

    def finish(name: str, command: tuple[str, ...]) -> None:
        folder = Path(command[command.index("--out") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("events.jsonl", "items.jsonl", "truth.json"):
            (folder / file).touch()

    monkeypatch.setattr(module, "NEXT_RUN_S", 0.1)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0))

    def go(airflow: Planted) -> tuple[int, list[str]]:
        said: list[str] = []
        processes = SimpleNamespace(finish=finish, check=lambda: None, environ={})
        stack = SimpleNamespace(place=SimpleNamespace(home=str(tmp_path)), processes=processes, airflow=airflow)
        return demo(stack, Shop(users=5, days=8), said.append), said  # type: ignore[arg-type]

    return go


def test_the_whole_chain_is_followed(run: Any) -> None:
    airflow = Planted()
    status, said = run(airflow)
    assert status == 0
    assert [line.split()[0] for line in said if " work [1] " in line] == list(CHAIN)
    assert [Path(p).name for p in airflow.conf["events"]] == ["events.jsonl"]
    assert [Path(p).name for p in airflow.conf["items"]] == ["items.jsonl"]
    assert airflow.conf["as_of"] == "2026-01-09T00:00:00+00:00"


def test_the_second_time_the_next_batch_comes(run: Any) -> None:
    run(Planted())
    airflow = Planted()
    assert run(airflow)[0] == 0
    assert "batch-002" in airflow.conf["events"][0]


@pytest.mark.parametrize("dag", CHAIN)
def test_a_failed_task_is_shown_with_the_end_of_its_log(run: Any, dag: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = run(Planted(failing=dag))
    assert status == 1
    assert said[-1].startswith("the end of the log of")
    printed = capsys.readouterr().out
    assert "line 99" in printed
    assert "line 59" not in printed


def test_a_chain_that_stops_is_no_success(run: Any) -> None:
    status, said = run(Planted(ending="score_hybrid"))
    assert status == 1
    assert "score_hybrid started no run of publish_release" in said[-1]


def test_a_batch_that_failed_to_be_taken_in_comes_again(run: Any) -> None:
    run(Planted(failing="ingest_events"))
    airflow = Planted()
    run(airflow)
    assert "batch-001" in airflow.conf["events"][0]
