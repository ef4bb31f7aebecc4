"""The service answers what Feast answers, from real stores, and nothing wrong when the input or a release is."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import schema
from tests.releases.planted import AS_OF, FRESH, ugly
from tests.releases.test_reading import served_ugly  # noqa: F401

pytestmark = pytest.mark.slow  # real stores


def ask(client: Any, service: str, ids: list[Any], **more: Any) -> Any:
    key = schema.SERVICES[service.partition("__")[0]][0].key[0]
    asked = {"feature_service": service, "entities": {key: ids}, "full_feature_names": True, **more}
    return client.post("/get-online-features", json=asked)


def by_name(answer: Any) -> dict[str, Any]:
    """Columns by name, floats as the float32 that they are."""
    return {
        name: {**column, "values": single(column["values"])}
        for name, column in zip(answer["metadata"]["feature_names"], answer["results"], strict=True)
    }


def single(value: Any) -> Any:
    import numpy as np

    if isinstance(value, list):
        return [single(v) for v in value]
    return float(np.float32(value)) if isinstance(value, float) else value


@pytest.mark.parametrize("full", [True, False])
def test_it_answers_what_feast_s_server_answers(store, put_online, client_of, feast_of, full):
    """Random requests with strangers and repetitions; that one is absent is told where Feast's Redis does not."""
    put_online(store, 301, users=40)
    drawn, ours, feast = random.Random(7), client_of(store), feast_of(store)
    services = [*schema.SERVICES] if full else ["recommendations", "item_content"]  # other short names clash
    for number in range(60):
        service = drawn.choice(services)
        prefix = "item" if service == "item_content" else "user"
        ids = [f"{prefix}-{drawn.randrange(50)}" for _ in range(1 + number % 12)]
        answers = [ask(client, service, ids, full_feature_names=full) for client in (ours, feast)]
        assert [answer.status_code for answer in answers] == [200, 200]
        found, wanted = (by_name(answer.json()) for answer in answers)
        assert set(found) == set(wanted)
        release = next(name for name in wanted if name.endswith("release"))
        absent = [value is None for value in wanted[release]["values"]]
        for name, column in wanted.items():
            assert found[name]["values"] == column["values"], name
            assert found[name]["event_timestamps"] == column["event_timestamps"]
            missing = name != f"{prefix}_id"
            assert found[name]["statuses"] == ["NOT_FOUND" if a and missing else "PRESENT" for a in absent]


def test_every_ugly_value_is_what_feast_s_server_answers(store, served_ugly, client_of, feast_of):  # noqa: F811
    ours, feast = client_of(store), feast_of(store)
    for service, tables in schema.SERVICES.items():
        ids = ugly(tables[0])[tables[0].key[0]].tolist()
        full = f"{service}__{served_ugly.name}"
        found, wanted = (by_name(ask(client, full, ids).json()) for client in (ours, feast))
        assert {n: c["values"] for n, c in found.items()} == {n: c["values"] for n, c in wanted.items()}


def test_a_profile_is_what_the_sdk_reads(rooms, store, put_online, client_of):
    name = put_online(store, 302).name
    client = client_of(store)
    answer = client.get("/users/user-1").json()
    (profile,) = rooms.reading.read_user(store, ["user-1"], FRESH)
    assert (answer["release"], answer["known"], answer["stale_inputs"]) == (name, True, [])
    for block, read in profile.blocks.items():
        told = answer["blocks"][block]
        assert (told["status"], told["age_seconds"]) == (read.status, read.age)
        for column, value in read.values.items():
            if column != "last_event":  # seconds since 1970 in JSON
                assert single(answer["features"][f"{block}__{column}"]) == single(value)
    many = client.get("/users", params={"id": ["user-1", "nobody"], "service": "recommendations"}).json()["users"]
    assert [(m["user_id"], m["known"]) for m in many] == [("user-1", True), ("nobody", False)]
    assert {b["status"] for b in many[1]["blocks"].values()} == {"ABSENT"}
    assert set(many[1]["features"].values()) == {None}
    assert client.get("/items/item-2").json()["features"]["item_content__release"] == name
    live = client.get("/release").json()
    assert live["release"] == name
    assert live["blocks"]["item_content"]["rows"] == 5


def test_what_is_too_old_says_so(store, put_online, client_of):
    put_online(store, 303)
    later = type(FRESH)(AS_OF + timedelta(hours=72), {**FRESH.limits, "user_evolution": timedelta(hours=24)})
    client = client_of(store, later)
    answer = client.get("/users/user-1").json()
    stale = {name for name, block in answer["blocks"].items() if block["status"] == "STALE"}
    assert stale == {"user_recommendations", "user_evolution"}
    assert answer["stale_inputs"] == ["user_evolution"]
    assert answer["features"]["user_recommendations__item_ids"]
    assert answer["blocks"]["user_topics"] == {
        "status": "PRESENT", "event_time": "2026-03-01T00:00:00Z", "age_seconds": 72 * 3600.0
    }  # fmt: skip
    found = ask(client, "recommendations", ["user-1", "nobody"]).json()
    assert found["stale_inputs"] == [["user_evolution"], []]
    assert by_name(found)["user_recommendations__scores"]["statuses"] == ["OUTSIDE_MAX_AGE", "NOT_FOUND"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"feature_service": "users", "entities": {"user_id": ["a"]}}', "feature_service is one of"),
        (b'{"feature_service": ["x"], "entities": {"user_id": ["a"]}}', "feature_service is one of"),
        (b'{"feature_service": "recommendations", "entities": {"item_id": ["a"]}}', 'must be {"user_id"'),
        (b'{"feature_service": "recommendations", "entities": {"user_id": "a"}}', 'must be {"user_id"'),
        (b'{"feature_service": "recommendations", "entities": {"user_id": []}}', "name at least one"),
        (b'{"feature_service": "recommendations", "entities": {"user_id": [1]}}', "is no text"),
        (b'{"feature_service": "recommendations", "entities": {"user_id": ["a\\u0000"]}}', "NUL"),
        (b'{"feature_service": "recommendations", "entities": {"user_id": ["a"]}, "push": 1}', "unknown field 'push'"),
        (b'{"feature_service": "user_interest", "entities": {"user_id": ["a"]}}', "share a name"),
        (b'{"features": ["a:b"], "feature_service": "recommendations", "entities": {"user_id": ["a"]}}', "not by feat"),
    ],
)
def test_a_request_that_cannot_be_is_told_why(pg_store, put_online, client_of, body, sentence):
    if not client_of(pg_store).get("/release").is_success:
        put_online(pg_store, 304)
    found = client_of(pg_store).post("/get-online-features", content=body)
    assert found.status_code == 400
    assert sentence in found.json()["error"]


def test_ids_that_cannot_be_and_too_many_of_them(store, put_online, client_of):
    put_online(store, 305)
    client = client_of(store)
    for path in ("/users/a%00b", "/users/" + "x" * 10_000, "/items/" + "字" * 129, "/users", "/users?user=1"):
        found = client.get(path)
        assert found.status_code == 400, path[:20]
        assert "xxxx" not in found.text
    assert client.get("/users/" + "字" * 128).json()["known"] is False
    assert client.get("/users/a/b%2Fc").json()["user_id"] == "a/b/c"
    assert ask(client, "recommendations", ["u"] * 1000).status_code == 200
    assert "at most 1,000" in ask(client, "recommendations", ["u"] * 1001).json()["error"]
    assert client.get("/nothing").json() == {"error": "Not Found"}
    assert client.delete("/users/a").status_code == 405


def test_releases_that_are_not_there(rooms, pg_store, put_online, client_of):
    first, second = put_online(pg_store, 306), put_online(pg_store, 307)
    client = client_of(pg_store)
    assert client.get("/users/user-1", params={"release": first.name}).json()["release"] == first.name
    assert ask(client, f"recommendations__{first.name}", ["user-1"]).json()["release"] == first.name
    found = client.get("/users/user-1", params={"release": "r19990101_00000000"})
    assert (found.status_code, found.json()["error"]) == (404, "there is no release 'r19990101_00000000'")
    with rooms.stores.engine_of(
        pg_store
    ).begin() as connection:  # the retiring process stops right after its first step
        rooms.ledger.mark(connection, first.name, "retired_at")
    found = client.get("/users/user-1", params={"release": first.name})
    assert found.status_code == 404
    assert "was retired" in found.json()["error"]
    assert client.get("/users/user-1").json()["release"] == second.name


def test_a_registry_of_a_newer_make_is_an_error(rooms, pg_store, put_online, client_of):
    put_online(pg_store, 308)
    engine = rooms.stores.engine_of(pg_store)
    kept = sa.text("SELECT feature_service_proto FROM feature_services WHERE feature_service_name = 'recommendations'")
    change = sa.text(
        "UPDATE feature_services SET feature_service_proto = :p WHERE feature_service_name = 'recommendations'"
    )
    with engine.begin() as connection:
        before = connection.scalar(kept)
    try:
        for damaged, sentence in (
            (b"\xff\xff\xff", "another version of Feast"),
            (b"", "not of this version of Penchant"),
        ):
            with engine.begin() as connection:
                connection.execute(change, {"p": damaged})
            found = client_of(pg_store).get("/users/user-1")
            assert found.status_code == 503
            assert sentence in found.json()["error"]
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM feature_services WHERE feature_service_name = 'recommendations'"))
        assert "lacks recommendations" in client_of(pg_store).get("/users/user-1").json()["error"]
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM feature_services WHERE feature_service_name = 'recommendations'"))
            connection.execute(
                sa.text(
                    "INSERT INTO feature_services SELECT 'recommendations', project_id, last_updated_timestamp, :p"
                    " FROM feature_services WHERE feature_service_name = 'user_interest'"
                ),
                {"p": before},
            )


def test_no_answer_is_of_two_releases_while_releases_change(rooms, store, put_online, client_of):
    one, two = put_online(store, 309), put_online(store, 310)
    client, failed, seen, stop = client_of(store), [], set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            answer = client.get("/users/user-1")
            said = {v for name, v in answer.json().get("features", {}).items() if name.endswith("__release")}
            if answer.status_code != 200 or said != {answer.json()["release"]}:
                failed.append(answer.text[:300])
            seen.update(said)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for name in [one.name, two.name] * 3:
        rooms.publishing.roll_back(store, name)
        stop.wait(1.5)
    stop.set()
    for reader in readers:
        reader.join()
    assert failed == []
    assert seen == {one.name, two.name}
