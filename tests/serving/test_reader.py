"""One answer is of one release, whatever happens between two readings of the registry."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from feast.protos.feast.types.Value_pb2 import Value

from tasks import schema
from tasks.errors import ReleaseError, RequestError
from tasks.releases.locating import Pointer, StoredView
from tasks.serving.connecting import ViewsGone
from tasks.serving.reader import TRIES, Reader
from tasks.serving.registry import EXPIRE_S, RENEW_S, Registry
from tasks.serving.rows import Plan

USER = schema.USER_ID


def pointer_to(release: str) -> Pointer:
    return Pointer(
        release,
        {
            name: tuple(StoredView(t.name, f"{t.name}__{release}", ("x", "release")) for t in tables)
            for name, tables in schema.SERVICES.items()
        },
    )


class FakeRegistry:
    """Says, one after the other, which release is live."""

    def __init__(self, *releases: str) -> None:
        self.releases, self.asked = list(releases), 0
        self.retired: set[str] = set()

    async def live(self, *, anew: bool = False) -> Pointer:
        self.asked += anew
        if anew and len(self.releases) > 1:
            del self.releases[0]
        return pointer_to(self.releases[0])

    async def named(self, release: str) -> Pointer:
        return pointer_to(release)

    async def still_there(self, release: str) -> None:
        if release in self.retired:
            raise ReleaseError("retired")


class FakeRows:
    """Rows that say what they are told to; an exception among them is raised."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)

    async def read(self, plan: Plan, entity: Any, ids: Any) -> Any:
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        stored = Value(string_val=said).SerializeToString()
        return [[(0, [stored if name == "release" else b"" for name in of]) for _ in ids] for of in plan.features]


def read(registry: Any, rows: Any, ids: Any = ("u",), **keywords: Any) -> Any:
    return asyncio.run(Reader(registry, rows).read(["user_interest"], USER, ids, **keywords))


def test_rows_of_another_release_are_read_again() -> None:
    registry = FakeRegistry("r1", "r2")
    assert read(registry, FakeRows("r2", "r2")).release == "r2"
    assert registry.asked == 1


def test_views_that_went_away_are_looked_up_again() -> None:
    assert read(FakeRegistry("r1", "r2"), FakeRows(ViewsGone("x"), "r2")).release == "r2"


@pytest.mark.parametrize("says", ["r0", ViewsGone("x")])
def test_what_stays_wrong_is_an_error_and_never_an_answer(says: Any) -> None:
    registry = FakeRegistry("r1")
    with pytest.raises(ReleaseError, match="has lost rows or views"):
        read(registry, FakeRows(says))
    assert registry.asked == TRIES - 1


def test_a_release_that_was_retired_while_it_was_read_is_no_answer() -> None:
    registry = FakeRegistry("r2")
    assert read(registry, FakeRows("r1"), release="r1").release == "r1"
    registry.retired.add("r1")
    with pytest.raises(ReleaseError, match="retired"):
        read(registry, FakeRows("r1"), release="r1")


def test_ids_that_repeat_are_read_once_and_answered_each_time() -> None:
    class Counting(FakeRows):
        async def read(self, plan: Plan, entity: Any, ids: Any) -> Any:
            assert ids == ["b", "a"]
            found = await super().read(plan, entity, ids)
            return [[(number, row[1]) for number, row in enumerate(of)] for of in found]

    found = read(FakeRegistry("r1"), Counting("r1"), ["b", "a", "b"])
    assert [[row[0] for row in of] for of in found.rows] == [[0, 1, 0]] * len(schema.USER_BLOCKS)


@pytest.mark.parametrize("bad", ["a\0b", "x" * 129, 42, None, "\ud800", True])
def test_an_id_that_cannot_be_is_refused_without_being_told(bad: Any) -> None:
    with pytest.raises(RequestError, match=r"user_id\[1\]") as raised:
        read(FakeRegistry("r1"), FakeRows("r1"), ["good", bad])
    assert "xxx" not in str(raised.value)


def test_recommendations_bring_the_times_of_what_they_are_made_from() -> None:
    reader = Reader(FakeRegistry("r1"), FakeRows("r1"))  # type: ignore[arg-type]
    found = asyncio.run(reader.read(["recommendations"], USER, ["u"]))
    assert [view.table for view in found.plan.views] == ["user_recommendations"]
    assert {view.table for view in found.plan.dated} == {"user_vectors", "user_topics", "user_evolution"}
    found = asyncio.run(reader.read(["user_interest", "recommendations"], USER, ["u"]))
    assert not found.plan.dated


class Timed(Registry):
    """A registry whose readings are counted and whose clock is turned by hand."""

    def __init__(self) -> None:
        self.time, self.readings, self.down = 0.0, 0, False
        super().__init__("host=127.0.0.1", clock=lambda: self.time)

    async def _read(self, release: str | None) -> Pointer:
        if self.down:
            raise ReleaseError("down")
        self.readings += 1
        return pointer_to(f"r{self.readings}")


def test_the_pointer_is_renewed_beside_requests_and_expires() -> None:
    async def run() -> None:
        registry = Timed()
        together = await asyncio.gather(*(registry.live() for _ in range(50)))
        assert {pointer.release for pointer in together} == {"r1"}
        assert registry.readings == 1
        registry.time = RENEW_S
        assert (await registry.live()).release == "r1"  # the old one still, while the new one is read
        await asyncio.sleep(0)
        assert (await registry.live()).release == "r2"
        registry.time += EXPIRE_S
        registry.down = True
        with pytest.raises(ReleaseError, match="down"):
            await registry.live()
        registry.down = False
        assert (await registry.live()).release == "r3"

    asyncio.run(run())
