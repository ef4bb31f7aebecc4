"""From staged to live and back, on real stores: whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from tasks import schema
from tasks.errors import ReleaseError
from tasks.releases.offline import offline_path, read_offline
from tests.releases.planted import FRESH, plant

pytestmark = pytest.mark.slow  # real stores, and processes that import Feast
ROOT = Path(__file__).parents[2]


def test_publish_switch_and_roll_back(rooms, store, put_online):
    first = put_online(store, 1)
    assert rooms.publishing.live(store) == first.name
    staged = put_online(store, 2, flip=False)
    assert rooms.publishing.live(store) == first.name
    assert rooms.reading.read_user(store, ["user-1"], FRESH)[0].release == first.name
    rooms.publishing.flip(store, staged, by="ann")
    assert rooms.reading.read_user(store, ["user-1"], FRESH)[0].release == staged.name
    rooms.publishing.roll_back(store, first.name, by="ben")
    assert rooms.reading.read_user(store, ["user-1"], FRESH)[0].release == first.name
    assert rooms.reading.read_item(store, ["item-1"], FRESH)[0].release == first.name
    back, there = rooms.publishing.history(store)[:2]
    assert (back.release, back.previous, back.action, back.by) == (first.name, staged.name, "roll back", "ben")
    assert (there.release, there.previous, there.action, there.by) == (staged.name, first.name, "publish", "ann")
    assert [r.name for r in rooms.publishing.releases(store) if r.live] == [first.name]


def test_the_switch_of_three_services_is_one_transaction(rooms, pg_store, put_online, monkeypatch):
    before = put_online(pg_store, 11)
    staged = put_online(pg_store, 12, flip=False)
    monkeypatch.setattr(rooms.ledger, "record", lambda *_: (_ for _ in ()).throw(RuntimeError("killed here")))
    with pytest.raises(RuntimeError, match="killed here"):  # all three services are written by now
        rooms.publishing.flip(pg_store, staged)
    pg_store.refresh_registry()
    tags = {pg_store.get_feature_service(name).tags["release"] for name in schema.SERVICES}
    assert tags == {before.name}


def test_an_absent_user_is_absent(rooms, store, put_online):
    put_online(store, 21)
    known, unknown = rooms.reading.read_user(store, ["user-2", "nobody 没有"], FRESH)
    assert known.known
    assert {b.status for b in known.blocks.values()} == {"PRESENT"}
    assert not unknown.known
    assert {b.status for b in unknown.blocks.values()} == {"ABSENT"}
    assert all(b.as_of is None and not b.values for b in unknown.blocks.values())
    assert rooms.reading.read_user(store, [], FRESH) == []


def test_a_user_known_to_some_tables_only(rooms, store, put_online):
    """A user may have activity and no topics; the blocks that are not there say so."""
    manifest = put_online(store, 22, flip=False)
    later = manifest.as_of + timedelta(seconds=1)
    frame = pd.DataFrame({"user_id": ["half"], "as_of": [later]})
    frame = frame.assign(events=3, texts=0, language="zh", last_event=[manifest.as_of])
    rooms.writing.write_rows(store, manifest, {"user_activity": frame})
    profile = rooms.reading.read_user(store, ["half"], FRESH, release=manifest.name)[0]
    present = [name for name, block in profile.blocks.items() if block.status == "PRESENT"]
    assert present == ["user_activity"]
    assert profile.blocks["user_activity"].values["language"] == "zh"
    assert profile.blocks["user_activity"].as_of == later


def test_unknown_releases_are_named(rooms, pg_store, put_online):
    name = put_online(pg_store, 31).name
    with pytest.raises(ReleaseError, match=f"did you mean {name}"):
        rooms.publishing.roll_back(pg_store, name[:-1] + "x")
    with pytest.raises(ReleaseError, match="there is no release 'r1'"):
        rooms.reading.read_user(pg_store, ["user-1"], FRESH, release="r1")


def test_only_verified_releases_go_live(rooms, store):
    live = rooms.publishing.live(store)
    manifest = plant(rooms.stores.home_of(store), 41, parents=(live,) if live else ())
    rooms.publishing.apply_views(store, manifest)
    with pytest.raises(ReleaseError, match="not verified"):
        rooms.publishing.flip(store, manifest)
    with pytest.raises(ReleaseError, match="never live"):
        rooms.publishing.roll_back(store, manifest.name)
    with pytest.raises(ReleaseError, match="user_topics"):
        rooms.verifying.verify(store, manifest)
    assert rooms.publishing.live(store) == live


def test_a_release_that_was_overtaken_does_not_go_live(rooms, pg_store, put_online):
    late = put_online(pg_store, 51, flip=False)
    winner = put_online(pg_store, 52)
    with pytest.raises(ReleaseError, match=f"{winner.name} has become live since"):
        rooms.publishing.flip(pg_store, late)
    assert rooms.publishing.live(pg_store) == winner.name


def test_a_live_release_is_never_changed(rooms, pg_store, put_online):
    manifest = put_online(pg_store, 53)
    home = rooms.stores.home_of(pg_store)
    other = plant(home, 54)
    for table in schema.SERVED:  # the same name over other rows
        source = offline_path(home, other.name, table)
        offline_path(home, manifest.name, table).write_bytes(source.read_bytes())
    forged = type(manifest)(**{**manifest.__dict__, "blocks": other.blocks})
    with pytest.raises(ReleaseError, match="never changed"):
        rooms.publishing.apply_views(pg_store, forged)


def test_verify_says_what_differs_and_no_value(rooms, store, put_online):
    manifest = put_online(store, 61, flip=False)
    frame = next(read_offline(offline_path(rooms.stores.home_of(store), manifest.name, schema.USER_STYLE)))
    frame.at[0, "axes"] = ["private words"]
    frame = frame.head(1).assign(as_of=manifest.as_of + timedelta(seconds=1)).drop(columns="release")
    rooms.writing.write_rows(store, manifest, {"user_style": frame})
    with pytest.raises(ReleaseError, match=r"user_style: online differs from offline in axes \(1 of 5 rows\)") as error:
        rooms.verifying.verify(store, manifest)
    assert "private" not in str(error.value)
    rooms.publishing.materialize(store, manifest, schema.USER_STYLE)
    rooms.verifying.verify(store, manifest)


def test_verify_counts_rows(rooms, pg_store):
    live = rooms.publishing.live(pg_store)
    manifest = plant(rooms.stores.home_of(pg_store), 62, users=30, parents=(live,) if live else ())
    rooms.publishing.apply_views(pg_store, manifest)
    shards = [rooms.publishing.materialize(pg_store, manifest, schema.USER_TOPICS, shard=i, shards=4) for i in range(3)]
    with pytest.raises(ReleaseError, match=f"30 rows offline, but online .*{sum(shards)}"):
        rooms.verifying.verify(pg_store, manifest)


def test_retire_frees_everything_but_what_is_kept(rooms, store, put_online):
    oldest, pinned, previous, current = (put_online(store, seed) for seed in (71, 72, 73, 74))
    half_written = plant(rooms.stores.home_of(store), 75)
    rooms.publishing.apply_views(store, half_written)
    gone = rooms.publishing.retire(store, 2, pinned=[pinned.name])
    assert oldest.name in gone
    assert not {pinned.name, previous.name, current.name, half_written.name} & set(gone)
    views = {view.name for view in store.list_feature_views()}
    assert not [v for v in views if any(name in v for name in gone)]
    assert {f"{t.name}__{current.name}" for t in schema.SERVED} <= views
    folders = {p.name for p in (rooms.stores.home_of(store) / "releases").iterdir()}
    assert not folders & set(gone)
    if store.config.online_store.type == "postgres":
        assert not [t for t in _relations(rooms, store) if any(name in t for name in gone)]
    assert rooms.reading.read_user(store, ["user-1"], FRESH)[0].release == current.name
    assert rooms.reading.read_user(store, ["user-1"], FRESH, release=pinned.name)[0].release == pinned.name
    with pytest.raises(ReleaseError, match="was retired"):
        rooms.publishing.roll_back(store, oldest.name)


def test_a_removal_that_was_stopped_is_finished(rooms, pg_store, put_online, monkeypatch):
    oldest = put_online(pg_store, 81)
    put_online(pg_store, 82)
    monkeypatch.setattr(rooms.writing, "remove", lambda *_: (_ for _ in ()).throw(RuntimeError("killed here")))
    with pytest.raises(RuntimeError, match="killed here"):
        rooms.publishing.retire(pg_store, 1)
    monkeypatch.undo()
    assert oldest.name in rooms.publishing.retire(pg_store, 1)
    assert rooms.publishing.retire(pg_store, 1) == []
    assert not [t for t in _relations(rooms, pg_store) if oldest.name in t]


def test_a_publisher_killed_before_the_switch_changes_nothing(rooms, pg_store, put_online):
    before = put_online(pg_store, 91)
    home = rooms.stores.home_of(pg_store)
    manifest = plant(home, 92, users=40, parents=(before.name,))
    script = """
import json, sys, time
from pathlib import Path
from tasks import schema
from tasks.releases import publishing, stores
from tasks.releases.manifest import Manifest
store = stores.open_store(Path(sys.argv[1]), registry_ttl=1)
manifest = Manifest.from_json(json.loads(sys.argv[2]))
with publishing.publishing(store, "everything", by="the one to be killed"):
    publishing.apply_views(store, manifest)
    for table in schema.SERVED[:4]:
        publishing.materialize(store, manifest, table, shard=0, shards=2)
    print("ready", flush=True)
    time.sleep(120)
"""
    process = _python(script, str(home), json.dumps(manifest.to_json()))
    try:
        assert process.stdout.readline().strip() == "ready"
        with pytest.raises(ReleaseError, match="another publisher is at work: penchant everything by the one to be k"):
            rooms.publishing.apply_views(pg_store, manifest)
        with pytest.raises(ReleaseError, match="another publisher"):
            rooms.publishing.roll_back(pg_store, before.name)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
    assert rooms.publishing.live(pg_store) == before.name
    assert rooms.reading.read_user(pg_store, ["user-1"], FRESH)[0].release == before.name
    _until_free(rooms, pg_store)
    rooms.publishing.apply_views(pg_store, manifest)
    for table in schema.SERVED:
        rooms.publishing.materialize(pg_store, manifest, table)
    rooms.verifying.verify(pg_store, manifest)
    rooms.publishing.flip(pg_store, manifest)
    assert rooms.reading.read_user(pg_store, ["user-1"], FRESH)[0].release == manifest.name


def test_another_process_with_only_feast_reads_whole_releases(rooms, store, put_online):
    first, second = put_online(store, 95), put_online(store, 96)
    script = """
import json, sys, time
from feast import FeatureStore
store = FeatureStore(repo_path=sys.argv[1])
print("ready", flush=True)
seen, mixed, reads, end = [], 0, 0, time.monotonic() + 12
while time.monotonic() < end and len(seen) < 4:
    service = store.get_feature_service("user_interest", allow_cache=reads % 2 == 0)
    rows = store.get_online_features(service, [{"user_id": "user-1"}, {"user_id": "user-3"}], full_feature_names=True)
    found = {v for name, values in rows.to_dict().items() if name.endswith("__release") for v in values}
    mixed, reads = mixed + (len(found) != 1), reads + 1
    if not seen or seen[-1] not in found:
        seen += sorted(found)
print(json.dumps({"seen": seen, "mixed": mixed, "reads": reads, "tasks": "tasks" in sys.modules}))
"""
    process = _python(script, str(rooms.stores.home_of(store) / "feature_repo"))
    assert process.stdout.readline().strip() == "ready"
    for name in (first.name, second.name, first.name):
        time.sleep(2)
        rooms.publishing.roll_back(store, name)
    said, _ = process.communicate(timeout=60)
    answer = json.loads(said)
    assert process.returncode == 0
    assert answer["mixed"] == 0
    assert answer["seen"] == [second.name, first.name, second.name, first.name]
    assert answer["reads"] > 50
    assert not answer["tasks"]


def _python(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def _relations(rooms, store) -> list[str]:
    """Names of all tables and views in the registry's database."""
    found = sa.inspect(rooms.stores.engine_of(store))
    return found.get_table_names() + found.get_view_names()


def _until_free(rooms, store) -> None:
    """PostgreSQL notices within moments that a killed process is gone."""
    for _ in range(50):
        try:
            with rooms.publishing.publishing(store, "look"):
                return
        except ReleaseError:
            time.sleep(0.1)
    raise AssertionError("the lock of a killed process was not freed")
