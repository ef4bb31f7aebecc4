"""A planted live release of the size of a real one, on the store that is to be measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import Column, Table

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
WIDTHS = {"long_term": 384, "short_term": 384, "vector": 384, "evolution": 512, "style": 8, "weights": 12}
"""Floats of each list: the default encoder's 384, 128 more for h* = [h; v]; topics and scores below."""
TOPICS, TOP, CHUNK = 20, 10, 5_000
TOKEN = "benchmark-token-0123456789"
REDIS, POSTGRES = "redis://127.0.0.1:6379/14", "postgresql://postgres@127.0.0.1:5432/postgres"
DATABASE = "penchant_bench_serving"


@contextmanager
def settings_of(kind: str, home: Path) -> Iterator[dict[str, str]]:
    """The environment of a Penchant with its own home and store; what it made in a shared store is removed after.

    Raises `SystemExit` where the Redis database is not empty: it might be somebody's.
    """
    environ = {"PENCHANT_HOME": str(home), "PENCHANT_ONLINE_STORE": kind, "PENCHANT_READ_TOKENS": TOKEN}
    with ExitStack() as stack:
        if kind == "postgres":
            environ["PENCHANT_POSTGRES_DSN"] = stack.enter_context(_database())
        elif kind == "redis":
            environ["PENCHANT_REDIS_URL"] = stack.enter_context(_empty_redis())
        os.environ.update(environ)
        yield environ


@contextmanager
def _database() -> Iterator[str]:
    """A database of the benchmark's own on the server of `PENCHANT_POSTGRES_DSN`; gives its libpq URI."""
    import psycopg

    from deploy.environment import with_database
    from deploy.stores import make_database

    uri = with_database(os.environ.get("PENCHANT_POSTGRES_DSN", POSTGRES), DATABASE)
    make_database(uri)
    try:
        yield uri
    finally:
        with psycopg.connect(with_database(uri, "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@contextmanager
def _empty_redis() -> Iterator[str]:
    """The Redis database of `PENCHANT_REDIS_URL`, empty before and after; gives its address."""
    import redis

    url = os.environ.get("PENCHANT_REDIS_URL", REDIS)
    with redis.Redis.from_url(url if "://" in url else f"redis://{url}") as client:
        if client.dbsize():
            raise SystemExit("the Redis database is not empty; name one that is by PENCHANT_REDIS_URL=host:port/db")
        try:
            yield url
        finally:
            client.flushdb()


def publish(users: int, seed: int) -> Any:
    """Publish a release of `users` users and a tenth as many items; gives the feature store."""
    from tasks.jobs.publication import open_features
    from tasks.releases import publishing
    from tasks.releases.manifest import Manifest, release_name, schema_digest
    from tasks.releases.offline import write_offline
    from tasks.releases.stores import home_of
    from tasks.releases.verifying import verify
    from tasks.settings import Settings

    store = open_features(Settings())
    live = publishing.live(store)
    refs = {table.name: f"{table.name}@bench-{seed}-{users}" for table in schema.SERVED}
    name = release_name(AS_OF, refs)
    blocks = {
        t.name: write_offline(home_of(store), name, t, frames(t, users, seed), as_of=AS_OF) for t in schema.SERVED
    }
    parents = (live,) if live else ()
    manifest = Manifest(name, AS_OF, refs, blocks, parents, encoder="benchmark", schema=schema_digest())
    publishing.apply_views(store, manifest)
    for table in schema.SERVED:
        publishing.materialize(store, manifest, table)
    verify(store, manifest)
    publishing.flip(store, manifest)
    return store


def frames(table: Table, users: int, seed: int) -> Iterator[pd.DataFrame]:
    """Rows of `table` with random values, `CHUNK` at a time, in order of their key."""
    count = users if table.entity == "user" else max(1, users // 10)
    rng = np.random.default_rng(seed)
    for start in range(0, count, CHUNK):
        rows = min(CHUNK, count - start)
        keys = [f"{table.entity}-{i:08}" for i in range(start, start + rows)]
        made = {c.name: _values(c, table, rows, rng) for c in table.features}
        yield pd.DataFrame({table.key[0]: keys, schema.AS_OF.name: [AS_OF] * rows, **made})[list(table.names)]


def user_ids(users: int) -> list[str]:
    """Every planted user."""
    return [f"user-{i:08}" for i in range(users)]


def _values(column: Column, table: Table, rows: int, rng: np.random.Generator) -> object:
    if column.type == "list<float32>":
        default = TOP if table is schema.RECOMMENDATIONS else TOPICS
        return list(rng.standard_normal((rows, WIDTHS.get(column.name, default)), dtype=np.float32))
    if column.type == "list<string>":
        words = 24 if column.name == "reasons" else 3
        text = " ".join(f"word{i}" for i in range(words))
        return [[f"{text} {i}" for i in range(TOP)]] * rows
    if column.type == "float32":
        return rng.random(rows, dtype=np.float32)
    if column.type == "int64":
        return rng.integers(1, 1000, rows)
    if column.type == "timestamp":
        return [AS_OF] * rows
    return ["short text"] * rows
