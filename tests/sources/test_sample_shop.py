"""The sample shop: the same arguments give the same files, windows meet, and what is written is what was planted."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import schema
from tasks.errors import SettingsError, SourceError
from tasks.sources.sample_shop import write_shop

FILES = ("items.jsonl", "events.csv", "truth_users.parquet", "truth_events.parquet", "truth_faults.parquet")


def events_of(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "events.csv", dtype=str, keep_default_na=False)
    frame["event_time"] = pd.to_datetime(frame["event_time"], utc=True)
    return frame


def test_same_arguments_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_shop(tmp_path / name, users=40, days=4, seed=5, faults=0.1)
    for name in (*FILES, "truth.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_another_seed_gives_another_shop(tmp_path):
    for seed in (1, 2):
        write_shop(tmp_path / str(seed), users=40, days=4, seed=seed)
    assert (tmp_path / "1" / "events.csv").read_bytes() != (tmp_path / "2" / "events.csv").read_bytes()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users=st.integers(1, 60), first=st.integers(1, 5), second=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_two_windows_that_meet_are_the_whole(tmp_path_factory, users, first, second, seed):
    root = tmp_path_factory.mktemp("windows")
    write_shop(root / "a", users=users, days=first, seed=seed)
    write_shop(root / "b", users=users, days=second, seed=seed, first_day=first)
    write_shop(root / "whole", users=users, days=first + second, seed=seed)
    a, b, whole = ((root / name / "events.csv").read_bytes().split(b"\n", 1) for name in ("a", "b", "whole"))
    assert a[1] + b[1] == whole[1]
    told = [pd.read_parquet(root / name / "truth_events.parquet") for name in ("a", "b", "whole")]
    pd.testing.assert_frame_equal(pd.concat(told[:2], ignore_index=True), told[2])
    for name in ("items.jsonl", "truth_users.parquet"):
        assert (root / "b" / name).read_bytes() == (root / "whole" / name).read_bytes()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    users=st.integers(1, 40), days=st.integers(1, 4), first_day=st.integers(0, 3), seed=st.integers(0, 2**63),
    start=st.dates(date(2024, 2, 27), date(2030, 1, 1)),
)  # fmt: skip
def test_every_row_is_sound(tmp_path_factory, users, days, first_day, seed, start):
    out = tmp_path_factory.mktemp("sound")
    result = write_shop(out, users=users, days=days, seed=seed, first_day=first_day, start=start)
    events = events_of(out)
    begin = pd.Timestamp(start, tz="UTC") + pd.Timedelta(days=first_day)
    assert result["as_of"] == (begin + pd.Timedelta(days=days)).isoformat()
    assert len(events) == result["counts"]["rows"] == result["counts"]["events"]
    assert events["event_id"].is_unique
    assert events["event_time"].is_monotonic_increasing
    assert ((events["event_time"] >= begin) & (events["event_time"] < pd.Timestamp(result["as_of"]))).all()
    assert set(events["kind"]) <= set(schema.KINDS)
    assert ((events["text"] != "") == events["kind"].isin(schema.TEXT_KINDS)).all()
    assert ((events["item_id"] == "") == events["kind"].isin(["search", "chat"])).all()
    assert ((events["rating"] != "") == events["kind"].isin(["rating", "review"])).all()
    assert set(events["rating"]) <= {"", "1", "2", "3", "4", "5"}
    truth = pd.read_parquet(out / "truth_events.parquet")
    assert list(truth["event_id"]) == list(events["event_id"])


def test_counts_paths_and_time(tmp_path):
    seen: list[int] = []
    result = write_shop(tmp_path, users=50, days=3, seed=1, first_day=2, start=date(2026, 5, 1), progress=seen.append)
    assert result["as_of"] == datetime(2026, 5, 6, tzinfo=UTC).isoformat()
    assert seen == [1, 1, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(result["paths"])
    events = events_of(tmp_path)
    assert result["counts"]["kinds"] == {**dict.fromkeys(result["counts"]["kinds"], 0), **events["kind"].value_counts()}
    assert result["counts"]["texts"] == (events["text"] != "").sum()
    assert result["counts"]["active_users"] == events["user_id"].nunique()


@pytest.mark.parametrize(
    "wrong",
    [{"users": 0}, {"days": 0}, {"seed": -1}, {"first_day": -1}, {"faults": 0.6}, {"faults": -0.1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_argument_out_of_range_writes_nothing(tmp_path, wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        write_shop(tmp_path / "out", **({"users": 5, "days": 1, "seed": 1} | wrong))
    assert not (tmp_path / "out").exists()


def test_missing_data_writes_nothing(tmp_path):
    with pytest.raises(SourceError, match=r"catalogue\.yaml"):
        write_shop(tmp_path / "out", users=5, days=1, seed=1, data=tmp_path)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_shop_leaves_the_old_one_whole(tmp_path):
    write_shop(tmp_path, users=20, days=2, seed=1)
    before = (tmp_path / "events.csv").read_bytes()

    def stop(days: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shop(tmp_path, users=20, days=2, seed=2, progress=stop)
    assert (tmp_path / "events.csv").read_bytes() == before
    assert not (tmp_path / ".writing").exists()


@pytest.mark.slow
def test_a_hundred_thousand_users_fit_in_half_a_gigabyte(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tasks.sources.sample_shop import write_shop\n"
        "rows = write_shop(Path(sys.argv[1]), users=100_000, days=5, seed=1)['counts']['rows']\n"
        # not getrusage: its peak is handed down by the process that started this one
        "status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())\n"
        "print(rows, status['VmHWM'].split()[0])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    rows, peak_kilobytes = map(int, run.stdout.split())
    assert rows > 150_000
    assert peak_kilobytes < 500_000
