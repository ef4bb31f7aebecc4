"""Run several programs as one: start each in a session of its own, watch them, stop them all and leave none behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from deploy.components import Command

GRACE_S = 25.0
"""Seconds a component has for a clean stop; Airflow's take 6–12 s."""
LOG_BYTES = 10_000_000
"""Size beyond which a component's log is set aside when the component is started again."""

_LIBC = ctypes.CDLL(None)


class ComponentDied(RuntimeError):
    """A component ended by itself; the message ends with the last lines of its log."""


class Processes:
    """The running components; a context manager that stops them all on the way out."""

    def __init__(self, environ: Mapping[str, str], logs: Path) -> None:
        self.environ = dict(environ)
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, name: str, command: Command) -> subprocess.Popen[bytes]:
        """Start a program; what it prints is added to `<logs>/<name>.log`."""
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{name}.log"
        if path.is_file() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                env=self.environ,
                cwd=self.environ["PYTHONPATH"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        return self.running[name]

    def finish(self, name: str, command: Command) -> None:
        """Run a program to its end; raises `ComponentDied` where it fails."""
        process = self.start(name, command)
        if process.wait() != 0:
            raise self._died(name, process)
        del self.running[name]

    def check(self) -> None:
        """Raise `ComponentDied` for the first component that ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise self._died(name, process)

    def stop(self, grace: float = GRACE_S) -> None:
        """Ask every component to end, wait, then kill what is left of its family; further signals change nothing."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        family = self._family()
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + grace
        for process in self.running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for member in family:  # a task runs in a session of its own, and outlives the worker that started it
            with suppress(psutil.NoSuchProcess):
                member.kill()
        for process in self.running.values():
            _kill_session(process.pid)
            process.wait()
        self.running.clear()
        for number, handler in before.items():
            signal.signal(number, handler)

    def _family(self) -> list[psutil.Process]:
        """Every process that descends from a component that runs."""
        found: list[psutil.Process] = []
        for process in self.running.values():
            with suppress(psutil.NoSuchProcess):
                found += psutil.Process(process.pid).children(recursive=True)
        return found

    def tail(self, name: str, lines: int = 25) -> str:
        """The last lines that a component printed."""
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace").splitlines()[-lines:] if path.is_file() else []
        return "\n".join(f"    {line}" for line in text)

    def _died(self, name: str, process: subprocess.Popen[bytes]) -> ComponentDied:
        return ComponentDied(
            f"{name} ended with status {process.returncode}; the end of {self.logs / name}.log:\n{self.tail(name)}"
        )


def _end_with_parent() -> None:
    """Have Linux send SIGTERM to this process when its parent is gone, so that not even `kill -9` leaves an orphan."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG


def _kill_session(leader: int) -> None:
    with suppress(ProcessLookupError):  # nothing was left
        os.killpg(leader, signal.SIGKILL)
