"""Which release is live: asked of the registry in one statement, and kept for no longer than a switch may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from psycopg.rows import TupleRow

from feature_repo.features import PROJECT
from tasks.errors import ReleaseError
from tasks.releases.locating import RETIRED_QUERY, SERVICES_QUERY, Pointer, pointer, service_names
from tasks.serving.connecting import Pool, answered, postgres_pool

RENEW_S = 1.0
"""Seconds after which the pointer is read again, beside the requests that still use it."""
EXPIRE_S = 3.0
"""Seconds after which no request uses it: with a read's own limit this stays below the time that a release, no longer
live, is kept for (`tasks.releases.stores.REGISTRY_TTL` and a second)."""
KEPT = 64
"""Pointers to releases asked for by name that are remembered."""
_RELEASE = (
    "SELECT manifest, (SELECT max(at) FROM penchant_switches WHERE release = %(name)s)"
    " FROM penchant_releases WHERE name = %(name)s"
)


class Registry:
    """The registry's database as a reader needs it."""

    def __init__(self, conninfo: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool: Pool = postgres_pool(conninfo, most=2)
        self._clock = clock
        self._live: tuple[float, Pointer] | None = None
        self._renewal: asyncio.Task[Pointer] | None = None
        self._named: dict[str, Pointer] = {}

    async def open(self) -> None:
        """Begin to connect; does not wait for the database."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Let go of every connection."""
        if self._renewal:
            self._renewal.cancel()
        await self._pool.close()

    async def live(self, *, anew: bool = False) -> Pointer:
        """Where the live release is, as of some seconds ago at most, or as of now with `anew`.

        Raises `ReleaseError` where none is live, `StoreUnavailable` where the registry does not answer.
        """
        age = self._clock() - self._live[0] if self._live else EXPIRE_S
        if anew or age >= EXPIRE_S or self._live is None:
            return await asyncio.shield(self._renewing())
        if age >= RENEW_S:
            self._renewing()
        return self._live[1]

    async def named(self, release: str) -> Pointer:
        """Where `release` is, live or not; raises `ReleaseError` where there is none of that name."""
        if release not in self._named:
            while len(self._named) >= KEPT:
                del self._named[next(iter(self._named))]
            self._named[release] = await self._read(release)
        return self._named[release]

    async def still_there(self, release: str) -> None:
        """Raise `ReleaseError` where `release` was retired: what was read of it may have been half removed."""
        rows = await self._rows(RETIRED_QUERY, (release,))
        if not rows or rows[0][1]:
            self._named.pop(release, None)
            raise ReleaseError(f"release {release!r} was retired; publish it again to use it")

    async def describe(self, release: str) -> tuple[dict[str, Any], datetime | None]:
        """The manifest of `release`, and when readers were last turned to it."""
        rows = await self._rows(_RELEASE, {"name": release})
        if not rows:
            raise ReleaseError(f"the record of releases lacks {release}; publish it again")
        return rows[0][0], rows[0][1]

    def _renewing(self) -> asyncio.Task[Pointer]:
        """The one reading of the registry that is under way, begun now where there is none."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(_seen)
        return self._renewal

    async def _renew(self) -> Pointer:
        asked = self._clock()
        found = await self._read(None)
        self._live = (asked, found)
        return found

    async def _read(self, release: str | None) -> Pointer:
        return pointer(await self._rows(SERVICES_QUERY, (PROJECT, service_names(release))), release)

    async def _rows(self, query: str, values: Any) -> list[TupleRow]:
        async with answered("the registry"), self._pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchall()


def _seen(task: asyncio.Task[Pointer]) -> None:
    """Take note of an error that nobody waits for: the next request that has to wait meets it again."""
    if not task.cancelled():
        task.exception()
