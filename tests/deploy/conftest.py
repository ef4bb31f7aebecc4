"""A planted project in a folder that the embedded PostgreSQL can reach, and the programs that run it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.deploy.planted import plant


class Deployed:
    """`python -m deploy …` on a planted project, with a home of its own."""

    def __init__(self, root: Path) -> None:
        self.project, self.home = plant(root / "project"), root / "home"
        self.environ = {n: v for n, v in os.environ.items() if not n.startswith(("AIRFLOW", "PENCHANT_"))}
        self.environ["PYTHONWARNINGS"] = "ignore"
        self.began: list[subprocess.Popen[str]] = []

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Begin a command; its output is read from `stdout`."""
        self.began.append(
            subprocess.Popen(
                (sys.executable, "-m", "deploy", *words, "--home", str(self.home), "--port", "18300"),
                cwd=self.project,
                env={**self.environ, **environ},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return self.began[-1]

    def ask(self, name: str) -> None:
        """Have the planted jobs misbehave."""
        self.home.mkdir(exist_ok=True)
        (self.home / name).touch()

    def family(self, process: subprocess.Popen[str]) -> list[psutil.Process]:
        """Everything that a command has started and that still runs, PostgreSQL, which lives apart, included."""
        apart = [p for p in psutil.process_iter(["cmdline"]) if str(self.home) in " ".join(p.info["cmdline"] or [])]
        return [p for p in {*psutil.Process(process.pid).children(recursive=True), *apart} if p.pid != process.pid]


def left(family: list[psutil.Process]) -> list[str]:
    """Which of them still run."""
    return [str(p) for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def read_until(process: subprocess.Popen[str], wanted: str, seconds: float = 300) -> str:
    """What a program printed up to the line that holds `wanted`."""
    assert process.stdout
    printed, deadline = "", time.monotonic() + seconds
    while wanted not in printed:
        line = process.stdout.readline()
        assert line, f"{wanted!r} never came; it printed:\n{printed}"
        assert time.monotonic() < deadline, printed
        printed += line
    return printed


@pytest.fixture
def deployed() -> Iterator[Deployed]:
    root = Path(tempfile.mkdtemp(prefix="penchant-deployed-"))
    root.chmod(0o755)  # as root the embedded PostgreSQL runs as another user, who must reach its folder
    there = Deployed(root)
    try:
        yield there
    finally:
        for process in there.began:
            process.terminate()
            process.communicate()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def servers() -> tuple[str, str]:
    """Addresses of a running PostgreSQL and Redis; skips where there is none."""
    for name, port in (("PostgreSQL", 5432), ("Redis", 6379)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                pytest.skip(f"no {name} runs on 127.0.0.1:{port}")
    return "postgresql://postgres@127.0.0.1:5432", "redis://127.0.0.1:6379"
