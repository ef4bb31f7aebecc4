"""Raw rows on their way from a reader to a chunk: what stood in the source, before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tasks.errors import SourceError
from tasks.sources.mapping import Section

MAX_CHARACTERS = 1 << 24
"""Longest row; a longer one is no row, but a file of another kind."""
_BLOCK_CHARACTERS = 1 << 26
"""Raw text held at a time, so that a few huge rows do not fill the memory either."""


@dataclass
class Block:
    """Some successive rows of one source: `rows` as JSON text, `values` by source column, (n,) each."""

    source: str
    rows: list[str] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)
    malformed: dict[int, str] = field(default_factory=dict)
    """Offset of each row that could not be taken apart, with the reason; its values are all None."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Row:
    """One raw row: its JSON text and values, or why it is malformed."""

    json: str
    values: Mapping[str, Any]
    malformed: str | None = None


def blocks(rows: Iterable[Row], source: str, section: Section, chunk_rows: int) -> Iterator[Block]:
    """Rows gathered by `chunk_rows`, or fewer where they are long; at least one block, which may be empty.

    Raises `SourceError` where no row of the first block has a column that must be there.
    """
    block, characters, given = _new(source, section), 0, False
    lacking, names = set(section.needed), dict[str, None]()
    for row in rows:
        if lacking and not given:
            lacking.difference_update(row.values)
            names.update(dict.fromkeys(row.values))
        if row.malformed:
            block.malformed[len(block)] = row.malformed
        block.rows.append(row.json)
        for column, values in block.values.items():
            values.append(row.values.get(column))
        characters += len(row.json)
        if len(block) >= chunk_rows or characters >= _BLOCK_CHARACTERS:
            check_columns(source, section.needed if lacking and names else (), names)
            yield block
            block, characters, given, lacking = _new(source, section), 0, True, set()
    if len(block) or not given:
        check_columns(source, section.needed if lacking and names else (), names)
        yield block


def to_json(values: Mapping[str, Any]) -> str:
    """Values of a row as JSON text; times in ISO 8601, bytes in hexadecimal, what JSON has no form for as text."""
    try:
        return json.dumps(values, ensure_ascii=False, default=_plain)
    except TypeError:  # a value is itself a mapping, with keys that JSON has no form for
        return json.dumps({name: str(value) for name, value in values.items()}, ensure_ascii=False)


def plain_text(text: str) -> str:
    """Raw text that is no row, as JSON text."""
    return json.dumps(text, ensure_ascii=False)


def check_columns(source: str, needed: Sequence[str], present: Iterable[str]) -> None:
    """Raise `SourceError` with the difference where the source lacks columns that the mapping names."""
    there = tuple(present)
    missing = [column for column in needed if column not in set(there)]
    if not missing:
        return
    if len(missing) == len(needed):
        hint = "it has none of those that the mapping names; is it the right file, and does it have a header line?"
    else:
        hint = "mend the mapping, or mark the column `optional: true` there"
    listed = ", ".join(_shown(c) for c in there[:40]) + (f" and {len(there) - 40} more" if len(there) > 40 else "")
    raise SourceError(f"{source}: it has no column {', '.join(map(repr, missing))}; it has {listed or 'none'}; {hint}")


def _new(source: str, section: Section) -> Block:
    return Block(source, values={column: [] for column in section.used})


def _shown(column: str) -> str:
    """A column's name, unless it looks like data: without a header line, the first row would be quoted."""
    named = len(column) <= 40 and not column[:1].isdigit() and column.replace(" ", "_").replace(".", "_").isidentifier()
    return column if named else "(no name)"


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return str(value)
