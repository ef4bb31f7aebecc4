"""A batch goes in whole or not at all, once."""

import json
from pathlib import Path

import pytest

from tasks import jobs, schema
from tasks.errors import ArtifactError, BatchRefused, SourceError
from tasks.jobs.history import HEAD, last_batch
from tasks.jobs.workspace import open_store, refs_of
from tasks.settings import Settings
from tasks.store import Store

AS_OF = "2026-02-01T00:00:00Z"
ITEM = {"item_id": "i1", "title": "Burr grinder", "categories": ["coffee"]}
EVENT = {
    "event_id": "e1",
    "user_id": "u1",
    "item_id": "i1",
    "kind": "review",
    "rating": 5,
    "text": "The burr grinder works beautifully and I use it every morning.",
    "event_time": "2026-01-05T08:00:00Z",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path / "home"))
    return tmp_path


def lines(path: Path, *rows: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def take(home: Path, *events: dict[str, object], name: str = "events") -> dict[str, object]:
    items = lines(home / "items.jsonl", ITEM)
    return jobs.ingest(events=[lines(home / f"{name}.jsonl", *events)], items=[items], as_of=AS_OF)


def store() -> Store:
    return open_store(Settings())


def accepted(bag: dict[str, object]) -> list[str]:
    return store().read_frame(refs_of(bag)[schema.EVENTS.name], schema.EVENTS)["event_id"].tolist()


def test_good_rows_are_accepted_and_bad_ones_quarantined(home: Path) -> None:
    bad = EVENT | {"event_id": "e2", "kind": "dance"}
    others = [EVENT | {"event_id": f"x{n}"} for n in range(5)]
    bag = take(home, EVENT, bad, *others)
    assert accepted(bag) == ["e1", *(e["event_id"] for e in others)]
    assert bag["counts"]["accepted_events"] == {
        "rows": {"entered": 7, "accepted": 6, "quarantined": 1, "repeated": 0},
        "rules": {"unknown_kind": 1},
    }
    quarantine = store().read_frame(refs_of(bag)[schema.QUARANTINE.name], schema.QUARANTINE)
    assert quarantine[["position", "rule"]].to_numpy().tolist() == [[2, "unknown_kind"]]
    assert json.loads(quarantine["row"][0])["event_id"] == "e2"


def test_the_same_batch_again_is_a_no_op_that_says_so(home: Path) -> None:
    first = take(home, EVENT)
    head = store().head(HEAD)
    again = take(home, EVENT)
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert again["refs"] == first["refs"]
    assert store().head(HEAD) == head


def test_a_second_batch_adds_to_the_history_and_counts_repeats(home: Path) -> None:
    take(home, EVENT)
    second = take(home, EVENT, EVENT | {"event_id": "e2"}, name="more")
    assert accepted(second) == ["e1", "e2"]
    assert second["counts"]["accepted_events"]["rows"]["repeated"] == 1
    ledger = store().read_frame(refs_of(second)[schema.LEDGER.name], schema.LEDGER)
    assert ledger["batch_id"].nunique() == 2


def test_a_batch_that_is_mostly_bad_is_refused_whole(home: Path) -> None:
    take(home, EVENT)
    before = store().head(HEAD)
    with pytest.raises(BatchRefused, match="more than 20%"):
        take(home, EVENT | {"event_id": "e2"}, EVENT | {"event_id": "e3", "kind": "dance"}, name="bad")
    assert store().head(HEAD) == before


def test_an_empty_batch_and_a_missing_file_change_nothing(home: Path) -> None:
    take(home, EVENT)
    before = store().head(HEAD)
    with pytest.raises(SourceError, match="no-such-file"):
        jobs.ingest(events=[str(home / "no-such-file.csv")], as_of=AS_OF)
    with pytest.raises((BatchRefused, SourceError), match="empty"):
        take(home, name="empty")
    with pytest.raises(SourceError, match="nothing to take in"):
        jobs.ingest(as_of=AS_OF)
    assert store().head(HEAD) == before


def test_a_batch_that_stops_half_way_leaves_the_history_as_it_was(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(home, EVENT)
    before = store().head(HEAD)
    with monkeypatch.context() as patched:
        patched.setattr(Store, "move_head", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            take(home, EVENT | {"event_id": "e2"}, name="more")
    assert store().head(HEAD) == before
    assert accepted(take(home, EVENT | {"event_id": "e2"}, name="more")) == ["e1", "e2"]


def test_items_are_taken_from_events_where_no_catalogue_was_given(home: Path) -> None:
    bag = jobs.ingest(events=[lines(home / "e.jsonl", EVENT, EVENT | {"event_id": "e2"})], as_of=AS_OF)
    items = store().read_frame(refs_of(bag)[schema.ITEMS.name], schema.ITEMS)
    assert items["item_id"].tolist() == ["i1"]
    more = EVENT | {"event_id": "e3", "item_id": "i2"}
    bag = jobs.ingest(events=[lines(home / "f.jsonl", more)], as_of=AS_OF)
    items = store().read_frame(refs_of(bag)[schema.ITEMS.name], schema.ITEMS)
    assert items["item_id"].tolist() == ["i1", "i2"]


def test_an_unknown_item_is_quarantined_where_there_is_a_catalogue(home: Path) -> None:
    good = [EVENT | {"event_id": f"x{n}"} for n in range(5)]
    bag = take(home, *good, EVENT | {"event_id": "e2", "item_id": "i2"})
    assert bag["counts"]["accepted_events"]["rules"] == {"unknown_item": 1}


def test_no_text_stands_in_what_travels_between_tasks(home: Path) -> None:
    bag = take(home, EVENT, *[EVENT | {"event_id": f"x{n}"} for n in range(5)], EVENT | {"kind": "secret words"})
    travelling = json.dumps(bag)
    assert "grinder works" not in travelling
    assert "secret words" not in travelling


def test_there_is_no_last_batch_before_the_first(home: Path) -> None:
    with pytest.raises(ArtifactError, match="no batch was taken in yet"):
        last_batch(store())
