"""What files are turned into: chunks of the right rows, problems on the right rows, or one clear error."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import SourceError
from tasks.schema import EVENTS, ITEMS
from tasks.sources import Mapping, digest_files, load_mapping, read_files, read_rows
from tests.sources.conftest import LOG, Read, rules

HEADER = "who,what,did,stars,said,at"
ROWS = [
    "ann,i1,review,10,works well,2024-01-02",
    'bob,i2,buy,,"two\nlines, and ""quotes""",2024-01-03T10:00:00+08:00',
    "何,i3,comment,0,手机壳很好,31/12/2023",
]
PLAIN = "\n".join([HEADER, *ROWS]) + "\n"


def check_three_rows(frame: pd.DataFrame) -> None:
    assert frame["position"].tolist() == [1, 2, 3]
    assert frame["user_id"].tolist() == ["ann", "bob", "何"]
    assert frame["kind"].tolist() == ["review", "purchase", "comment"]
    assert frame["rating"].tolist()[::2] == [5, 1]
    assert frame["text"].tolist() == ["works well", 'two\nlines, and "quotes"', "手机壳很好"]
    assert [t.isoformat() for t in frame["event_time"]] == [
        "2024-01-02T00:00:00+00:00",
        "2024-01-03T02:00:00+00:00",
        "2023-12-31T00:00:00+00:00",
    ]
    assert frame["problems"].tolist() == [[], [], []]
    assert json.loads(frame["row"][0])["stars"] in ("10", 10)


def as_dicts() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(PLAIN, newline="")))


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", PLAIN.encode()),
        ("log.csv", PLAIN.replace(HEADER, ",".join(f'"{name}"' for name in HEADER.split(","))).encode()),
        ("log.csv", PLAIN.encode("utf-8-sig")),
        ("log.csv", PLAIN.encode("utf-16")),
        ("log.csv", PLAIN.encode("utf-16-le")),
        ("log.csv", PLAIN.encode("utf-16-be")),
        ("log.csv", PLAIN.encode("utf-32")),
        ("log.csv", PLAIN.encode("gb18030")),
        ("log.csv", PLAIN.replace("\n", "\r\n").replace("two\r\nlines", "two\nlines").encode()),
        ("log.csv", (PLAIN.replace("well,2024-01-02\n", "well,2024-01-02\r") + "\n\n\r\n").encode()),
        ("log.csv.gz", gzip.compress(PLAIN.encode("gb18030"))),
        ("unnamed", gzip.compress(PLAIN.encode())),
        ("log.jsonl", "\n".join(json.dumps(r) for r in as_dicts()).encode()),
        ("log.json", "\r\n\n".join(json.dumps(r, ensure_ascii=False) for r in as_dicts()).encode("utf-8-sig")),
        ("log.ndjson.gz", gzip.compress("\n".join(json.dumps(r) for r in as_dicts()).encode())),
        ("unnamed", "\n".join(json.dumps(r) for r in as_dicts()).encode()),
        ("log.parquet", as_parquet(as_dicts())),
        ("log.parquet.gz", gzip.compress(as_parquet(as_dicts()))),
        ("unnamed", as_parquet(as_dicts())),
    ],
)
def test_the_same_rows_in_any_dress(read: Read, name: str, content: bytes) -> None:
    check_three_rows(read(content, name))


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_the_delimiter_is_found(read: Read, delimiter: str) -> None:
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, HEADER.split(","), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(as_dicts())
    check_three_rows(read(sink.getvalue(), "log.txt"))


def test_columns_in_another_order_and_more_of_them(read: Read) -> None:
    frame = pd.DataFrame(as_dicts())[["at", "did", "said", "what", "stars", "who"]]
    frame.insert(0, "extra", 1)
    check_three_rows(read(frame.to_csv(index=False)))


def test_chinese_text_with_emoji_is_still_chinese(read: Read) -> None:
    text = "很好用👍👍👍 推荐给大家😀"
    assert read(f"{HEADER}\nu,i,review,5,{text},2024-01-01".encode("gb18030"))["text"].tolist() == [text]


def test_western_text_is_not_taken_for_chinese(read: Read) -> None:
    said = ["très présenté à l'été, déjà vu", "größte Überraschung für Ähnliches", "señor año niño", "“smart” – €5"]
    rows = [f'u,i,review,5,"{text}",2024-01-01' for text in said]
    assert read("\n".join([HEADER, *rows]).encode("cp1252"))["text"].tolist() == said


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Отличный товар рекомендую всем", "cp1251"),
        ("很好用的手機殼推薦給大家", "big5"),
        ("이 제품은 정말 좋아요 추천합니다 배송도 빨라요 품질이 아주 만족스럽습니다 다음에 또 구매할게요", "euc-kr"),
    ],
)
def test_other_encodings_are_refused_and_not_guessed(read: Read, text: str, encoding: str) -> None:
    content = "\n".join([HEADER, *[f"u,i,review,5,{text},2024-01-01"] * 9]).encode(encoding)
    with pytest.raises(SourceError, match="its encoding cannot be told; name it under `file: encoding`"):
        read(content)
    yaml = LOG.replace("events:\n", f"events:\n  file: {{encoding: {encoding}}}\n")
    assert read(content, yaml=yaml)["text"][0] == text


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_chunks_bound_the_rows_and_lose_none(
    tmp_path: Path, mapping: Callable[[str], Mapping], chunk_rows: int
) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    first.write_text(PLAIN)
    second.write_text("\n".join(json.dumps(r) for r in as_dicts()[:2]))
    chunks = list(read_files([first, second], mapping(LOG), EVENTS, chunk_rows=chunk_rows))
    assert all(len(chunk) <= chunk_rows for chunk in chunks)
    assert {chunk.attrs["source"] for chunk in chunks} == {str(first), str(second)}
    whole = pd.concat(chunks, ignore_index=True)
    assert whole["position"].tolist() == [1, 2, 3, 4, 5]
    assert whole["event_id"].tolist()[:2] == whole["event_id"].tolist()[3:]  # equal rows, equal ids


def test_mixed_encodings_end_in_quarantine_and_not_in_mojibake(read: Read) -> None:
    good = [f"u{i},i,review,5,好的,2024-01-01" for i in range(5)]
    lines = [HEADER, *good[:3], "o,i,review,5,旧的很好,2024-01-01", *good[3:]]
    frame = read(b"\n".join(line.encode("gb18030" if line[0] == "o" else "utf-8") for line in lines))
    assert rules(frame) == [[], [], [], [("encoding", "text")], [], []]
    assert frame["text"].tolist() == ["好的"] * 3 + [None] + ["好的"] * 2
    kept = json.loads(frame["row"][3])["said"]
    assert kept.encode("utf-8", "surrogateescape").decode("gb18030") == "旧的很好"  # nothing is lost
    frame["row"].map(str.encode)  # and everything can be stored


def test_a_pinned_encoding_is_obeyed(read: Read) -> None:
    yaml = LOG.replace("events:\n", "events:\n  file: {encoding: latin-1}\n")
    frame = read("who,what,did,stars,said,at\nu,i,review,5,caf\xe9,2024-01-01".encode("latin-1"), yaml=yaml)
    assert frame["text"].tolist() == ["café"]
    yaml = yaml.replace("latin-1", "ascii")
    assert rules(read("who,what,did,stars,said,at\nu,i,review,5,café,2024-01-01", yaml=yaml)) == [
        [("encoding", "text")]
    ]


def test_a_nul_is_told(read: Read) -> None:
    frame = read(PLAIN.replace("works well", "works\x00well"))
    assert rules(frame) == [[("encoding", "text")], [], []]
    rows = [{**row, "said": "a\x00b"} for row in as_dicts()]
    assert rules(read(as_parquet(rows), "a.parquet")) == [[("encoding", "text")]] * 3
    assert rules(read("\n".join(map(json.dumps, rows)), "a.jsonl")) == [[("encoding", "text")]] * 3


def test_a_text_of_a_million_characters_goes_through(read: Read) -> None:
    long = "很长" * 500_000
    frame = read(PLAIN.replace("works well", long))
    assert frame["text"][0] == long
    rows = [{**row, "said": long} for row in as_dicts()[:1]]
    assert read(json.dumps(rows[0]), "a.jsonl")["text"][0] == long


def test_one_lost_quote_costs_one_row(read: Read) -> None:
    rows = [f'u{i},i,review,5,"said {i}",2024-01-01' for i in range(8)]
    rows[3] = 'u3,i,review,5,"never closed,2024-01-01'
    rows[5] = 'u5,i,review,5,"closed" too early,2024-01-01'
    frame = read("\n".join([HEADER, *rows]))
    assert frame["user_id"].tolist() == ["u0", "u1", "u2", None, "u4", None, "u6", "u7"]
    assert [len(found) for found in frame["problems"]] == [0, 0, 0, 1, 0, 1, 0, 0]
    rule, column, reason = frame["problems"][3][0]
    assert (rule, column) == ("malformed_row", None)
    assert reason.startswith("line 5: a quote mark is not closed")
    assert "never closed" not in reason
    assert json.loads(frame["row"][3]).startswith('u3,i,review,5,"never')


def test_a_quote_lost_at_the_end_costs_one_row(read: Read) -> None:
    frame = read(
        "\n".join([HEADER, 'a,i,view,,"open,2024-01-01', *(f"u{i},i,view,,x,2024-01-01" for i in range(6_000))])
    )
    assert len(frame) == 6_001
    assert [i for i, found in enumerate(frame["problems"]) if found] == [0]


def test_rows_of_another_length_and_repeated_headers(read: Read) -> None:
    rows = ["a,i,view,,x,2024-01-01", "short,i", "long,i,view,,x,2024-01-01,more", HEADER, "b,i,view,,x,2024-01-01,,"]
    frame = read("\n".join([HEADER, *rows]))
    assert frame["user_id"].tolist() == ["a", None, None, None, "b"]
    reasons = [found[0][2] if found else "" for found in frame["problems"]]
    assert reasons[1].startswith("line 3: it has 2 fields where the header has 6")
    assert reasons[2].startswith("line 4: it has 7 fields where the header has 6")
    assert reasons[3].startswith("line 5: it repeats the header")
    assert not frame.loc[1:3, "event_id"].notna().any()


def test_lines_that_are_no_json_objects(read: Read) -> None:
    good = json.dumps(as_dicts()[0])
    frame = read("\n".join([good, "{broken", "[1]", "5", '{"who": 1, "who": 2}', "[" * 100_000, good]), "log.jsonl")
    assert [len(found) for found in frame["problems"]] == [0, 1, 1, 1, 1, 1, 0]
    assert frame["problems"][1][0][2] == "line 2: it is not one JSON object on one line; write each row as one"
    assert "twice" in frame["problems"][4][0][2]
    assert json.loads(frame["row"][1]) == "{broken"
    assert frame["user_id"].tolist() == ["ann", None, None, None, None, None, "ann"]


def test_half_a_surrogate_pair_in_json_is_told(read: Read) -> None:
    frame = read(json.dumps({**as_dicts()[0], "said": "half \ud83d"}), "log.jsonl")
    assert rules(frame) == [[("encoding", "text")]]


def test_values_that_cannot_be_read_are_told_per_row(read: Read) -> None:
    frame = read("\n".join([HEADER, "a,i,dance,11,x,2024-01-01", "b,i,view,many,x,soon", "c,i,view,5,x,"]))
    assert rules(frame) == [
        [("unknown_kind", "kind"), ("rating_scale", "rating")],
        [("parse_rating", "rating"), ("parse_time", "event_time")],
        [],
    ]
    assert frame["event_time"].isna().tolist() == [False, True, True]
    told = " ".join(reason for found in frame["problems"] for _, _, reason in found)
    assert not any(value in told for value in ("dance", "many", "soon"))


ERRORS = [
    ("log.csv", b"", "it is empty"),
    ("log.csv", b" \n\n", "it is empty"),
    ("log.csv.gz", b"", "called .gz but is empty"),
    ("log.csv.gz", b"who,what", "called .gz but is not gzip"),
    ("log.csv.gz", gzip.compress(PLAIN.encode())[:-12], "cut short or damaged after row"),
    ("log.csv.gz", gzip.compress(PLAIN.encode() * 50)[:60], "cut short or damaged after row"),
    ("log.jsonl.gz", gzip.compress(b'{"who": 1}')[:-4] + b"oops", "cut short or damaged"),
    ("log.csv", bytes(range(256)) * 40, "it is binary"),
    ("log.csv", b"\x00" * 5_000, "it is binary"),
    ("log.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "it is binary"),
    ("log.csv", b"PK\x03\x04rest", "zip archive or an Excel workbook"),
    ("log.jsonl", b'[{"who": "a"}]', "one JSON array and not JSON lines"),
    ("log.csv", b"who,what,did,at,who\n", "line 1: columns 1 and 5 have the same name"),
    ("log.csv", b"who,what,at\na,b,c\n", "it has no column 'did'; it has who, what, at; mend the mapping"),
    ("log.csv", b"ann,i1,view,2024-01-01\n", "none of those that the mapping names; .* does it have a header line"),
    ("log.csv", b'"who,what\n', "line 1: a quote mark is not closed"),
    ("log.jsonl", b'{"who": "a", "what": "b", "did": "view"}', "it has no column 'at'; it has who, what, did"),
    ("log.parquet", b"PAR1 and then nothing", "no Parquet file, or a damaged one"),
    ("log.parquet", as_parquet(as_dicts())[:-30], "no Parquet file, or a damaged one"),
    ("log.parquet", as_parquet([{"who": "a"}]), "it has no column 'what', 'did', 'at'; it has who"),
    ("log.csv", b"x" * (1 << 24), "line 1 is longer than 16,777,216 characters"),
    ("log.jsonl", b"{" * (1 << 24), "line 1 is longer than 16,777,216 characters"),
]


@pytest.mark.parametrize(("name", "content", "told"), ERRORS, ids=[told[:30] for _, _, told in ERRORS])
def test_what_is_no_source_is_one_clear_error(read: Read, name: str, content: bytes, told: str) -> None:
    with pytest.raises(SourceError, match=told) as caught:
        read(content, name)
    assert name in str(caught.value)


def test_a_file_without_a_header_does_not_have_its_first_row_quoted(read: Read) -> None:
    with pytest.raises(SourceError) as caught:
        read("1,ann@example.org,Hello there everybody this is a very long text about me,5\n")
    assert "example" not in str(caught.value)
    assert "Hello" not in str(caught.value)


def test_two_parquet_columns_of_one_name(read: Read) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["who", "who"]), sink)
    with pytest.raises(SourceError, match="'who' stands twice"):
        read(sink.getvalue(), "a.parquet")


def test_parquet_text_that_is_no_utf8_is_told(read: Read) -> None:
    row = {**as_dicts()[0]}
    table = pa.Table.from_pylist([row, row])
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"caf\xe9", b"fine"]).buffers())
    sink = io.BytesIO()
    pq.write_table(table.set_column(table.schema.get_field_index("said"), "said", bad), sink)
    frame = read(sink.getvalue(), "a.parquet")
    assert rules(frame) == [[("encoding", "text")], []]
    assert frame["text"].tolist() == [None, "fine"]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path, told in ((tmp_path / "absent.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SourceError, match=told):
            list(read_files([path], load_mapping(None), EVENTS, chunk_rows=10))
        with pytest.raises(SourceError, match=told):
            digest_files([path])
    with pytest.raises(SourceError, match="no file was named"):
        list(read_files([], load_mapping(None), EVENTS, chunk_rows=10))


def test_a_header_alone_gives_an_empty_chunk_with_its_columns(read: Read) -> None:
    frame = read(HEADER)
    assert len(frame) == 0
    assert frame["rating"].dtype == "float32"
    assert str(frame["event_time"].dtype) == "datetime64[us, UTC]"


def test_ten_thousand_columns(read: Read) -> None:
    more = ",".join(f"c{i}" for i in range(10_000))
    frame = read(f"{HEADER},{more}\na,i,view,,x,2024-01-01{',1' * 10_000}\n")
    assert frame["user_id"].tolist() == ["a"]


def test_our_own_names_for_items(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item_id,title,categories,price,updated_at\n1,One,a|b,2.50,2024-01-01\n2,Two,,,\n")
    (frame,) = read_files([path], load_mapping(None), ITEMS, chunk_rows=10)
    assert frame["categories"].tolist() == [["a", "b"], []]
    assert frame["price"].tolist()[0] == 2.5
    assert "event_id" not in frame.columns


def test_rows_can_be_read_again_from_their_json(read: Read, mapping: Callable[[str], Mapping]) -> None:
    frame = read(PLAIN)
    (again,) = read_rows(frame["row"], mapping(LOG), EVENTS, source="quarantine", chunk_rows=10)
    pd.testing.assert_frame_equal(again.drop(columns="row"), frame.drop(columns="row"))


def test_the_digest_tells_bytes_and_not_names(tmp_path: Path) -> None:
    for name, content in (("a", "x"), ("b", "y"), ("c", "x")):
        (tmp_path / name).write_text(content)
    a, b, c = (tmp_path / name for name in "abc")
    assert digest_files([a, b]) == digest_files([b, c])
    assert digest_files([a]) != digest_files([b])
    assert digest_files([a, c]) != digest_files([a])
    assert len(digest_files([a])) == 32


@pytest.mark.slow
def test_memory_is_bounded_by_the_chunk(tmp_path: Path, mapping: Callable[[str], Mapping]) -> None:
    path = tmp_path / "long.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(HEADER + "\n")
        for i in range(6_000):
            file.write(f"u{i},i,review,5,{'word ' * 400},2024-01-01\n")  # 12 MB in all
    tracemalloc.start()
    rows = sum(len(chunk) for chunk in read_files([path], mapping(LOG), EVENTS, chunk_rows=200))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 6_000
    assert peak < 6_000_000
