"""A store that is down, slow, full or new again: one sentence, in time, and right answers afterwards."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tasks.releases.locating import Pointer, StoredView
from tasks.serving.connecting import PATIENCE_S
from tasks.serving.reader import Reader
from tasks.serving.registry import Registry
from tasks.serving.rows import PostgresRows, RedisRows
from tests.releases.conftest import free_port

VIEW = StoredView("user_topics", "user_topics__r1", ("topic_mix", "release"))


class OneRelease(Registry):
    """A registry that knows one release and asks nobody."""

    async def open(self) -> None:
        """Nothing to open."""

    async def _read(self, release: str | None) -> Pointer:
        return Pointer("r1", {"user_interest": (VIEW,), "recommendations": (VIEW,), "item_content": (VIEW,)})


@pytest.fixture
def silent() -> Iterator[int]:
    """Port of a server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for one in taken:
            one.close()


def refused(client_of, reader: Reader) -> str:
    """What the service says within the patience of one try, or a little more."""
    client = client_of(None, reader=reader)
    began = time.monotonic()
    found = client.get("/users/user-1?service=user_interest")
    assert time.monotonic() - began < 3 * PATIENCE_S
    assert found.status_code == 503
    assert found.headers["retry-after"] == "1"
    assert client.get("/health").status_code == 200
    sentence: str = found.json()["error"]
    assert "user-1" not in sentence
    assert "Traceback" not in sentence
    return sentence


def test_a_registry_that_is_down(client_of) -> None:
    registry = Registry(f"host=127.0.0.1 port={free_port()} dbname=x user=x password=secret")
    sentence = refused(client_of, Reader(registry, RedisRows({"host": "127.0.0.1", "port": free_port()})))
    assert sentence.startswith("the registry did not answer within 2 seconds")
    assert "secret" not in sentence


@pytest.mark.parametrize("slow", [True, False])
def test_a_redis_that_is_down_or_slow(client_of, silent, slow) -> None:
    port = silent if slow else free_port()
    reader = Reader(OneRelease("host=127.0.0.1"), RedisRows({"host": "127.0.0.1", "port": port}))
    sentence = refused(client_of, reader)
    assert sentence.startswith("the online store " + ("did not answer within 2" if slow else "cannot be read"))


@pytest.mark.parametrize("slow", [True, False])
def test_a_postgresql_that_is_down_or_slow(client_of, silent, slow) -> None:
    port = silent if slow else free_port()
    online = PostgresRows(f"host=127.0.0.1 port={port} dbname=x user=x password=secret")
    sentence = refused(client_of, Reader(OneRelease("host=127.0.0.1"), online))
    assert sentence.startswith("the online store did not answer within 2 seconds")
    assert "secret" not in sentence


@pytest.mark.slow
def test_a_server_that_was_started_anew_is_read_without_an_error(pg_store, put_online, client_of) -> None:
    import psycopg

    from tasks.releases import locating

    name = put_online(pg_store, 321).name
    client = client_of(pg_store)
    assert client.get("/users/user-1").json()["release"] == name
    with psycopg.connect(locating.online_conninfo(pg_store), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    assert client.get("/users/user-1").json()["release"] == name


@pytest.mark.slow
def test_a_redis_that_is_full_is_read_all_the_same(redis_store, put_online, client_of) -> None:
    if not shutil.which("redis-server"):
        pytest.skip("only a Redis of the session's own may be filled")
    import redis

    from tasks.releases import locating

    name = put_online(redis_store, 322).name
    server = redis.Redis(**locating.redis_options(redis_store))
    server.config_set("maxmemory", 1)
    try:
        assert client_of(redis_store).get("/users/user-1").json()["release"] == name
    finally:
        server.config_set("maxmemory", 0)
