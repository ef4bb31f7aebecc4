"""What people should not have written is found nowhere on disk once a batch was checked."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks import jobs
from tasks.errors import BatchRefused
from tasks.jobs import replaying
from tasks.jobs.quarantined import quarantine
from tests.jobs.test_intake import AS_OF, EVENT, ITEM, lines

PLANTED = (
    "anna.novak@example.com",
    "+1 415 555 2671",
    "13812345678",
    "4111 1111 1111 1111",
    "11010519491231002X",
)
TEXTS = [
    f"The grinder works beautifully, write to {PLANTED[0]} for the receipt please.",
    f"It broke after a week and nobody answers, call me at {PLANTED[1]} any evening.",
    f"这个研磨机很好用，每天早上都用，有问题请打电话{PLANTED[2]}联系我。",
    f"They charged my card {PLANTED[3]} twice and never gave the money back to me.",
    f"客服要我的身份证号{PLANTED[4]}才肯退货，真的让人很失望，不会再买了。",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path / "home"))
    return tmp_path


def on_disk(folder: Path) -> str:
    """Everything in the files below `folder`, tables unpacked."""
    found = []
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            found.append(json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False, default=str))
        elif path.is_file():
            found.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(found)


def assert_nowhere(folder: Path) -> None:
    everything = on_disk(folder)
    assert "grinder" in everything
    for planted in PLANTED:
        for written in (planted, planted.replace(" ", "")):
            assert written not in everything


def planted_batch(home: Path, *, bad: int) -> dict[str, object]:
    """Each text once in a good row, and `bad` of them in rows that break a rule."""
    good = [EVENT | {"event_id": f"g{n}", "user_id": f"u{n}", "text": text} for n, text in enumerate(TEXTS)]
    clean = [EVENT | {"event_id": f"c{n}"} for n in range(20)]
    broken = [EVENT | {"event_id": f"b{n}", "kind": "dance", "text": TEXTS[n % 5]} for n in range(bad)]
    catalogue = [ITEM | {"description": f"A burr grinder; questions to {PLANTED[0]} or {PLANTED[1]}."}]
    return {
        "events": [lines(home / "e.jsonl", *good, *clean, *broken)],
        "items": [lines(home / "items.jsonl", *catalogue)],
        "as_of": AS_OF,
    }


def test_neither_what_is_kept_nor_what_is_quarantined_exported_or_reported_holds_it(home: Path) -> None:
    bag = jobs.ingest(**planted_batch(home, bad=5))
    assert bag["counts"]["accepted_events"]["rules"] == {"personal_data": 10, "unknown_kind": 5}
    assert bag["counts"]["accepted_events"]["rows"]["quarantined"] == 5
    quarantine(out=home / "home" / "out.jsonl")
    quarantine(out=home / "home" / "out.csv")
    assert_nowhere(home / "home")
    assert "[email]" in on_disk(home / "home")
    replaying.replay(file=str(home / "home" / "out.jsonl"), as_of=AS_OF)
    assert_nowhere(home / "home")


def test_a_stopped_batch_leaves_nothing_of_it_either(home: Path) -> None:
    jobs.ingest(events=[lines(home / "first.jsonl", EVENT)], items=[lines(home / "i.jsonl", ITEM)], as_of=AS_OF)
    with pytest.raises(BatchRefused) as refused:
        jobs.ingest(**planted_batch(home, bad=40))
    assert not [planted for planted in PLANTED if planted in str(refused.value)]
    assert_nowhere(home / "home")
