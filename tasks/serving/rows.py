"""Rows as Feast keeps them, as bytes: from PostgreSQL in one statement, from Redis in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
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
_ONLY_TIME = (schema.RELEASE.name,)
"""Features that are read of a view whose time alone is wanted."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is read for one kind of request, in the stores' own words; made once for each release."""

    views: tuple[StoredView, ...]
    dated: tuple[StoredView, ...]
    """Views that are read for their time alone; their rows follow those of `views`."""

    @property
    def every(self) -> tuple[StoredView, ...]:
        """All views that rows are read of, in order."""
        return (*self.views, *self.dated)

    @cached_property
    def features(self) -> list[dict[str, int]]:
        """By view, the place of each feature that is read."""
        wanted = [*(view.features for view in self.views), *(_ONLY_TIME for _ in self.dated)]
        return [{name: place for place, name in enumerate(names)} for names in wanted]

    @cached_property
    def statement(self) -> str:
        """One statement for PostgreSQL; the time is sent once a row, beside the release."""
        release, part = (
            sql.Literal(schema.RELEASE.name),
            sql.SQL(
                "SELECT {number}::int2, entity_key, feature_name, value, CASE WHEN feature_name = {release}"
                " THEN (extract(epoch FROM event_ts) * 1000000)::int8 END FROM {table} WHERE entity_key = ANY(%(keys)s)"
            ),
        )
        parts = [
            part.format(number=sql.Literal(number), release=release, table=sql.Identifier(view.postgres_table))
            for number, view in enumerate(self.every)
        ]
        only = sql.SQL(" AND feature_name = {}").format(release)
        parts[len(self.views) :] = [sql.Composed([each, only]) for each in parts[len(self.views) :]]
        return sql.SQL(" UNION ALL ").join(parts).as_string(None)

    @cached_property
    def command(self) -> tuple[bytes, bytes]:
        """`HMGET` for Redis as it is sent (https://redis.io/docs/latest/develop/reference/protocol-spec/), but for
        the key that stands between the two: of each view its features, then its event time."""
        fields = [
            field
            for view, names in zip(self.every, self.features, strict=True)
            for field in (*(view.redis_field(name) for name in names), view.redis_time)
        ]
        sent = b"".join(b"$%d\r\n%b\r\n" % (len(field), field) for field in fields)
        return b"*%d\r\n$5\r\nHMGET\r\n" % (len(fields) + 2), sent


class OnlineRows(Protocol):
    """An online store."""

    async def open(self) -> None:
        """Begin to connect; does not wait for the store."""

    async def close(self) -> None:
        """Let go of every connection."""

    async def read(self, plan: Plan, entity: EntityKeys, ids: Sequence[str]) -> Rows:
        """The rows of distinct `ids` in each view of `plan`.

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

    async def read(self, plan: Plan, entity: EntityKeys, ids: Sequence[str]) -> Rows:
        """As `OnlineRows.read`, in one statement."""
        keys = entity(ids)
        place = {key: number for number, key in enumerate(keys)}
        values: list[list[list[bytes | None] | None]] = [[None] * len(keys) for _ in plan.every]
        times: list[list[int | None]] = [[None] * len(keys) for _ in plan.every]
        features = plan.features
        for view, key, feature, value, time in await self._fetch(plan.statement, keys):
            number = place[key]
            row = values[view][number]
            if row is None:
                row = values[view][number] = [None] * len(features[view])
            at = features[view].get(feature)
            if at is not None:
                row[at] = value
                if time is not None:
                    times[view][number] = time
        return [
            [(t, r) if r is not None and t is not None else None for t, r in zip(*of, strict=True)]
            for of in zip(times, values, strict=True)
        ]

    async def _fetch(self, statement: str, keys: list[bytes]) -> list[TupleRow]:
        async with answered("the online store"):
            try:
                async with self._pool.connection() as connection:
                    return await _execute(connection, statement, keys)
            except OperationalError:  # the server was started anew since this connection was made
                await self._pool.check()
                async with self._pool.connection() as connection:
                    return await _execute(connection, statement, keys)


class RedisRows:
    """Rows from the hashes, one for each key, in which Feast keeps the features of every view."""

    def __init__(self, options: dict[str, Any]) -> None:
        kind = redis.asyncio.SSLConnection if options.pop("ssl", False) else redis.asyncio.Connection
        self._pool = redis.asyncio.BlockingConnectionPool(
            connection_class=kind,
            max_connections=CONNECTIONS,
            timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            **options,
        )

    async def open(self) -> None:
        """As `OnlineRows.open`; a connection is made with the first read."""

    async def close(self) -> None:
        """As `OnlineRows.close`."""
        await self._pool.disconnect()

    async def read(self, plan: Plan, entity: EntityKeys, ids: Sequence[str]) -> Rows:
        """As `OnlineRows.read`, in one round trip."""
        head, tail = plan.command
        keys = entity(ids, REDIS_TAIL)
        sent = b"".join(b"%b$%d\r\n%b\r\n%b" % (head, len(key), key, tail) for key in keys)
        found: Rows = [[] for _ in plan.every]
        for reply in await self._ask(sent, len(keys)):
            start = 0
            for names, rows in zip(plan.features, found, strict=True):
                end = start + len(names)
                time = reply[end]
                rows.append(None if time is None else (_microseconds(time), reply[start:end]))
                start = end + 1
        return found

    async def _ask(self, sent: bytes, answers: int) -> list[list[bytes | None]]:
        """Send commands that are packed already, which the client would do at thrice the cost, and await each reply."""
        async with answered("the online store"):
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            try:
                await connection.send_packed_command(sent)
                return [await connection.read_response() for _ in range(answers)]
            except BaseException:
                await connection.disconnect()  # else the next reader would be given what is still on its way
                raise
            finally:
                await self._pool.release(connection)


async def _execute(connection: AsyncConnection[TupleRow], statement: str, keys: list[bytes]) -> list[TupleRow]:
    cursor = await connection.execute(statement, {"keys": keys}, prepare=True, binary=True)
    return await cursor.fetchall()


@lru_cache(maxsize=1024)
def _microseconds(stored: bytes) -> int:
    return int(Timestamp.FromString(stored).ToMicroseconds())
