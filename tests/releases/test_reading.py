"""What is written is what is read, for every type, through stock Feast; and blocks of two releases never mix."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import requests
import sqlalchemy as sa

from tasks import schema
from tasks.errors import ReleaseError
from tasks.releases.manifest import Manifest, release_name
from tasks.releases.offline import write_offline
from tests.releases.conftest import answers, free_port, wait_for
from tests.releases.planted import AS_OF, FRESH, ugly

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
            profiles = read(store, rows[table.key[0]].tolist(), FRESH, release=served_ugly.name)
            for (_, row), profile in zip(rows.iterrows(), profiles, strict=True):
                block = profile.blocks[table.name]
                assert block.as_of == AS_OF
                for column in table.features:
                    _assert_same(row[column.name], block.values[column.name], column.type)


@pytest.mark.parametrize("store", ["redis"], indirect=True)  # in PostgreSQL a release's name is its view's, not a row's
def test_mixed_blocks_are_an_error(rooms, store, served_ugly):
    rows = ugly(schema.USER_STYLE).assign(release="r19990101_00000000").head(1)
    store.write_to_online_store(f"user_style__{served_ugly.name}", rows)
    with pytest.raises(ReleaseError, match="answered by releases r19990101_00000000, r20260301"):
        rooms.reading.read_user(store, ["user-0"], FRESH, release=served_ugly.name)


def test_a_release_without_its_rows_is_said_so(rooms, pg_store, put_online):
    manifest = put_online(pg_store, 101, flip=False)
    with rooms.stores.engine_of(pg_store).begin() as connection:
        connection.execute(sa.text(f'DROP VIEW "penchant_user_style__{manifest.name}"'))
    with pytest.raises(ReleaseError, match=f"{manifest.name} has lost its views"):
        rooms.reading.read_user(pg_store, ["user-0"], FRESH, release=manifest.name)
    with pytest.raises(ReleaseError, match="user_style: it has no online table"):
        rooms.verifying.verify(pg_store, manifest)


def test_the_repository_in_the_tree_reads_the_embedded_stores(rooms, pg_store, put_online, monkeypatch):
    from feast import FeatureStore

    name = put_online(pg_store, 102).name
    monkeypatch.setenv("PWD", str(rooms.stores.home_of(pg_store).parent))
    reader = FeatureStore(repo_path=str(Path(__file__).parents[2] / "feature_repo"))
    assert rooms.reading.read_item(reader, ["item-1"], FRESH)[0].release == name


def test_the_feature_server_answers_over_http(rooms, store, put_online):
    name = put_online(store, 103).name
    port = free_port()
    repo = rooms.stores.home_of(store) / "feature_repo"
    serve = [str(Path(sys.executable).with_name("feast")), "-c", str(repo), "serve", "--host", "127.0.0.1"]
    with subprocess.Popen([*serve, "--port", str(port), "--max-requests", "0"], stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: answers(port), 90)
            asked = {
                "feature_service": "recommendations",
                "entities": {"user_id": ["user-1", "nobody"]},
                "full_feature_names": True,
            }
            answer = requests.post(f"http://127.0.0.1:{port}/get-online-features", json=asked, timeout=30).json()
        finally:
            server.terminate()
            server.wait(20)
    row = answer["metadata"]["feature_names"].index("user_recommendations__release")
    assert answer["results"][row]["values"] == [name, None]


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
