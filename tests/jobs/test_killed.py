"""A job that is killed at any moment and run again gives what it would have given; readers never notice."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks import schema
from tasks.jobs import sampling
from tasks.jobs.workspace import parse_as_of, refs_of
from tasks.releases.embedded import postgres_folder
from tasks.releases.manifest import release_name

pytestmark = pytest.mark.slow
SMALL = {
    "PENCHANT_TOPICS": "8",
    "PENCHANT_TOPIC_PASSES": "2",
    "PENCHANT_SEQUENCE_EPOCHS": "2",
    "PENCHANT_STATE_SIZE": "16",
    "PENCHANT_FACTORS": "8",
    "OMP_NUM_THREADS": "1",
}
LIMIT = 300
"""Seconds after which a command counts as stuck."""
MOMENTS = random.Random(7)


@dataclass
class Home:
    """A folder that commands work in, each in a process of its own."""

    folder: Path
    more: dict[str, str]

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tasks", *command, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, **SMALL, **self.more, "PENCHANT_HOME": str(self.folder)},
        )  # fmt: skip

    def run(self, *command: str) -> dict[str, Any]:
        process = self.start(*command)
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, err[-2000:]
        result: dict[str, Any] = json.loads(out)
        return result

    def files(self) -> set[tuple[str, int]]:
        """Every file that is there now with its inode, but for those of PostgreSQL, locks and unfinished work."""
        found = set()
        for folder, inner, _ in os.walk(self.folder):
            inner[:] = [name for name in inner if name not in ("pg", "locks", "tmp")]
            with contextlib.suppress(FileNotFoundError):  # moved meanwhile
                found |= {(entry.path, entry.inode()) for entry in os.scandir(folder) if entry.name[0] != "."}
        return found

    def kill(self, *command: str, after: int, pause: float = 0.0) -> bool:
        """Kill the command's whole process group once it has written `after` files; False where it ended before."""
        before, process, end = self.files(), self.start(*command), time.monotonic() + LIMIT
        while process.poll() is None and len(self.files() - before) < after and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(pause)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=LIMIT)
        return not ended

    def left_aside(self) -> list[str]:
        tmp = self.folder / "artifacts" / "tmp"
        return sorted(p.name for p in tmp.iterdir()) if tmp.is_dir() else []


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    shop = tmp_path_factory.mktemp("shop")
    made = sampling.write(shop, users=40, days=30, seed=1, faults=0.01)
    return [str(shop / "events.csv"), "--items", str(shop / "items.jsonl"), "--as-of", made["as_of"]]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("calm"), {})
    yield home
    database = postgres_folder(home.folder)
    if (pid := database / "postmaster.pid").is_file():  # a killed process never let go of the server
        os.kill(int(pid.read_text().split()[0]), signal.SIGINT)
        end = time.monotonic() + 30
        while pid.exists() and time.monotonic() < end:
            time.sleep(0.1)
    for folder in (home.folder, database.parent):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def undisturbed(calm: Home, batch: list[str]) -> dict[str, dict[str, Any]]:
    """What each command gives when nobody kills it."""
    return {"ingest": calm.run("ingest", *batch), "refresh": calm.run("refresh"), "score": calm.run("score")}


def test_a_killed_job_run_again_gives_the_same(
    tmp_path: Path, batch: list[str], undisturbed: dict[str, dict[str, Any]]
) -> None:
    home = Home(tmp_path, {})
    for name, moments in {"ingest": (12,), "refresh": (6, 24), "score": (14,)}.items():
        command = [name, *batch] if name == "ingest" else [name]
        for moment in moments:
            assert home.kill(*command, after=MOMENTS.randint(1, moment)), f"{name} ended before it was killed"
        assert home.run(*command)["refs"] == undisturbed[name]["refs"], name
        assert home.left_aside() == [], name
    # as after a kill between the last two writes, when the topics are kept as the newest and the refresh is not
    assert home.run("refresh")["refs"] == undisturbed["refresh"]["refs"]


def test_a_killed_publication_leaves_the_live_release_readable(
    calm: Home, undisturbed: dict[str, dict[str, Any]]
) -> None:
    first = calm.run("publish")["live"]
    calm.more["PENCHANT_RECOMMENDATIONS"] = "5"
    scored = calm.run("score")
    second = release_name(parse_as_of(scored["as_of"]), {n: str(r) for n, r in sorted(refs_of(scored).items())})
    assert first != second
    for after, pause in ((3, 0.0), (len(schema.SERVED), MOMENTS.uniform(0, 2))):
        assert calm.kill("publish", "--force", after=after, pause=pause)
        assert calm.run("show")["release"] == first
    assert calm.run("publish", "--force")["live"] == second
    assert calm.run("show")["release"] == second
