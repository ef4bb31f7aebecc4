"""What every online store keeps to, whichever it is: one suite over the embedded PostgreSQL, a given one, and Redis."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from tasks import schema
from tasks.errors import ReleaseError
from tasks.releases.changes import base_path
from tasks.releases.manifest import Manifest, release_name, schema_digest
from tasks.releases.offline import write_offline
from tests.releases.planted import AS_OF, FRESH, frame

pytestmark = pytest.mark.slow  # real stores
ROOT = Path(__file__).parents[2]
GIVEN = "postgresql://postgres@127.0.0.1:5432/postgres"
USERS = 40
KILLED = """
import json, os, signal, sys
from feast import FeatureStore
from tasks.releases import offline, writing, writing_postgres, writing_redis
from tasks.releases.manifest import Manifest, served

def half(path, chosen):
    for batch in offline.read_rows(path, chosen):
        yield batch.slice(0, batch.num_rows // 2)
        os.kill(os.getpid(), signal.SIGKILL)

writing_postgres.read_rows = writing_redis.read_rows = half
manifest = Manifest.from_json(json.loads(sys.argv[2]))
writing.write_shard(FeatureStore(repo_path=sys.argv[1]), manifest, served(sys.argv[3]))
"""
"""Writes half of a table's rows, then dies without a word."""


@pytest.fixture(scope="session")
def given_store(rooms, folder):
    """A database of the session's own on the PostgreSQL of this machine."""
    name = f"penchant_contract_{os.getpid()}"
    try:
        server = psycopg.connect(GIVEN, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL at 127.0.0.1:5432")
    with server:
        server.execute(f"CREATE DATABASE {name}")
        dsn = GIVEN.rsplit("/", 1)[0] + "/" + quote(name)
        yield rooms.stores.open_store(folder / "given", kind="postgres", postgres_dsn=dsn, registry_ttl=1)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["embedded", "given", "redis"])
def store(request):
    names = {"embedded": "pg_store", "given": "given_store", "redis": "redis_store"}
    return request.getfixturevalue(names[request.param])


@pytest.fixture
def publish(rooms, store):
    """Publish a release whose rows are those of `seed`, but for the users that `changed` names, of that seed."""

    def put(seed, *, users=USERS, changed=(), other=0, flip=True, day=0, materialize=None):
        home, as_of = rooms.stores.home_of(store), AS_OF + timedelta(days=day)
        live = rooms.publishing.live(store)
        refs = {t.name: f"{t.name}@{seed}-{users}-{sorted(changed)}-{other}" for t in schema.SERVED}
        name = release_name(as_of, refs)
        blocks = {}
        for table in schema.SERVED:
            rows, others = (frame(table, users, as_of=as_of, seed=s) for s in (seed, other))
            rows = pd.concat([others[others.index.isin(changed)], rows[~rows.index.isin(changed)]])
            blocks[table.name] = write_offline(home, name, table, [rows], as_of=as_of)
        manifest = Manifest(name, as_of, refs, blocks, (live,) if live else (), schema=schema_digest())
        rooms.publishing.apply_views(store, manifest)
        for table in schema.SERVED:
            for shard in range(2):
                (materialize or rooms.publishing.materialize)(store, manifest, table, shard=shard, shards=2)
        rooms.verifying.verify(store, manifest, sample=users)
        if flip:
            rooms.publishing.flip(store, manifest)
        return manifest

    return put


@pytest.fixture
def sent(rooms, monkeypatch):
    """How many rows are sent to the store, and how many of them were to be copied inside it."""
    counts = []
    for room in (rooms.writing.writing_postgres, rooms.writing.writing_redis):
        true = room.write
        monkeypatch.setattr(room, "write", lambda *a, true=true: counts.append(true(*a)))
    return counts


def activity(rooms, store, user, release=None):
    """What is known of a user's activity, and since when."""
    block = rooms.reading.read_user(store, [user], FRESH, release=release)[0].blocks["user_activity"]
    return block.values.get("events"), block.as_of


def pushed(user, events, time):
    return pd.DataFrame({"user_id": [user], "as_of": [time], "events": [events], "texts": [1], "language": [None],
                         "last_event": [AS_OF]})  # fmt: skip


def test_only_changed_rows_are_sent_and_all_are_read(rooms, store, publish, sent):
    first = publish(1)
    sent.clear()
    second = publish(1, changed=[3, 4], other=2, day=1)
    assert sum(sent) == 2 * len(schema.SERVED)  # `verify` has compared every row of the second with its file
    assert rooms.reading.read_user(store, ["user-1"], FRESH)[0].release == second.name
    assert activity(rooms, store, "user-1")[1] == second.as_of
    assert activity(rooms, store, "user-1", first.name)[1] == first.as_of
    rooms.verifying.verify(store, first, sample=USERS)


def test_users_who_come_and_go(rooms, store, publish):
    publish(11, users=USERS)
    fewer = publish(11, users=USERS - 1, day=1)
    assert activity(rooms, store, f"user-{USERS - 1}") == (None, None)
    back = publish(11, users=USERS + 1, day=2)
    assert activity(rooms, store, f"user-{USERS}")[1] == back.as_of
    rooms.verifying.verify(store, fewer, sample=USERS)


def test_a_chain_of_releases_and_a_branch_of_it(rooms, store, publish, sent):
    first = publish(21)
    chain = [publish(21, changed=list(range(n)), other=22, day=n) for n in range(1, 4)]
    sent.clear()
    rooms.publishing.roll_back(store, first.name)
    branch = publish(21, changed=[30], other=23, day=9)
    assert sum(sent) == len(schema.SERVED)
    for manifest in (first, *chain, branch):
        rooms.verifying.verify(store, manifest, sample=USERS)


def test_a_release_that_changes_much_stands_alone_but_is_not_sent_twice(rooms, store, publish, sent):
    publish(31)
    near = publish(31, changed=range(8), other=32, day=1)
    sent.clear()
    far = publish(31, changed=range(16), other=32, day=2)  # 8 more; with the 8 of its parent beyond what may lie beside
    assert sum(sent) == 8 * len(schema.SERVED)
    base = base_path(rooms.stores.home_of(store), far.name, schema.USER_STYLE)
    assert base.is_file() == (store.config.online_store.type == "postgres")
    rooms.verifying.verify(store, near, sample=USERS)


def test_rows_outlive_the_release_that_wrote_them_and_no_more(rooms, store, publish):
    first = publish(41)
    second = publish(41, changed=[1], other=42, day=1)
    third = publish(41, changed=[1, 2], other=42, day=2)
    assert first.name in rooms.publishing.retire(store, 2)
    rooms.verifying.verify(store, second, sample=USERS)
    rooms.verifying.verify(store, third, sample=USERS)
    publish(43, day=3)
    rooms.publishing.retire(store, 1)
    assert _left(rooms, store, [first.name, second.name, third.name]) == []
    assert not base_path(rooms.stores.home_of(store), first.name, schema.USER_STYLE).exists()


@pytest.mark.parametrize(("seconds", "wins"), [(-1, False), (0, False), (1, True)])
def test_a_pushed_row_wins_where_it_is_newer(rooms, store, publish, seconds, wins):
    manifest = publish(51 + seconds)
    before = activity(rooms, store, "user-5")
    time = manifest.as_of + timedelta(seconds=seconds)
    assert rooms.writing.write_rows(store, manifest, {"user_activity": pushed("user-5", 777, time)}) == wins
    assert activity(rooms, store, "user-5") == ((777, time) if wins else before)
    again = pushed("user-5", 778, time)
    assert rooms.writing.write_rows(store, manifest, {"user_activity": again}) == 0
    later = pushed("user-5", 779, manifest.as_of + timedelta(seconds=2))
    assert rooms.writing.write_rows(store, manifest, {"user_activity": later}) == 1
    assert activity(rooms, store, "user-5")[0] == 779
    rooms.verifying.verify(store, manifest, sample=USERS)  # what was pushed over a live release is no fault of it


def test_what_is_pushed_is_over_one_release_only(rooms, store, publish):
    first = publish(61)
    time = first.as_of + timedelta(seconds=1)
    rows = {"user_activity": pushed("user-5", 777, time), "user_style": frame(schema.USER_STYLE, 6, as_of=time).tail(1)}
    assert rooms.writing.write_rows(store, first, rows) == 2
    assert rooms.writing.write_rows(store, first, {"user_activity": pushed("newcomer", 5, time)}) == 1
    second = publish(61, changed=[1], other=62, day=1)
    assert activity(rooms, store, "user-5")[0] != 777
    assert activity(rooms, store, "newcomer") == (None, None)
    assert activity(rooms, store, "user-5", first.name) == (777, time)
    assert activity(rooms, store, "newcomer", first.name) == (5, time)
    rooms.publishing.materialize(store, second, schema.USER_ACTIVITY)  # live: left as it is
    rooms.publishing.roll_back(store, first.name)
    assert activity(rooms, store, "user-5") == (777, time)


def test_pushes_are_all_or_none(rooms, store, publish):
    manifest = publish(71)
    before = activity(rooms, store, "user-5")
    time = manifest.as_of + timedelta(seconds=1)
    bad = frame(schema.ITEM_CONTENT, 1, as_of=time).assign(title="a\0b")
    with pytest.raises(ReleaseError, match="a NUL in a text"):
        rooms.writing.write_rows(store, manifest, {"user_activity": pushed("user-5", 1, time), "item_content": bad})
    assert activity(rooms, store, "user-5") == before
    with pytest.raises(ReleaseError, match="is not online"):
        rooms.writing.write_rows(store, replace(manifest, name="r1"), {"user_activity": pushed("user-5", 1, time)})


def test_absent_users_are_absent(rooms, store, publish):
    publish(81)
    known, unknown = rooms.reading.read_user(store, ["user-2", "nobody 没有"], FRESH)
    assert known.known
    assert not unknown.known


def test_a_write_that_was_killed_is_invisible_and_is_done_by_doing_it_again(rooms, store, publish):
    before = publish(91)

    def killed(store, manifest, table, *, shard, shards):
        """Two tables are first written by a process that is killed half-way."""
        if shard == 0 and table in (schema.USER_TOPICS, schema.RECOMMENDATIONS):
            child = subprocess.run(
                [sys.executable, "-c", KILLED, store.repo_path, json.dumps(manifest.to_json()), table.name],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=False,
            )
            assert child.returncode == -signal.SIGKILL
            assert activity(rooms, store, "user-1")[1] == before.as_of
            assert rooms.publishing.live(store) == before.name
        return rooms.publishing.materialize(store, manifest, table, shard=shard, shards=shards)

    after = publish(92, day=1, materialize=killed)
    assert activity(rooms, store, "user-1")[1] == after.as_of


def _left(rooms, store, names):
    """Whatever of releases `names` is still online."""
    if store.config.online_store.type == "postgres":
        found = sa.inspect(rooms.stores.engine_of(store))
        return [t for t in found.get_table_names() + found.get_view_names() if any(name in t for name in names)]
    client = rooms.writing.redis_of(store)
    fields = {f for name in names for t in schema.SERVED for f in rooms.writing.writing_redis.hash_fields(name, t)}
    return [f for key in client.scan_iter() if client.type(key) == b"hash" for f in client.hkeys(key) if f in fields]
