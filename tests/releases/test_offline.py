"""A release's Parquet files: whole or absent, deterministic, sharded without loss, refusing what cannot be kept."""

import errno
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import schema
from tasks.errors import ReleaseError, SchemaError, StoreUnavailable
from tasks.releases import offline
from tasks.releases.offline import offline_path, read_offline, remove_offline, sample_offline, write_offline
from tests.releases.planted import AS_OF, frame, ugly


@pytest.mark.parametrize("table", schema.SERVED, ids=lambda t: t.name)
def test_rows_come_back_with_their_release(tmp_path, table):
    kept = ugly(table)
    block = write_offline(tmp_path, "r1", table, [kept], as_of=AS_OF)
    read = pd.concat(read_offline(offline_path(tmp_path, "r1", table)))
    assert block.rows == len(read) == len(kept)
    assert list(read.columns) == [*table.names, schema.RELEASE.name]
    assert set(read[schema.RELEASE.name]) == {"r1"}
    for column in table.features:
        if column.type == "list<float32>":
            for left, right in zip(kept[column.name], read[column.name], strict=True):
                np.testing.assert_array_equal(left, right)


def test_timestamps_are_cut_to_seconds(tmp_path):
    table = schema.USER_ACTIVITY
    write_offline(tmp_path, "r1", table, [ugly(table)], as_of=AS_OF)
    read = pq.read_table(offline_path(tmp_path, "r1", table))["last_event"].to_pylist()
    assert all(value.microsecond == 0 for value in read)
    assert read[1] == AS_OF - timedelta(seconds=2)  # one second and one microsecond before, cut downwards


def test_same_rows_same_bytes(tmp_path):
    table = schema.USER_TOPICS
    made = frame(table, 50)
    shuffled = made.sample(frac=1, random_state=1)
    assert write_offline(tmp_path, "r1", table, [made], as_of=AS_OF) == write_offline(
        tmp_path, "r1", table, [shuffled], as_of=AS_OF
    )


def test_many_frames_are_one_file(tmp_path):
    table = schema.USER_TOPICS
    made = frame(table, 50)
    block = write_offline(tmp_path, "r1", table, (made[i : i + 20] for i in range(0, 50, 20)), as_of=AS_OF)
    assert block.rows == 50


@settings(max_examples=20, deadline=None)
@given(shards=st.integers(1, 9), rows=st.integers(1, 40), batch=st.integers(1, 17))
def test_shards_partition_the_rows(tmp_path_factory, shards, rows, batch):
    home, table = tmp_path_factory.mktemp("home"), schema.USER_STYLE
    write_offline(home, "r1", table, [frame(table, rows)], as_of=AS_OF)
    path = offline_path(home, "r1", table)
    parts = [f for s in range(shards) for f in read_offline(path, shard=s, shards=shards, rows=batch)]
    keys = [key for part in parts for key in part["user_id"]]
    assert sorted(keys) == sorted(frame(table, rows)["user_id"])


def test_sample_is_repeatable_and_without_repeats(tmp_path):
    table = schema.USER_STYLE
    write_offline(tmp_path, "r1", table, [frame(table, 300)], as_of=AS_OF)
    path = offline_path(tmp_path, "r1", table)
    first, again, other = (sample_offline(path, 40, seed)["user_id"].tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 40
    assert len(sample_offline(path, 1000, 0)) == 300


def test_an_empty_table_keeps_its_columns(tmp_path):
    table = schema.USER_STYLE
    assert write_offline(tmp_path, "r1", table, [], as_of=AS_OF).rows == 0
    assert list(sample_offline(offline_path(tmp_path, "r1", table), 5, 0).columns) == [*table.names, "release"]


def test_a_repeated_key_is_refused_and_leaves_nothing(tmp_path):
    table = schema.USER_STYLE
    with pytest.raises(ReleaseError, match="3 rows repeat a user_id"):
        write_offline(tmp_path, "r1", table, [frame(table, 5), frame(table, 3)], as_of=AS_OF)
    assert not list((tmp_path / "releases" / "r1").iterdir())


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("axes", ["a", None], "null inside a list"), ("as_of", datetime(2026, 3, 2, tzinfo=UTC), "another as_of")],
)
def test_what_a_store_would_change_is_refused(tmp_path, column, value, words):
    made = frame(schema.USER_STYLE, 2)
    made.at[1, column] = value
    with pytest.raises(ReleaseError, match=words):
        write_offline(tmp_path, "r1", schema.USER_STYLE, [made], as_of=AS_OF)


def test_nul_in_a_text_is_refused_without_quoting_it(tmp_path):
    made = frame(schema.ITEM_CONTENT, 2)
    made.at[0, "title"] = "secret\0"
    with pytest.raises(ReleaseError, match=r"item_content\.title: a NUL") as error:
        write_offline(tmp_path, "r1", schema.ITEM_CONTENT, [made], as_of=AS_OF)
    assert "secret" not in str(error.value)


def test_wrong_columns_are_refused(tmp_path):
    with pytest.raises(SchemaError, match="style"):
        write_offline(tmp_path, "r1", schema.USER_STYLE, [frame(schema.USER_STYLE, 2)[["user_id"]]], as_of=AS_OF)


def test_a_full_disk_is_said_so_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        write_offline(tmp_path, "r1", schema.USER_STYLE, [frame(schema.USER_STYLE, 2)], as_of=AS_OF)
    assert not list((tmp_path / "releases" / "r1").iterdir())


def test_missing_and_damaged_files_are_said_so(tmp_path):
    path = tmp_path / "rows.parquet"
    with pytest.raises(ReleaseError, match="missing"):
        list(read_offline(path))
    path.write_bytes(b"not a parquet file at all")
    with pytest.raises(ReleaseError, match="damaged"):
        list(read_offline(path))


def test_remove_takes_the_files_of_one_release(tmp_path):
    for name in ("r1", "r2"):
        write_offline(tmp_path, name, schema.USER_STYLE, [frame(schema.USER_STYLE, 2)], as_of=AS_OF)
    remove_offline(tmp_path, "r1")
    assert [p.name for p in (tmp_path / "releases").iterdir()] == ["r2"]


def test_the_shard_of_a_key_never_changes():
    assert offline.shard_of(pd.Series(["user-1", "用户", ""]), 1000).tolist() == [42, 338, 774]
