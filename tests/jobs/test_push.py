"""Pushed events move what readers of the live release see, exactly as a refresh would, and outlive the release."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks import jobs, schema
from tasks.jobs import chain, push, sampling
from tasks.jobs.corpus import events_until, newest_items
from tasks.jobs.live import log
from tasks.jobs.live.session import Live
from tasks.jobs.vectors import histories, load_sequence
from tasks.releases.freshness import Freshness
from tasks.releases.reading import read_user
from tasks.store import Ref

pytestmark = pytest.mark.slow
SMALL = {
    "PENCHANT_TOPICS": "8",
    "PENCHANT_TOPIC_PASSES": "2",
    "PENCHANT_SEQUENCE_EPOCHS": "2",
    "PENCHANT_STATE_SIZE": "32",
    "PENCHANT_FACTORS": "16",
    "OMP_NUM_THREADS": "1",
}
TOLERANCE = 2e-5
"""Float32 sums in another order."""
WORDS = (
    "This lamp is warm and quiet, I read by it every night.",
    "琴弦很准，声音温暖，我每天都弹。",
    "Too loud for me.",
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A small shop whose first release is live, and a session on it."""
    folder = tmp_path_factory.mktemp("push")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**SMALL, "PENCHANT_HOME": str(folder / "home")}.items():
            patched.setenv(name, value)
        made = sampling.write(folder / "shop", users=120, days=40, seed=1, faults=0.0)
        shop = folder / "shop"
        jobs.ingest(events=[str(shop / "events.csv")], items=[str(shop / "items.jsonl")], as_of=made["as_of"])
        chain.refresh()
        chain.score()
        chain.publish(force=True)
        yield Live()


@pytest.fixture(scope="module")
def world(live: Live) -> dict[str, Any]:
    """What the first release was made from: its events, its items, the time after its end."""
    release = opened(live)
    events = events_until(live.artifacts, release.refs, release.manifest.as_of)
    return {"events": events, "items": release.catalogue.ids.tolist(), "after": release.manifest.as_of}


@pytest.fixture
def fresh(live: Live, world: dict[str, Any]) -> Callable[[], str]:
    """Users with a history whom no test has touched."""
    return lambda: USERS.pop()


USERS: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def users(world: dict[str, Any]) -> None:
    counts = world["events"]["user_id"].value_counts()
    USERS.extend(sorted(counts[counts.between(8, 60)].index))


def live_now(live: Live) -> datetime:
    return opened(live).manifest.as_of + timedelta(days=1)


def opened(live: Live) -> Any:
    with live.engine.connect() as connection:
        return live.release(connection)


def event(user: str, item: str | None, when: datetime, **more: Any) -> dict[str, Any]:
    kind = "review" if "text" in more else "purchase"
    return {"user_id": user, "item_id": item, "kind": kind, "event_time": when.isoformat(), **more}


def several(world: dict[str, Any], user: str, count: int = 4) -> list[dict[str, Any]]:
    """Events of many kinds on items that are new to `user`, an hour apart."""
    seen = set(world["events"].loc[world["events"]["user_id"] == user, "item_id"])
    items = [item for item in world["items"] if item not in seen]
    made = []
    for n in range(count):
        more: dict[str, Any] = {"text": f"{WORDS[n % 3]} {user} {n}", "rating": 5 - n % 3} if n % 2 == 0 else {}
        made.append(event(user, items[7 * n % len(items)], world["after"] + timedelta(hours=n + 1), **more))
    return made


def seen_by(live: Live, user: str) -> dict[str, Any]:
    """What a reader of the live release sees of `user`, by block."""
    week = dict.fromkeys((table.name for table in schema.SERVED), timedelta(days=7))
    (profile,) = read_user(live.features, [user], Freshness(live_now(live), week))
    return {"release": profile.release, **{name: dict(block.values) for name, block in profile.blocks.items()}}


def recomputed(live: Live, world: dict[str, Any], user: str, more: pd.DataFrame) -> dict[str, Any]:
    """The user's blocks by the jobs' own functions over every event of the shop and `more`, models being equal."""
    from tasks import interests, scoring
    from tasks.scoring.content import ContentFeatures

    release = opened(live)
    store, refs = live.artifacts, release.refs
    events = pd.concat([world["events"], more], ignore_index=True).sort_values("event_time", kind="stable")
    as_of = events["event_time"].max().to_pydatetime()
    new = more.dropna(subset="text").drop_duplicates("text_hash")
    encoded = [release.encoder.encode([text])[0] for text in new["text"]]
    vectors = store.read_frame(refs["text_vectors"], schema.TEXT_VECTORS)
    added = pd.DataFrame(
        {"text_hash": new["text_hash"], "vector": list(encoded), "encoder": release.encoder.fingerprint}
    )
    vectors = pd.concat([vectors, added], ignore_index=True)
    content = store.read_frame(refs["item_content"], schema.ITEM_CONTENT)
    days = {"long_half_life_days": live.settings.long_half_life_days}
    days["short_half_life_days"] = live.settings.short_half_life_days
    tastes = interests.user_vectors(events, vectors, content, as_of=as_of, **days)
    with_vectors = {**refs, "text_vectors": store.put_frame(vectors, schema.TEXT_VECTORS)}
    people = scoring.IdMap(sorted(events["user_id"].unique()), personal=True)
    past = histories(store, with_vectors, events, newest_items(store, refs), people.ids.tolist())
    state = load_sequence(store, live.settings, refs).states(past)
    topics = store.read_frame(refs["user_topics"], schema.USER_TOPICS)
    scorers = {
        **release.scorers,
        "content": scoring.ContentScorer(ContentFeatures.of_users(people, tastes, topics), release.about),
        "sequence": scoring.SequenceScorer(lambda who, _: release.sequence.scores(state.h[who])),
    }
    shown = scoring.recommend(
        release.blend, scorers, scoring.Interactions.from_events(events, people, release.catalogue, as_of),
        people.index([user]), people, release.catalogue, {}, release.facts, as_of,
        k=release.settings.recommendations,
    ).iloc[0]  # fmt: skip
    mine = tastes.set_index("user_id").loc[user]
    activity = interests.user_activity(events, as_of=as_of).set_index("user_id").loc[user]
    return {"h": state.h[people.index([user])[0]], "tastes": mine, "activity": activity, "shown": shown}


def logged(live: Live, user: str) -> pd.DataFrame:
    with live.engine.connect() as connection:
        return log.of_users(connection, [user], "").events


def assert_as_recomputed(live: Live, world: dict[str, Any], user: str) -> None:
    """What readers see is what the jobs compute from the history and the log."""
    online, batch = seen_by(live, user), recomputed(live, world, user, logged(live, user))
    width = online["user_evolution"]["state_size"]
    h, v = np.split(np.array(online["user_evolution"]["evolution"], np.float32), [width])
    np.testing.assert_allclose(h, batch["h"], atol=TOLERANCE)
    np.testing.assert_allclose(v, batch["tastes"]["short_term"], atol=TOLERANCE)
    for name in ("long_term", "short_term", "drift"):
        np.testing.assert_allclose(online["user_vectors"][name], batch["tastes"][name], atol=TOLERANCE)
    for name in ("events", "texts", "language"):
        assert online["user_activity"][name] == batch["activity"][name], name
    assert pd.Timestamp(online["user_activity"]["last_event"]).tz_convert("UTC") == batch["activity"]["last_event"]
    assert list(online["user_recommendations"]["item_ids"]) == list(batch["shown"]["item_ids"])
    np.testing.assert_allclose(online["user_recommendations"]["scores"], batch["shown"]["scores"], atol=1e-3)


def test_events_pushed_one_by_one_give_what_a_refresh_gives(
    live: Live, world: dict[str, Any], fresh: Callable[[], str]
) -> None:
    user = fresh()
    before = seen_by(live, user)
    for step in several(world, user):
        result = live.push(step)
        assert result.outcome == "accepted"
        assert step["item_id"] not in result.recommendations
    after = seen_by(live, user)
    assert after["user_activity"]["events"] == before["user_activity"]["events"] + 4
    assert after["user_evolution"]["evolution"] != before["user_evolution"]["evolution"]
    assert after["user_topics"] == before["user_topics"]  # what a push leaves alone
    assert tuple(after["user_recommendations"]["item_ids"]) == result.recommendations
    assert_as_recomputed(live, world, user)


def test_nobody_is_shown_again_what_they_just_had(live: Live, world: dict[str, Any], fresh: Callable[[], str]) -> None:
    user = fresh()
    first = seen_by(live, user)["user_recommendations"]["item_ids"][0]
    result = live.push(event(user, first, world["after"] + timedelta(hours=1)))
    assert first not in result.recommendations
    assert len(result.recommendations) == live.settings.recommendations


def test_somebody_new_has_interests_and_recommendations_at_once(live: Live, world: dict[str, Any]) -> None:
    user = "somebody-new"
    assert not seen_by(live, user)["user_recommendations"]
    for step in several(world, user):
        assert live.push(step).outcome == "accepted"
    assert_as_recomputed(live, world, user)


def test_somebody_new_who_could_not_stand_a_thing_has_no_vectors_yet_and_recommendations(
    live: Live, world: dict[str, Any]
) -> None:
    item = world["items"][5]
    result = live.push({**event("displeased", item, world["after"]), "kind": "rating", "rating": 1})
    assert result.outcome == "accepted"
    assert len(result.recommendations) == opened(live).settings.recommendations
    online = seen_by(live, "displeased")
    assert not online["user_vectors"]
    assert not online["user_evolution"]
    assert online["user_activity"]["events"] == 1


def test_a_late_event_is_put_where_it_belongs(live: Live, world: dict[str, Any], fresh: Callable[[], str]) -> None:
    user = fresh()
    last, first = several(world, user, 2)[::-1]
    before = world["after"] - timedelta(days=30)
    late = event(user, first["item_id"], before, text="I wrote this a month ago.")
    for step in (last, first, late):  # out of order among themselves, and before what the release has read
        assert live.push(step).outcome == "accepted"
    assert_as_recomputed(live, world, user)


def test_a_text_of_no_language_is_taken_and_one_that_nobody_trained_on_is_refused_as_in_a_batch(
    live: Live, world: dict[str, Any]
) -> None:
    for n, text in enumerate(("Очень тёплый свет, читаю каждый вечер.", "とても静かで暖かいランプです。")):
        result = live.push(event(f"reader-{n}", world["items"][3], world["after"], text=text))
        assert [fault["rule"] for fault in result.faults] == ["language"]
    assert live.push(event("smiling", world["items"][3], world["after"], text="🙂🙂🙂")).outcome == "accepted"
    assert_as_recomputed(live, world, "smiling")


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"item_id": "nobody-sells-this"}, "unknown_item"),
        ({"rating": 9}, "rating_scale"),
        ({"kind": "stare"}, "unknown_kind"),
        ({"event_time": (datetime.now(UTC) + timedelta(days=3)).isoformat()}, "future_time"),
        ({"event_time": "soon"}, "parse_time"),
        ({"user_id": "u" * 10_000}, "user_id_too_long"),
        ({"user_id": "a\0b"}, "encoding"),
        ({"user_id": None}, "missing_user_id"),
        ({"user_id": schema.EVERYONE}, "reserved_user_id"),
    ],
)
def test_a_bad_event_is_refused_with_its_rule_and_changes_nothing(
    live: Live, world: dict[str, Any], wrong: dict[str, Any], rule: str
) -> None:
    end = log.newest(live.engine)
    result = live.push({**event("victim", world["items"][0], world["after"]), **wrong})
    assert (result.outcome, [fault["rule"] for fault in result.faults]) == ("refused", [rule])
    assert log.newest(live.engine) == end


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "{}", '{"user_id": "a"}', "NaN"])
def test_what_is_no_event_is_refused(live: Live, text: str) -> None:
    assert live.push(text).outcome == "refused"


def test_the_same_event_twice_counts_once(live: Live, world: dict[str, Any], fresh: Callable[[], str]) -> None:
    user = fresh()
    one = {**several(world, user, 1)[0], "event_id": f"only-{user}"}
    first, again = live.push(one), live.push(one)
    assert (first.outcome, again.outcome) == ("accepted", "repeated")
    assert first.recommendations == again.recommendations
    other = live.push({**one, "text": "Something else under the same id."})
    assert (other.outcome, other.faults[0]["rule"]) == ("refused", "duplicate_id")
    assert len(logged(live, user)) == 1
    assert_as_recomputed(live, world, user)


def test_an_event_that_the_release_was_made_from_is_a_repeat(live: Live, world: dict[str, Any]) -> None:
    known = world["events"].iloc[100]
    again = {name: known[name] for name in ("event_id", "user_id", "item_id", "kind", "rating", "text", "event_time")}
    again = {name: None if pd.isna(value) else value for name, value in again.items()}
    assert live.push({**again, "event_time": known["event_time"].isoformat()}).outcome == "repeated"
    changed = {**again, "event_time": (known["event_time"] - timedelta(hours=1)).isoformat()}
    assert live.push(changed).outcome == "refused"
    assert logged(live, known["user_id"]).empty


def test_two_processes_that_push_for_one_user_lose_nothing(
    live: Live, world: dict[str, Any], fresh: Callable[[], str]
) -> None:
    user = fresh()
    steps = several(world, user, 8)
    other = Live()  # a session of its own, as another process has
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda n: (live, other)[n % 2].push(steps[n]), range(8)))
    assert [result.outcome for result in results] == ["accepted"] * 8
    assert len(logged(live, user)) == 8
    assert_as_recomputed(live, world, user)


def test_an_acknowledged_event_survives_a_kill_and_a_half_done_one_is_mended_by_its_repeat(
    live: Live, world: dict[str, Any], fresh: Callable[[], str]
) -> None:
    user = fresh()
    first, second = ({**step, "event_id": f"killed-{user}-{n}"} for n, step in enumerate(several(world, user, 2)))
    script = """
import json, os, signal, sys
from tasks.jobs.live.session import Live
live = Live()
print(live.push(json.loads(sys.argv[1])).outcome, flush=True)
live.write = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
live.push(json.loads(sys.argv[2]))
"""
    command = [sys.executable, "-c", script, json.dumps(first), json.dumps(second)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False)
    assert done.returncode == -9, done.stderr[-2000:]
    assert done.stdout.split() == ["accepted"]
    assert len(logged(live, user)) == 2  # both were kept before anything else was done
    assert live.push(second).outcome == "repeated"
    assert_as_recomputed(live, world, user)


def published(
    live: Live, monkeypatch: pytest.MonkeyPatch, items: int, between: Callable[[str], None] | None = None
) -> str:
    """Publish another release of the same batch, showing `items` items.

    `between` is called just before the switch, and then nothing is replayed but what it replays itself.
    """
    monkeypatch.setenv("PENCHANT_RECOMMENDATIONS", str(items))
    prepared = jobs.check_gate(jobs.prepare_release(chain.score()), force=True)
    for shard in prepared["shards"]:
        jobs.materialize_shard(prepared, shard)
    jobs.verify_release(prepared)
    with monkeypatch.context() as by_hand:
        if between:
            between(prepared["release"])
            by_hand.setattr(push, "replay", lambda *_: {"through": 0})
        return str(jobs.flip_release(prepared)["live"])


def test_the_switch_itself_brings_what_was_pushed_onto_the_release(
    live: Live, world: dict[str, Any], fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = fresh()
    live.push(several(world, user)[0])
    name = published(live, monkeypatch, 6)
    assert seen_by(live, user)["release"] == name
    assert_as_recomputed(live, world, user)


def test_a_release_whose_batch_lacks_the_event_still_shows_its_effect(
    live: Live, world: dict[str, Any], fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    users = fresh(), fresh(), "somebody-newer"
    for user in users[:2]:
        live.push(several(world, user)[0])
    done: list[dict[str, Any]] = []

    def between(release: str) -> None:
        done.append(push.replay(release))
        live.push(several(world, users[2])[0])  # after the replay, to the release that is still live

    name = published(live, monkeypatch, 7, between)
    assert done[0]["users"] >= 2
    for user in users[:2]:  # before anything else happens to the new release
        assert seen_by(live, user)["release"] == name
        assert_as_recomputed(live, world, user)
    assert not seen_by(live, users[2])["user_recommendations"]
    caught_up = push.replay(name, after=done[0]["through"])
    assert caught_up["users"] == 1
    assert_as_recomputed(live, world, users[2])
    assert push.replay(name, after=caught_up["through"])["users"] == 0
    user = users[0]
    assert live.push(several(world, user)[1]).release == name  # the session followed
    assert_as_recomputed(live, world, user)


def test_a_push_during_a_switch_ends_up_in_the_release_that_is_live(
    live: Live, world: dict[str, Any], fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, write, switched = fresh(), live.write, []

    def during(*arguments: Any) -> None:
        write(*arguments)
        if not switched:  # the rows are in the old release, and it is live no more
            switched.append(published(live, monkeypatch, 8, lambda release: None))

    monkeypatch.setattr(live, "write", during)
    result = live.push(several(world, user)[0])
    assert (result.outcome, result.release) == ("accepted", switched[0])
    assert_as_recomputed(live, world, user)


def test_the_next_batch_has_the_events_as_they_were_accepted(
    live: Live, world: dict[str, Any], fresh: Callable[[], str]
) -> None:
    user = fresh()
    for step in several(world, user, 3):
        live.push(step)
    far = {**several(world, user, 1)[0], "event_time": (world["after"] + timedelta(days=5)).isoformat()}
    assert live.push(far).outcome == "accepted"
    as_of = (world["after"] + timedelta(hours=12)).isoformat()
    taken = push.ingest_pushed(as_of=as_of)
    counts = taken["counts"]["accepted_events"]["rows"]
    assert counts["entered"] >= counts["accepted"] >= 3
    history = live.artifacts.read_frame(Ref.from_json(taken["refs"]["accepted_events"]), schema.EVENTS)
    mine, pushed = (f[f["user_id"] == user].sort_values("event_time") for f in (history, logged(live, user)))
    columns = ["event_id", "item_id", "kind", "rating", "text", "language", "text_hash", "event_time"]
    pd.testing.assert_frame_equal(  # all but the far one, which waits
        mine[columns].tail(3).reset_index(drop=True), pushed[columns].head(3).reset_index(drop=True), check_dtype=False
    )
    again = push.ingest_pushed(as_of=as_of)
    assert again["repeated"]
    later = push.ingest_pushed(as_of=(world["after"] + timedelta(days=6)).isoformat())
    assert later["counts"]["accepted_events"]["rows"]["accepted"] >= 1


def test_events_come_by_http_to_who_shows_a_token(live: Live, world: dict[str, Any]) -> None:
    from starlette.testclient import TestClient

    from tasks.jobs.live.route import push_app

    client = TestClient(push_app(lambda: live, tokens=["a-token-for-writers"]))
    shown = {"Authorization": "Bearer a-token-for-writers"}
    steps = several(world, "by-http", 2)
    assert client.post("/events", json=steps).status_code == 401
    answer = client.post("/events", json=[*steps, {**steps[0], "item_id": "none"}], headers=shown)
    outcomes = [result["outcome"] for result in answer.json()["results"]]
    assert (answer.status_code, outcomes) == (200, ["accepted", "accepted", "refused"])
    assert client.post("/events", json=steps[0], headers=shown).json()["results"][0]["outcome"] == "repeated"
    for body in (b"{", b"[]", json.dumps([steps[0]] * 101).encode()):
        assert client.post("/events", content=body, headers=shown).status_code == 400
    assert_as_recomputed(live, world, "by-http")


def test_who_is_forgotten_is_not_in_the_log(live: Live, world: dict[str, Any], fresh: Callable[[], str]) -> None:
    user = fresh()
    live.push(several(world, user)[0])
    assert push.forget([user]) == 1
    assert logged(live, user).empty


def test_the_log_is_rid_of_what_the_releases_were_made_from_and_of_nothing_else(
    live: Live, world: dict[str, Any], fresh: Callable[[], str]
) -> None:
    user, known = fresh(), dict(world["events"].iloc[7])
    live.push(several(world, user)[0])
    with live.engine.begin() as connection:
        assert log.append(connection, known, "", None) == "accepted"
    assert push.prune() == {"removed": 1}
    assert logged(live, known["user_id"]).empty
    assert len(logged(live, user)) == 1


def test_what_was_pushed_about_an_item_of_a_later_release_waits(
    live: Live, world: dict[str, Any], fresh: Callable[[], str]
) -> None:
    user = fresh()
    later = {**dict(world["events"].iloc[7]), "user_id": user, "event_id": f"later-{user}", "item_id": "not-yet-sold"}
    with live.engine.begin() as connection:
        assert log.append(connection, later, "", None) == "accepted"
    before = seen_by(live, user)["user_activity"]["events"]
    assert live.push(several(world, user)[0]).outcome == "accepted"
    assert seen_by(live, user)["user_activity"]["events"] == before + 1
