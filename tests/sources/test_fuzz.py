"""Whatever the bytes are: chunks that keep their promise, or a `SourceError`, and never anything else."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.columns import Table
from tasks.errors import SourceError
from tasks.schema import EVENTS, ITEMS, KINDS
from tasks.sources import Mapping, load_mapping, read_files, read_rows

OWN = load_mapping(None)
FEW, MANY = (
    settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    for examples in (10, 300)
)

NAMES = st.sampled_from([*EVENTS.names, *ITEMS.names, "other"])
CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["2024-01-01", "5", '"', '""', "view", "nan", "1e400", "now", "\x00", "\udce9", "=1+1", "a|b"]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def check(path: Path, table: Table, mapping: Mapping = OWN) -> int:
    """Read a file; every chunk must be what its contract says."""
    rows, last, told = 0, 0, None
    try:
        for chunk in read_files([path], mapping, table, chunk_rows=7):
            given_ = [n for n in table.names if n not in ("text_hash", "batch_id")]
            assert list(chunk.columns) == ["position", "row", *given_, "problems"]
            assert chunk["position"].tolist() == list(range(last + 1, last + 1 + len(chunk)))
            for name in given_:
                pa.array(chunk[name], table[name].arrow.type, from_pandas=True)
            pa.array(chunk["row"], pa.string())
            for found in chunk["problems"]:
                assert all(rule and reason and (column is None or column in given_) for rule, column, reason in found)
            if table is EVENTS:
                assert chunk["kind"].dropna().isin(KINDS).all()
                assert chunk["rating"].dropna().between(1, 5).all()
            rows, last = rows + len(chunk), last + len(chunk)
    except SourceError as error:
        told = str(error)
    assert told is None or path.name in told
    return rows


@pytest.mark.parametrize("name", ["f.csv", "f.jsonl", "f.parquet", "f", "f.csv.gz"])
@FEW
@given(content=st.binary(max_size=400))
def test_random_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    check(path, EVENTS)


HEADS = ["user_id,kind,event_time,text,rating\n", '{"user_id": "a", "kind": "view", "event_time": "2024-01-01"}\n']


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@MANY
@given(content=st.binary(max_size=400))
def test_random_bytes_after_a_sound_beginning(tmp_path: Path, head: str, encoding: str, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(head.encode(encoding) + content)
    check(path, EVENTS)


@FEW
@given(
    names=st.lists(NAMES, min_size=1, max_size=12, unique=True),
    rows=st.lists(st.lists(CELLS, max_size=12), max_size=12),
    join=st.sampled_from([",", ";", "\t", '","']),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252"]),
    table=st.sampled_from([EVENTS, ITEMS]),
)
def test_random_tables(
    tmp_path: Path, names: list[str], rows: list[list[str]], join: str, end: str, encoding: str, table: Table
) -> None:
    needed = [name for name in ("user_id", "kind", "event_time", "item_id", "title") if name not in names]
    text = end.join(join.join(cells) for cells in [[*needed, *names], *rows])
    path = tmp_path / "f.csv"
    path.write_bytes(text.encode(encoding, "replace"))
    check(path, table)


@FEW
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=8), min_size=1, max_size=8), st.sampled_from([EVENTS, ITEMS]))
def test_random_objects(tmp_path: Path, objects: list[dict[str, object]], table: Table) -> None:
    base = dict.fromkeys(("user_id", "kind", "event_time", "item_id", "title"), "a")
    path = tmp_path / "f.jsonl"
    path.write_text("\n".join(json.dumps({**base, **values}) for values in objects))
    assert check(path, table) == len(objects)
    read = read_rows(path.read_text().split("\n"), OWN, table, source="f.jsonl", chunk_rows=100)
    assert sum(map(len, read)) == len(objects)


@pytest.mark.slow
@MANY
@given(st.data())
def test_damaged_parquet_and_gzip(tmp_path: Path, data: st.DataObject) -> None:
    sink = io.BytesIO()
    frame = pd.DataFrame({"user_id": ["a", "b"], "kind": ["view", None], "event_time": pd.to_datetime(["2024"] * 2)})
    pq.write_table(pa.Table.from_pandas(frame), sink, compression="none")
    content = bytearray(sink.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "f.parquet"
    path.write_bytes(content)
    check(path, EVENTS)
    packed = bytearray(gzip.compress(HEADS[1].encode() * 9))
    packed[data.draw(st.integers(2, len(packed) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "f.jsonl.gz"
    path.write_bytes(packed[: data.draw(st.integers(2, len(packed)))])
    check(path, EVENTS)
