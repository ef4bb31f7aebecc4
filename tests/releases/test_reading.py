"""What is written is what is read, for every type, through stock Feast; and blocks of two releases never mix."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tasks import schema
from tasks.errors import ReleaseError
from tasks.releases.manifest import Manifest, release_name
from tasks.releases.offline import write_offline
from tests.releases.planted import AS_OF, ugly

pytestmark = pytest.mark.slow  # real stores


@pytest.fixture
def served_ugly(rooms, store):
    """A live release of ugly values, read back whole: by table, the offline frame and the profiles of its keys."""
    home, live = rooms.stores.home_of(store), rooms.publishing.live(store)
    refs = {t.name: f"{t.name}@ugly" for t in schema.SERVED}
    name = release_name(AS_OF, refs)
    blocks = {t.name: write_offline(home, name, t, [ugly(t)], as_of=AS_OF) for t in schema.SERVED}
    manifest = Manifest(name, AS_OF, refs, blocks, (live,) if live else ())
    rooms.publishing.apply_views(store, manifest)
    for table in schema.SERVED:
        rooms.publishing.materialize(store, manifest, table, shards=1)
    rooms.verifying.verify(store, manifest)
    return manifest


def test_every_value_comes_back(rooms, store, served_ugly):
    for read, entity in ((rooms.reading.read_user, "user"), (rooms.reading.read_item, "item")):
        for table in (t for t in schema.SERVED if t.entity == entity):
            rows = ugly(table)
            profiles = read(store, rows[table.key[0]].tolist(), release=served_ugly.name)
            for (_, row), profile in zip(rows.iterrows(), profiles, strict=True):
                block = profile.blocks[table.name]
                assert block.as_of == AS_OF
                for column in table.features:
                    _assert_same(row[column.name], block.values[column.name], column.type)


def test_mixed_blocks_are_an_error(rooms, store, served_ugly):
    rows = ugly(schema.USER_STYLE).assign(release="r19990101_00000000").head(1)
    store.write_to_online_store(f"user_style__{served_ugly.name}", rows)
    with pytest.raises(ReleaseError, match="answered by releases r19990101_00000000, r20260301"):
        rooms.reading.read_user(store, ["user-0"], release=served_ugly.name)


@pytest.mark.parametrize(
    ("kept", "read", "kind", "same"),
    [
        (None, None, "string", True),
        (np.nan, None, "float32", True),
        (None, "", "string", False),
        ("a", None, "string", False),
        (np.float32(0.1), 0.10000000149011612, "float32", True),
        (np.float32(0.1), 0.1, "float32", True),
        (np.float32(0.1), 0.1000001, "float32", False),
        (np.array([np.nan, 1], np.float32), [float("nan"), 1.0], "list<float32>", True),
        (np.array([], np.float32), [], "list<float32>", True),
        (np.array([], np.float32), None, "list<float32>", False),
        (np.array([1], np.float32), [1.0, 1.0], "list<float32>", False),
        (np.array(["a"], object), ["a"], "list<string>", True),
        (np.array(["a"], object), ["b"], "list<string>", False),
        (7, 7, "int64", True),
        (2**53 + 1, 2**53, "int64", False),
        (AS_OF, datetime(2026, 3, 1, tzinfo=UTC), "timestamp", True),
        (AS_OF, datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC), "timestamp", False),
    ],
)
def test_same(rooms, kept, read, kind, same):
    column = schema.Column("x", kind, "")
    assert rooms.verifying.same(kept, read, column) is same


def _assert_same(kept, read, kind):
    if kept is None:
        assert read is None
    elif kind == "list<float32>":
        np.testing.assert_array_equal(np.asarray(kept, np.float32), np.asarray(read, np.float32))
    elif kind == "timestamp":
        assert read == kept.floor("s")
    elif kind == "float32":
        assert np.float32(read) == np.float32(kept)
    elif kind.startswith("list"):
        assert list(read) == list(kept)
    else:
        assert read == kept
