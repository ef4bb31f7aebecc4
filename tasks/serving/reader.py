"""One read: every view of one release, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from feast.protos.feast.types.Value_pb2 import Value

from tasks import schema
from tasks.columns import Column
from tasks.errors import ReleaseError
from tasks.releases.freshness import RECOMMENDED_FROM
from tasks.releases.locating import EntityKeys, Pointer
from tasks.releases.reading import check_ids
from tasks.serving.connecting import ViewsGone
from tasks.serving.registry import Registry
from tasks.serving.rows import OnlineRows, Plan, Row

TRIES = 3
"""Readings of the registry for one request; two suffice for a switch, and a third for one right behind it."""
PLANS = 256
"""Kinds of request, over all releases asked for, of which the plan is remembered."""
_ENTITIES = {column.name: EntityKeys(column.name) for column in (schema.USER_ID, schema.ITEM_ID)}


@dataclass(frozen=True)
class Found:
    """What one release knows of some keys: by view, by key, a row or None."""

    release: str
    plan: Plan
    rows: Sequence[Sequence[Row | None]]


class Reader:
    """Reads of a store through a registry; raises what they raise, and `RequestError` for ids that cannot be."""

    def __init__(self, registry: Registry, online: OnlineRows) -> None:
        self.registry = registry
        self._online = online
        self._plans: dict[tuple[str, ...], Plan] = {}

    async def open(self) -> None:
        """Begin to connect."""
        await self.registry.open()
        await self._online.open()

    async def close(self) -> None:
        """Let go of every connection."""
        await self._online.close()
        await self.registry.close()

    async def read(
        self, services: Sequence[str], key: Column, ids: Sequence[str], *, release: str | None = None
    ) -> Found:
        """The rows of `ids`, in their order, in every view of `services`; of the live release, or of the one named.

        Every row must name the release that the registry named, else both are read again. Raises `ReleaseError`
        where that does not help.
        """
        check_ids(key, ids)
        distinct = list(dict.fromkeys(ids))
        for attempt in range(TRIES):
            pointer = await self._pointer(release, anew=attempt > 0)
            plan = self._plan(pointer, services)
            try:
                rows = await self._online.read(plan, _ENTITIES[key.name], distinct)
            except ViewsGone:
                continue
            if release:
                await self.registry.still_there(release)
            if _all_of(pointer.release, plan, rows):
                return Found(pointer.release, plan, _in_order(rows, distinct, ids))
        raise ReleaseError(
            f"release {release or 'that is live'} has lost rows or views; publish it again, or roll back"
        )

    async def _pointer(self, release: str | None, *, anew: bool) -> Pointer:
        return await self.registry.named(release) if release else await self.registry.live(anew=anew)

    def _plan(self, pointer: Pointer, services: Sequence[str]) -> Plan:
        asked = (pointer.release, *services)
        if asked not in self._plans:
            while len(self._plans) >= PLANS:
                del self._plans[next(iter(self._plans))]
            self._plans[asked] = _plan(pointer, services)
        return self._plans[asked]


def _plan(pointer: Pointer, services: Sequence[str]) -> Plan:
    """The views to read whole, and those whose time tells whether recommendations were built on stale blocks."""
    whole = tuple(view for name in services for view in pointer.services[name])
    tables = {view.table for view in whole}
    if schema.RECOMMENDATIONS.name not in tables:
        return Plan(whole, ())
    every = (view for views in pointer.services.values() for view in views)
    return Plan(whole, tuple(view for view in every if view.table in RECOMMENDED_FROM and view.table not in tables))


def _all_of(release: str, plan: Plan, rows: Sequence[Sequence[Row | None]]) -> bool:
    """Whether every row says that it is of `release`."""
    said = Value(string_val=release).SerializeToString()
    places = (names[schema.RELEASE.name] for names in plan.features)
    return all(row is None or row[1][at] == said for at, of in zip(places, rows, strict=True) for row in of)


def _in_order(
    rows: Sequence[Sequence[Row | None]], distinct: Sequence[str], ids: Sequence[str]
) -> Sequence[Sequence[Row | None]]:
    """Rows of distinct ids as rows of ids, which may repeat."""
    if len(distinct) == len(ids):
        return rows
    place = {key: number for number, key in enumerate(distinct)}
    return [[of[place[key]] for key in ids] for of in rows]
