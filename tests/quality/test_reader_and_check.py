"""Whatever a file holds: each row is accepted, quarantined or a repeat, or the file is refused; nothing in between."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.columns import to_arrow
from tasks.errors import BatchRefused, SourceError
from tasks.schema import EVENTS, QUARANTINE
from tasks.sources import load_mapping, read_files

from .frames import batch_check

MAPPING = load_mapping(None)
NAMES = ["event_id", "user_id", "item_id", "kind", "rating", "text", "event_time"]


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
