"""Bring a whole Airflow up on this machine, on loopback only, and take it down again without a trace."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy import stores
from deploy.components import AIRFLOW, PREPARE, Command
from deploy.credentials import credentials, passwords
from deploy.environment import Place, environment
from deploy.processes import ComponentDied, Processes
from deploy.rest import Airflow

PROJECT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
START_S = 300.0
"""Seconds that a start may take; 20–60 on two cores."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """A running Airflow."""

    place: Place
    processes: Processes
    airflow: Airflow
    password: str


def local_place(home: Path, port: int, database: str, **more: Any) -> Place:
    """A place on this machine that nobody else can reach; `more` are further fields of `Place`."""
    return Place(str(PROJECT), str(home), LOOPBACK, port, f"http://{LOOPBACK}:{port}", database, **more)


@contextmanager
def embedded(home: Path, port: int, say: Say) -> Iterator[Stack]:
    """The stack of one machine: embedded PostgreSQL and tasks beside the scheduler; stops on the way out."""
    with only_one(home):
        say("starting PostgreSQL")
        database = stores.start_embedded(home)
        try:
            place = local_place(home, free_port(port, say), database)
            with running(place, AIRFLOW, say) as stack:
                yield stack
        finally:
            stores.stop_embedded(home)


@contextmanager
def running(place: Place, components: dict[str, Command], say: Say) -> Iterator[Stack]:
    """`components` at `place`, started, healthy and warm; they stop on the way out."""
    home = Path(place.home)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ |= environment(place, credentials(home))
    environ.setdefault("PYTHONWARNINGS", "ignore:XDG_RUNTIME_DIR is not set")  # the embedded PostgreSQL does without
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    password = passwords(home)["admin"]
    with Processes(environ, home / "logs") as processes:
        say("preparing Airflow's database")
        processes.finish("prepare", PREPARE)
        say(f"starting {', '.join(components)}")
        for name, command in components.items():
            processes.start(name, command)
        stack = Stack(place, processes, Airflow(place.api, "admin", password), password)
        _wait(stack)
        try:
            yield stack
        finally:
            say("stopping")


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold `home` for this process; raises `ComponentDied` where another stack runs on it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ComponentDied(f"another stack is running on {home}; stop it, or name another home") from None
        yield


def free_port(wanted: int, say: Say) -> int:
    """`wanted` or the next port after it that nobody listens on."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        if port != wanted:
            say(f"port {wanted} is taken; using {port}")
        return port
    raise ComponentDied(f"ports {wanted} to {wanted + 99} are all taken; name a free one with PORT=")


def _wait(stack: Stack) -> None:
    """Until every component is healthy, the task API is warm and every DAG file was parsed."""
    deadline = time.monotonic() + START_S
    _until(stack, deadline, lambda: all(status == "healthy" for status in stack.airflow.health().values()), "healthy")
    stack.airflow.warm_up()
    wanted = {path.stem for path in (Path(stack.place.project) / "dags").glob("*.py")}
    _until(stack, deadline, lambda: wanted <= stack.airflow.dags() or bool(stack.airflow.import_errors()), "parsed")
    if errors := stack.airflow.import_errors():
        raise ComponentDied("DAG files that cannot be parsed:\n" + "\n".join(errors))


def _until(stack: Stack, deadline: float, met: Callable[[], bool], what: str) -> None:
    while True:
        stack.processes.check()
        try:
            if met():
                return
        except httpx.TransportError:
            pass  # not listening yet
        if time.monotonic() > deadline:
            tail = stack.processes.tail("api-server")
            raise ComponentDied(f"Airflow is not {what} after {START_S:.0f} s; logs: {stack.processes.logs}\n{tail}")
        time.sleep(0.5)
