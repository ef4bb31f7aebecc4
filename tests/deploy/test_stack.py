"""Ports, the one stack a home may have, and what the installer says where something is missing."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from deploy.processes import ComponentDied
from deploy.stack import LOOPBACK, free_port, only_one

PROJECT = Path(__file__).parents[2]


def test_a_taken_port_gives_way_to_the_next_one() -> None:
    said: list[str] = []
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port(port, said.append) < port + 100
    assert f"port {port} is taken" in said[0]
    assert free_port(port, said.append) == port


def test_a_home_has_one_stack(tmp_path: Path) -> None:
    with only_one(tmp_path / "home"), pytest.raises(ComponentDied, match="another stack"), only_one(tmp_path / "home"):
        pass
    with only_one(tmp_path / "home"):
        pass


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("deploy/install.sh", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("interpreter", "said"),
    [("exit 127", "not a working Python 3.11"), ('case "$2" in *venv*) exit 1;; esac', "python3.11-venv")],
    ids=["no Python", "no venv"],
)
def test_the_installer_says_which_package_is_missing(checkout: Path, interpreter: str, said: str) -> None:
    python = checkout / "python3.11"
    python.write_text(f"#!/bin/sh\n{interpreter}\n")
    python.chmod(0o755)
    command = ("bash", "deploy/install.sh")
    environ = {"PATH": "/usr/bin:/bin", "PYTHON": str(python)}
    ran = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert said in ran.stderr
    assert not (checkout / ".venv").exists()
