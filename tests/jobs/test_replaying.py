"""What was quarantined can be mended and goes through the same check again; nothing happens twice."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import jobs, schema
from tasks.errors import BatchRefused, SettingsError, SourceError
from tasks.jobs import intake, quality_ledger, replaying
from tasks.jobs.history import HEAD
from tasks.jobs.quarantined import quarantine, select
from tests.jobs.test_intake import AS_OF, EVENT, ITEM, accepted, lines, store

GOOD = [EVENT | {"event_id": f"g{n}"} for n in range(8)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def taken(home: Path) -> Path:
    """A shop with one event of an unknown kind, and one about an item that nobody knows."""
    bad = [EVENT | {"event_id": "k", "kind": "dance"}, EVENT | {"event_id": "i", "item_id": "=i2"}]
    jobs.ingest(events=[lines(home / "e.jsonl", *GOOD, *bad)], items=[lines(home / "items.jsonl", ITEM)], as_of=AS_OF)
    return home


def mended(home: Path, **changes: object) -> str:
    out = home / "out.jsonl"
    quarantine(rule="unknown_kind", out=out)
    document = json.loads(out.read_text())
    document["row"] |= changes
    out.write_text(json.dumps(document) + "\n")
    return str(out)


def open_rules() -> list[str]:
    return select(store())["rule"].tolist()


def test_a_mended_row_is_accepted_and_leaves_the_quarantine(taken: Path) -> None:
    bag = replaying.replay(file=mended(taken, kind="review"), as_of=AS_OF)
    assert "k" in accepted(bag)
    assert open_rules() == ["unknown_item"]
    assert quarantine(replayed=True)["counts"] == {"unknown_item": 1, "unknown_kind": 1}


def test_replaying_twice_changes_nothing_twice(taken: Path) -> None:
    file = mended(taken, kind="review")
    replaying.replay(file=file, as_of=AS_OF)
    before = store().head(HEAD)
    again = replaying.replay(file=file, as_of=AS_OF)
    assert (again["repeated"], again["already"]) == (True, 1)
    assert store().head(HEAD) == before


def test_a_row_that_is_still_bad_waits_under_the_replay_s_own_batch(taken: Path) -> None:
    bag = replaying.replay(file=mended(taken, kind="review", rating=99), as_of=AS_OF)
    waiting = select(store(), rule="rating_scale")
    assert waiting["batch_id"].tolist() == [bag["batch_id"]]
    assert sorted(open_rules()) == ["rating_scale", "unknown_item"]
    replaying.replay(batch=bag["batch_id"], as_of=AS_OF)
    assert sorted(open_rules()) == ["rating_scale", "unknown_item"]


def test_rows_go_in_as_they_are_once_the_catalogue_has_their_item(taken: Path) -> None:
    jobs.ingest(items=[lines(taken / "more.jsonl", ITEM | {"item_id": "=i2"})], as_of=AS_OF)
    bag = replaying.replay(rule="unknown_item", as_of=AS_OF)
    assert accepted(bag)[-1] == "i"
    assert open_rules() == ["unknown_kind"]


def test_rows_of_a_mapped_source_are_read_by_its_mapping_again(home: Path) -> None:
    (home / "m.yaml").write_text(
        "events:\n  columns:\n    user_id: who\n    kind: {constant: rating}\n    item_id: what\n"
        "    rating: {column: stars, scale: [0, 10]}\n    event_time: {column: at, format: unix_s}\n"
    )
    rows = [{"who": f"u{n}", "what": "i1", "stars": n, "at": 1767225600 + n} for n in range(8)]
    bad = {"who": "u9", "what": "i1", "stars": 11, "at": 1767225600}
    jobs.ingest(events=[lines(home / "e.jsonl", *rows, bad)], mapping=str(home / "m.yaml"), as_of=AS_OF)
    quarantine(out=home / "out.jsonl")
    (home / "out.jsonl").write_text((home / "out.jsonl").read_text().replace('"stars": 11', '"stars": 10'))
    bag = replaying.replay(file=str(home / "out.jsonl"), as_of=AS_OF)
    ratings = store().read_frame(schema_ref(bag), schema.EVENTS)["rating"]
    assert ratings.iloc[-1] == 5.0


def schema_ref(bag: dict[str, object]) -> object:
    from tasks.jobs.workspace import refs_of

    return refs_of(bag)[schema.EVENTS.name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no row"),
        ("{}\n", "line 1 is not what"),
        ("nonsense\n", "line 1 is not what"),
        ('{"batch_id": "b", "table": "t", "position": 1, "row": {}}\n', "line 1 names a row that is not"),
    ],
)
def test_a_file_that_is_none_of_the_quarantine_s_is_refused_whole(taken: Path, text: str, message: str) -> None:
    before = store().head(HEAD)
    (taken / "x.jsonl").write_text(text)
    with pytest.raises(SourceError, match=message):
        replaying.replay(file=str(taken / "x.jsonl"), as_of=AS_OF)
    assert store().head(HEAD) == before


def test_an_export_runs_nothing_in_a_spreadsheet_and_names_its_form(taken: Path) -> None:
    jobs.ingest(events=[lines(taken / "f.jsonl", *GOOD, EVENT | {"kind": "x"})], source="=1+1", as_of=AS_OF)
    quarantine(out=taken / "out.csv")
    cells = [cell for row in csv.reader((taken / "out.csv").open(encoding="utf-8-sig")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    with pytest.raises(SettingsError, match=r"\.jsonl"):
        quarantine(out=taken / "out.xlsx")


def test_a_stopped_batch_is_kept_only_where_someone_says_why(taken: Path) -> None:
    before = store().head(HEAD)
    bad = [EVENT | {"event_id": f"b{n}", "kind": "dance"} for n in range(3)]
    file = lines(taken / "bad.jsonl", EVENT | {"event_id": "good"}, *bad)
    with pytest.raises(BatchRefused, match="more than 20%"):
        jobs.ingest(events=[file], as_of=AS_OF)
    assert store().head(HEAD) == before
    taken_on = {"by": "ana", "why": "the old app sends this kind", "at": AS_OF}
    bag = jobs.ingest(events=[file], as_of=AS_OF, override=taken_on)
    assert accepted(bag)[-1] == "good"
    assert quality_ledger.ledger()["overrides"] == {bag["batch_id"]: taken_on}


def test_an_override_is_not_recorded_where_nothing_was_stopped(taken: Path) -> None:
    bag = jobs.ingest(
        events=[lines(taken / "h.jsonl", EVENT | {"event_id": "h"})],
        as_of=AS_OF,
        override={"by": "ana", "why": "?", "at": AS_OF},
    )
    assert "override" not in bag


def test_no_raw_row_is_left_when_a_batch_is_kept_stopped_or_unreadable(taken: Path) -> None:
    bad = [EVENT | {"event_id": f"b{n}", "kind": "dance"} for n in range(3)]
    with pytest.raises(BatchRefused):
        jobs.ingest(events=[lines(taken / "bad.jsonl", *bad)], as_of=AS_OF)
    with pytest.raises(SourceError):
        jobs.ingest(events=[lines(taken / "ok.jsonl", *GOOD), str(taken / "absent.jsonl")], as_of=AS_OF)
    assert list((taken / "home" / "spool").iterdir()) == []


def test_chunks_may_be_checked_in_any_order_and_twice(taken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_CHUNK_ROWS", "3")
    rows = [EVENT | {"event_id": f"n{n % 7}", "kind": "dance" if n == 4 else "review"} for n in range(10)]
    file = lines(taken / "n.jsonl", *rows)
    plan = intake.read_batch(events=[file], as_of=AS_OF)
    assert plan["chunks"] == [0, 1, 2, 3]
    for number in (3, 1, 0, 2, 1):
        intake.check_chunk(plan, number)
    assert intake.settle_batch(plan)["stopped"] == ""
    bag = intake.keep_batch(plan)
    counts = bag["counts"]["accepted_events"]["rows"]
    assert counts == {"entered": 10, "accepted": 6, "quarantined": 1, "repeated": 3}


def test_a_batch_that_another_overtook_is_settled_again(taken: Path) -> None:
    row = EVENT | {"event_id": "twice"}
    plan = intake.read_batch(events=[lines(taken / "a.jsonl", row, EVENT | {"event_id": "a"})], as_of=AS_OF)
    intake.check_chunk(plan, 0)
    intake.settle_batch(plan)
    jobs.ingest(events=[lines(taken / "b.jsonl", row)], as_of=AS_OF)
    bag = intake.keep_batch(plan)
    assert accepted(bag).count("twice") == 1
    assert bag["counts"]["accepted_events"]["rows"]["repeated"] == 1


def test_a_discarded_batch_leaves_nothing_and_cannot_be_kept(taken: Path) -> None:
    before = store().head(HEAD)
    plan = intake.read_batch(events=[lines(taken / "a.jsonl", EVENT | {"event_id": "a"})], as_of=AS_OF)
    with pytest.raises(BatchRefused, match="refused by ana"):
        intake.discard_batch(plan, by="ana", why="a test export")
    with pytest.raises(Exception, match="settled or given up"):
        intake.check_chunk(plan, 0)
    assert store().head(HEAD) == before


def test_raw_rows_that_a_killed_reader_left_go_with_the_next_batch_and_those_of_a_waiting_one_stay(taken: Path) -> None:
    killed = "import os, sys; from pathlib import Path; from tasks.jobs.spool import Spool\n"
    killed += "Spool.new(Path(sys.argv[1])).path('raw').write_text('grinder'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed, str(taken / "home")], check=False)
    assert len(list((taken / "home" / "spool").iterdir())) == 1
    plan = intake.read_batch(events=[lines(taken / "a.jsonl", EVENT | {"event_id": "a"})], as_of=AS_OF)
    jobs.ingest(events=[lines(taken / "b.jsonl", EVENT | {"event_id": "b"})], as_of=AS_OF)
    assert [folder.name for folder in (taken / "home" / "spool").iterdir()] == [plan["spool"]]
