"""Small mappings and ways to read, shared by the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tasks.columns import Table
from tasks.schema import EVENTS
from tasks.sources import Mapping, load_mapping, read_files

LOG = """
events:
  columns:
    user_id: who
    item_id: what
    kind: {column: did, map: {buy: purchase}}
    rating: {column: stars, scale: [0, 10], optional: true}
    text: {column: said, optional: true}
    event_time: {column: at, format: [iso, "%d/%m/%Y"]}
items:
  columns:
    item_id: what
    title: name
    categories: {column: tags, separator: "|", optional: true}
    price: {column: cost, optional: true}
"""

Read = Callable[..., pd.DataFrame]


@pytest.fixture
def mapping(tmp_path: Path) -> Callable[[str], Mapping]:
    """Makes a mapping of YAML text."""

    def load(text: str) -> Mapping:
        path = tmp_path / "mapping.yaml"
        path.write_text(text, encoding="utf-8")
        return load_mapping(path)

    return load


@pytest.fixture
def read(tmp_path: Path, mapping: Callable[[str], Mapping]) -> Read:
    """Writes bytes or text to a file, and reads it as the log that `LOG` describes."""

    def read_one(
        content: bytes | str, name: str = "log.csv", *, yaml: str = LOG, table: Table = EVENTS, chunk_rows: int = 1_000
    ) -> pd.DataFrame:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        chunks = list(read_files([path], mapping(yaml), table, chunk_rows=chunk_rows))
        return pd.concat(chunks, ignore_index=True)

    return read_one


def rules(frame: pd.DataFrame) -> list[list[tuple[str, str | None]]]:
    """Rule and column of each problem, per row."""
    return [[(rule, column) for rule, column, _ in found] for found in frame["problems"]]
