"""History: training sets hold what readers were served at the time of the label, and nothing from after it."""

from datetime import timedelta

import pandas as pd
import pytest

from tasks import schema
from tasks.errors import LeakError, ReleaseError
from tasks.releases import history_files
from tasks.releases.manifest import Manifest, release_name, schema_digest
from tasks.releases.offline import write_offline
from tests.releases.planted import AS_OF, frame

TABLE = schema.USER_ACTIVITY
DAY = timedelta(days=1)
MANY = 10_000


@pytest.fixture(scope="module")
def history():
    from tasks.releases import history

    return history


def release(home, events, day) -> Manifest:
    """A release as of `day` in which `user_activity.events` is `events[user]`; other tables have one user."""
    as_of, refs = AS_OF + day * DAY, {"made": f"of@{sorted(events.items())}"}
    name = release_name(as_of, refs)
    blocks = {}
    for table in schema.SERVED:
        rows = frame(table, 1, as_of=as_of)
        if table is TABLE:
            users = sorted(events)
            rows = frame(table, len(users), as_of=as_of).assign(user_id=users, events=[events[u] for u in users])
            rows = rows.assign(texts=1, language="en", last_event=AS_OF - DAY)
        blocks[table.name] = write_offline(home, name, table, [rows], as_of=as_of)
    return Manifest(name, as_of, refs, blocks, schema=schema_digest())


def keep(home, events, day, published=None) -> Manifest:
    manifest = release(home, events, day)
    at = manifest.as_of + timedelta(hours=1) if published is None else AS_OF + published * DAY
    assert history_files.keep(home, manifest, published_at=at)
    return manifest


def rows(home) -> list[tuple]:
    """(user, day, events) of the whole history of `TABLE`, a removed user's events None."""
    found = pd.concat([pd.read_parquet(path) for path in history_files.files_of(home, TABLE)])
    days = (found["as_of"] - pd.Timestamp(AS_OF)) // DAY
    events = found["events"].astype(object).where(found["events"].notna(), None)
    return sorted(zip(found["user_id"], days, events, strict=True))


def test_only_what_changed_is_kept(tmp_path):
    keep(tmp_path, {"ann": 1, "ben": 1}, 0)
    keep(tmp_path, {"ann": 1, "ben": 2, "cat": 1}, 1)
    keep(tmp_path, {"ann": 1, "cat": 1}, 2)
    keep(tmp_path, {"ann": 1, "ben": 2, "cat": 1}, 3)
    assert rows(tmp_path) == [
        ("ann", 0, 1), ("ben", 0, 1), ("ben", 1, 2), ("ben", 2, None), ("ben", 3, 2), ("cat", 1, 1),
    ]  # fmt: skip


def test_the_same_release_is_kept_once(tmp_path):
    manifest = keep(tmp_path, {"ann": 1}, 0)
    assert not history_files.keep(tmp_path, manifest, published_at=manifest.as_of + DAY)
    assert len(rows(tmp_path)) == 1


def test_a_release_published_late_ends_where_the_next_begins(tmp_path):
    """As of day 1, but published after the one of day 2: what holds from day 2 on stays as it was."""
    keep(tmp_path, {"ann": 1, "ben": 1, "cat": 1}, 0)
    keep(tmp_path, {"ann": 1, "ben": 2, "cat": 1}, 2)
    keep(tmp_path, {"ann": 7, "ben": 7, "dan": 7}, 1, published=5)
    assert rows(tmp_path) == [
        ("ann", 0, 1), ("ann", 1, 7), ("ann", 2, 1),
        ("ben", 0, 1), ("ben", 1, 7), ("ben", 2, 2),
        ("cat", 0, 1), ("cat", 1, None), ("cat", 2, 1),
        ("dan", 1, 7), ("dan", 2, None),
    ]  # fmt: skip


def test_rows_of_another_time_than_their_release_are_refused(tmp_path):
    manifest = release(tmp_path, {"ann": 1}, 3)
    early = Manifest(**{**manifest.__dict__, "as_of": AS_OF})
    with pytest.raises(LeakError, match="1 rows are of another time"):
        history_files.keep(tmp_path, early, published_at=AS_OF)


def test_trimming_keeps_what_is_in_force(tmp_path):
    for day, events in enumerate(({"ann": 1, "ben": 1}, {"ann": 2, "ben": 1}, {"ann": 2}, {"ann": 3})):
        keep(tmp_path, events, day)
    history_files.trim(tmp_path, TABLE, AS_OF + 2 * DAY)
    assert rows(tmp_path) == [("ann", 1, 2), ("ann", 3, 3)]
    history_files.trim(tmp_path, TABLE, AS_OF + 2 * DAY)
    assert rows(tmp_path) == [("ann", 1, 2), ("ann", 3, 3)]


def test_an_erased_user_is_gone_from_every_file(tmp_path):
    keep(tmp_path, {"ann": 1, "ben": 1}, 0)
    keep(tmp_path, {"ann": 2, "ben": 2}, 1)
    assert history_files.erase(tmp_path, "user", ["ben", "nobody"]) == 2
    assert rows(tmp_path) == [("ann", 0, 1), ("ann", 1, 2)]
    assert history_files.erase(tmp_path, "user", ["ben"]) == 0


@pytest.mark.slow  # imports Feast
def test_labels_get_what_was_served_at_their_time(history, rooms, pg_store, put_online):
    """Three releases through the real registry, the oldest retired: labels before, between and after them."""
    base = [put_online(pg_store, seed, as_of=AS_OF + day * DAY, users=3) for seed, day in ((701, 1), (702, 3))]
    history.catch_up(pg_store, keep_days=MANY)
    rooms.publishing.retire(pg_store, 1)
    base.append(put_online(pg_store, 703, as_of=AS_OF + 5 * DAY, users=2))
    assert base[2].name in history.catch_up(pg_store, keep_days=MANY)
    assert history.catch_up(pg_store, keep_days=MANY) == []

    times = [AS_OF - 90 * DAY, AS_OF + 1 * DAY, AS_OF + 2.9 * DAY, AS_OF + 3 * DAY, AS_OF + 9 * DAY]
    labels = pd.DataFrame({"user_id": ["user-2"] * 5 + ["nobody"], "event_timestamp": [*times, times[-1]]})
    labels["label"] = range(len(labels))
    given = history.features_at(pg_store, labels, "user_interest").sort_values("label", ignore_index=True)
    seeds = {701: 1, 702: 3, 703: 5}
    events = {s: int(frame(TABLE, 3, seed=s)["events"][2]) for s in seeds}
    assert len({*events.values()}) == 3
    first, second = events[701], events[702]
    expected = [None, first, first, second, None, None]  # user-2 is not in the third release
    assert [None if pd.isna(v) else v for v in given["user_activity__events"]] == expected
    mix = frame(schema.USER_TOPICS, 3, seed=702)["topic_mix"][2]
    assert given["user_topics__topic_mix"][3] == pytest.approx(mix)
    assert given["user_topics__release"][3] == base[1].name
    services = {service.name for service in pg_store.list_feature_services()}
    assert {f"{name}_history" for name in schema.SERVICES} <= services


@pytest.mark.slow  # imports Feast
def test_a_planted_leak_is_caught(history):
    """A careless join that takes each user's latest values, whatever the label's time."""
    labels = pd.DataFrame({"user_id": ["ann", "ben"], "event_timestamp": [AS_OF + DAY, AS_OF + 3 * DAY]})
    latest = pd.DataFrame({"user_id": ["ann", "ben"], "user_activity__known_at": [AS_OF + 2 * DAY] * 2})
    with pytest.raises(LeakError, match=r"user_activity__known_at \(1 of 2 rows\)"):
        history.refuse_leaks(labels.merge(latest))
    history.refuse_leaks(labels.merge(latest).tail(1))
    with pytest.raises(LeakError, match="no column known_at"):
        history.refuse_leaks(labels)


@pytest.mark.slow  # imports Feast
def test_an_unknown_service_is_named(history, pg_store):
    with pytest.raises(ReleaseError, match="there is no service 'profile'; there are user_interest"):
        history.features_at(pg_store, pd.DataFrame(), "profile")
