"""Rows as Feast keeps them, as bytes: from PostgreSQL in one statement, from Redis in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import redis.asyncio
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]
from psycopg import AsyncConnection, OperationalError, sql
from psycopg.rows import TupleRow

from tasks import schema
from tasks.releases.locating import REDIS_TAIL, EntityKeys, StoredView
from tasks.serving.connecting import PATIENCE_S, Pool, answered, postgres_pool

Row = tuple[int, list[bytes | None]]
"""Event time in microseconds since 1970, and the bytes of each feature in the order of its view."""
Rows = list[list[Row | None]]
"""By view, by key; None where there is no row."""
CONNECTIONS = 8
"""To the online store, for each process."""
ONLY_TIME = (schema.RELEASE.name,)
"""Features of a view that is read for its time alone."""


class OnlineRows(Protocol):
    """An online store."""

    async def open(self) -> None:
        """Begin to connect; does not wait for the store."""

    async def close(self) -> None:
        """Let go of every connection."""

    async def read(self, views: tuple[StoredView, ...], entity: EntityKeys, ids: Sequence[str]) -> Rows:
        """The rows of distinct `ids` in each of `views`.

        Raises `ViewsGone` where a view has no table, `StoreUnavailable` where the store is down or slow.
        """


class PostgresRows:
    """Rows from the tables, one for each view, in which Feast keeps a row for each feature."""

    def __init__(self, conninfo: str) -> None:
        self._pool: Pool = postgres_pool(conninfo, most=CONNECTIONS)

    async def open(self) -> None:
        """As `OnlineRows.open`."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """As `OnlineRows.close`."""
        await self._pool.close()

    async def read(self, views: tuple[StoredView, ...], entity: EntityKeys, ids: Sequence[str]) -> Rows:
        """As `OnlineRows.read`, in one statement."""
        keys = entity(ids)
        place = {key: number for number, key in enumerate(keys)}
        found: Rows = [[None] * len(keys) for _ in views]
        features = [{name: number for number, name in enumerate(view.features)} for view in views]
        for view, key, feature, value, time in await self._fetch(views, keys):
            row = found[view][place[key]]
            if row is None:
                row = found[view][place[key]] = (0, [None] * len(features[view]))
            at = features[view].get(feature)
            if at is None:
                continue
            row[1][at] = value
            if time is not None:
                found[view][place[key]] = (time, row[1])
        return found

    async def _fetch(self, views: tuple[StoredView, ...], keys: list[bytes]) -> list[TupleRow]:
        async with answered("the online store"):
            try:
                async with self._pool.connection() as connection:
                    return await _execute(connection, views, keys)
            except OperationalError:  # the server was started anew since this connection was made
                await self._pool.check()
                async with self._pool.connection() as connection:
                    return await _execute(connection, views, keys)


class RedisRows:
    """Rows from the hashes, one for each key, in which Feast keeps the features of every view."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._client = redis.asyncio.Redis(
            **options,
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            decode_responses=False,
        )

    async def open(self) -> None:
        """As `OnlineRows.open`; a connection is made with the first read."""

    async def close(self) -> None:
        """As `OnlineRows.close`."""
        await self._client.aclose()

    async def read(self, views: tuple[StoredView, ...], entity: EntityKeys, ids: Sequence[str]) -> Rows:
        """As `OnlineRows.read`, in one round trip."""
        fields = _fields(views)
        async with answered("the online store"), self._client.pipeline(transaction=False) as pipe:
            for key in entity(ids, REDIS_TAIL):
                pipe.execute_command("HMGET", key, *fields)
            replies = await pipe.execute()
        found: Rows = [[] for _ in views]
        for reply in replies:
            start = 0
            for view, rows in zip(views, found, strict=True):
                end = start + len(view.features)
                rows.append((_microseconds(reply[end]), reply[start:end]) if reply[end] is not None else None)
                start = end + 1
        return found


async def _execute(
    connection: AsyncConnection[TupleRow], views: tuple[StoredView, ...], keys: list[bytes]
) -> list[TupleRow]:
    cursor = await connection.execute(_statement(views), {"keys": keys}, prepare=True, binary=True)
    return await cursor.fetchall()


@lru_cache(maxsize=256)
def _statement(views: tuple[StoredView, ...]) -> sql.Composed:
    """Every view's rows by one statement; the time is sent once a row, beside the release."""
    part = sql.SQL(
        "SELECT {number}::int2, entity_key, feature_name, value, CASE WHEN feature_name = {release}"
        " THEN (extract(epoch FROM event_ts) * 1000000)::int8 END FROM {table} WHERE entity_key = ANY(%(keys)s){only}"
    )
    release = sql.Literal(schema.RELEASE.name)
    only = sql.SQL(" AND feature_name = {}").format(release)
    return sql.SQL(" UNION ALL ").join(
        part.format(
            number=sql.Literal(number),
            release=release,
            table=sql.Identifier(view.postgres_table),
            only=only if view.features == ONLY_TIME else sql.SQL(""),
        )
        for number, view in enumerate(views)
    )


@lru_cache(maxsize=256)
def _fields(views: tuple[StoredView, ...]) -> tuple[bytes, ...]:
    return tuple(field for view in views for field in view.redis_fields)


def _microseconds(stored: bytes) -> int:
    return int(Timestamp.FromString(stored).ToMicroseconds())
