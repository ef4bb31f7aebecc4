"""Components start, are watched, and stop without leaving anything behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.processes import ComponentDied, Processes

PROJECT = Path(__file__).parents[2]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT = "import subprocess, time; subprocess.Popen(['sleep', '61']); print('up', flush=True); time.sleep(60)"
SUPERVISOR = """
import os, sys, time
from pathlib import Path
from deploy.processes import Processes
with Processes({**os.environ, "PYTHONPATH": os.getcwd()}, Path(sys.argv[1])) as processes:
    print(processes.start("sleep", ("sleep", "62")).pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes({**os.environ, "PYTHONPATH": str(PROJECT)}, tmp_path) as running:
        yield running


def until(met: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not met() and time.monotonic() < deadline:
        time.sleep(0.05)
    return met()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def test_output_goes_to_a_log_and_the_end_of_it_into_the_error(processes: Processes, tmp_path: Path) -> None:
    processes.start("faulty", python("print('the reason'); raise SystemExit(3)"))
    assert until(lambda: processes.running["faulty"].poll() is not None)
    with pytest.raises(ComponentDied, match=r"(?s)faulty ended with status 3.*the reason"):
        processes.check()
    assert "the reason" in (tmp_path / "faulty.log").read_text()


def test_a_program_that_should_end_is_waited_for(processes: Processes) -> None:
    processes.finish("good", python("pass"))
    processes.check()
    with pytest.raises(ComponentDied, match="status 1"):
        processes.finish("bad", python("raise SystemExit(1)"))


def test_all_stop_at_once_even_those_that_will_not(processes: Processes, tmp_path: Path) -> None:
    willing = processes.start("willing", ("sleep", "60"))
    stubborn = processes.start("stubborn", python(STUBBORN))
    assert until(lambda: "up" in (tmp_path / "stubborn.log").read_text())
    began = time.monotonic()
    processes.stop(grace=1)
    assert time.monotonic() - began < 5
    assert (willing.returncode, stubborn.returncode) == (-signal.SIGTERM, -signal.SIGKILL)


def test_the_children_of_a_component_go_with_it(processes: Processes, tmp_path: Path) -> None:
    parent = processes.start("parent", python(PARENT))
    assert until(lambda: "up" in (tmp_path / "parent.log").read_text())
    (child,) = psutil.Process(parent.pid).children()
    processes.stop()
    assert until(lambda: gone(child.pid))


def test_signals_during_the_stop_do_not_interrupt_it(processes: Processes, tmp_path: Path) -> None:
    processes.start("stubborn", python(STUBBORN))
    assert until(lambda: "up" in (tmp_path / "stubborn.log").read_text())
    impatient = subprocess.Popen(("sh", "-c", f"sleep 0.3; kill -INT {os.getpid()}; kill -TERM {os.getpid()}"))
    processes.stop(grace=1)
    assert impatient.wait() == 0
    assert not processes.running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_a_killed_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    command = (*python(SUPERVISOR), str(tmp_path))
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    assert supervisor.stdout
    child = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    assert until(lambda: gone(child))


def test_a_log_that_grew_too_large_is_set_aside(processes: Processes, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("deploy.processes.LOG_BYTES", 10)
    for words in ("the first long line", "short", "next"):
        processes.finish("talker", python(f"print({words!r})"))
    assert (tmp_path / "talker.log").read_text() == "short\nnext\n"
    assert (tmp_path / "talker.log.1").read_text() == "the first long line\n"
