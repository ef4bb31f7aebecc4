"""Whatever a file holds: each row is accepted, quarantined or a repeat, or the file is refused; nothing in between."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.columns import to_arrow
from tasks.errors import BatchRefused, SourceError
from tasks.schema import EVENTS, QUARANTINE
from tasks.sources import load_mapping, read_files

from .frames import batch_check

MAPPING = load_mapping(None)
NAMES = ["event_id", "user_id", "item_id", "kind", "rating", "text", "event_time"]
TIMES = [
    "2026-01-05T08:00:00Z",
    "2026-01-05 08:00:00",
    "2026-01-05",
    "1767600000",
    "1767600000000",
    "05/01/2026",
    "soon",
]
CELLS = {
    "event_id": st.sampled_from(["e1", "e2", "e3", "", "=1+1"]),
    "user_id": st.sampled_from(["u1", "ada@example.org", "", "7", "1e3"]),
    "item_id": st.sampled_from(["i1", ""]),
    "kind": st.sampled_from(["review", "view", "kind", "Review", ""]),
    "rating": st.sampled_from(["5", "4.0", "4/5", "80%", "★★★★", "five", "-1", ""]),
    "text": st.sampled_from(["Loud and clear.", "好听，清楚。", '"', 'a "b" c', "a,b", "call 13812345678", "x\ny", ""])
    | st.text(max_size=8),
    "event_time": st.sampled_from(TIMES),
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), max_size=8)


def outcome(content: bytes, name: str = "f.csv", chunk_rows: int = 3) -> tuple[int, int, int] | None:
    """Rows accepted, quarantined and repeated, which are all of them; None where the file or the batch is refused."""
    check, read = batch_check(), 0
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            for chunk in read_files([path], MAPPING, EVENTS, chunk_rows=chunk_rows):
                accepted, quarantine = check.add(chunk)
                to_arrow(accepted, EVENTS)
                to_arrow(quarantine, QUARANTINE)
                read += len(chunk)
            rows = check.finish().rows
        except (SourceError, BatchRefused):
            return None
    assert rows.entered == read == rows.accepted + rows.quarantined + rows.repeated
    return rows.accepted, rows.quarantined, rows.repeated


def table(rows: list[dict[str, str]], names: list[str], end: str, quote: bool) -> str:
    cells = [names, *([row[name] for name in names] for row in rows)]
    cover = (lambda cell: '"' + cell.replace('"', '""') + '"') if quote else (lambda cell: cell)
    return end.join(",".join(map(cover, line)) for line in cells) + end


@settings(max_examples=20, deadline=None)
@given(
    rows=ROWS,
    names=st.permutations(NAMES),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quote=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "gb18030"]),
)
def test_tables_in_any_dress_lose_no_row(
    rows: list[dict[str, str]], names: list[str], end: str, quote: bool, encoding: str
) -> None:
    content = table(rows, names, end, quote).encode(encoding, "replace")
    one, other = outcome(content, chunk_rows=2), outcome(content, chunk_rows=100)
    assert one == other
    if rows and quote and encoding.startswith("utf-") and not any("\r" in row["text"] for row in rows):
        assert one is not None
        assert sum(one) == len(rows)


@settings(max_examples=20, deadline=None)
@given(
    rows=ROWS, cut=st.integers(0, 400), extra=st.sampled_from(["", "user_id,kind\n", '"lost\n', "\x00\n", "a,b,c,d\n"])
)
@example(rows=[], cut=0, extra="")
def test_a_file_that_is_cut_or_spoilt_in_the_middle_is_refused_or_loses_nothing(
    rows: list[dict[str, str]], cut: int, extra: str
) -> None:
    text = table(rows, NAMES, "\n", quote=True)
    middle = text.find("\n", len(text) // 2) + 1
    outcome((text[:middle] + extra + text[middle:]).encode())
    packed = gzip.compress(text.encode())
    if cut < len(packed) - 1:
        assert outcome(packed[:cut], "f.csv.gz") is None


def test_mixed_newlines_a_header_in_the_middle_and_one_row() -> None:
    head = ",".join(NAMES)
    row = "e{},u1,i1,review,5,Loud and clear.,2026-01-05T08:00:00Z"
    assert outcome(f"{head}\r\n{row.format(1)}\n{row.format(2)}\r\n".encode()) == (2, 0, 0)
    assert outcome(f"{head}\n{row.format(1)}\n{head}\n{row.format(2)}\n".encode()) == (2, 1, 0)
    assert outcome(f"{head}\n{row.format(1)}".encode()) == (1, 0, 0)
    assert outcome(f"{head}\n".encode()) is None


def test_a_column_twice_is_refused_and_ten_thousand_more_are_passed_over() -> None:
    head, row = ",".join(NAMES), "e1,u1,i1,review,5,Loud and clear.,2026-01-05T08:00:00Z"
    assert outcome(f"{head},text\n{row},again\n".encode()) is None
    more = ",".join(f"c{n}" for n in range(10_000))
    assert outcome(f"{head},{more}\n{row}{',' * 10_000}\n".encode()) == (1, 0, 0)
