"""Pins: a named release outlives any number of newer ones, until it is let go."""

import pytest

from tasks.errors import ReleaseError

pytestmark = pytest.mark.slow  # real stores


@pytest.fixture(scope="module")
def pins():
    from tasks.releases import pins

    return pins


def test_a_pinned_release_is_kept_and_let_go(rooms, pins, pg_store, put_online):
    pinned, previous, current = (put_online(pg_store, seed) for seed in (801, 802, 803))
    pins.pin(pg_store, pinned.name, by="ann")
    pins.pin(pg_store, pinned.name, by="ben")
    assert [(p.release, p.by) for p in pins.pins(pg_store)] == [(pinned.name, "ann")]
    gone = rooms.publishing.retire(pg_store, 1, pinned=[p.release for p in pins.pins(pg_store)])
    assert previous.name in gone
    assert pinned.name not in gone
    rooms.publishing.roll_back(pg_store, pinned.name)
    rooms.publishing.roll_back(pg_store, current.name)
    pins.unpin(pg_store, pinned.name)
    assert pins.pins(pg_store) == []
    assert pinned.name in rooms.publishing.retire(pg_store, 1)


def test_what_is_not_there_is_named(pins, pg_store, put_online):
    name = put_online(pg_store, 811).name
    with pytest.raises(ReleaseError, match=f"did you mean {name}"):
        pins.pin(pg_store, name + "x")
    with pytest.raises(ReleaseError, match="is not pinned; pinned are none"):
        pins.unpin(pg_store, name)
