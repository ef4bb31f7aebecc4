"""Rows of CSV, TSV and their like: strict about quotes, so that one lost quote mark costs one row and not the rest."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from tasks.errors import SourceError
from tasks.sources.block import MAX_CHARACTERS, Row, check_columns, plain_text, to_json
from tasks.sources.mapping import FileFormat, Section
from tasks.sources.opening import open_text

_DELIMITERS = (",", "\t", ";", "|")
_MOST_LINES = 5_000
"""Lines that one quoted field may span; beyond, its closing quote is lost."""
_UNBALANCED = "line {}: a quote mark is not closed or stands inside a field; double the quotes inside quoted fields"


def delimited_rows(path: Path, section: Section) -> Iterator[Row]:
    """The rows of a delimited file; raises `SourceError` where its header is missing, doubled or not as mapped."""
    if csv.field_size_limit() < MAX_CHARACTERS:
        csv.field_size_limit(MAX_CHARACTERS)  # holds for the whole process, and is only ever raised
    with open_text(path, section.file) as text:
        lines = _Lines(text, path)
        records = _records(lines, _delimiter(lines, section), section.file)
        header = section.file.header or _header(records, path)
        check_columns(str(path), section.needed, header)
        for line, fields, raw in records:
            yield _row(line, fields, raw, header)


class _Lines:
    """The lines of a text with their numbers; lines can be given back to be read again."""

    def __init__(self, text: TextIO, path: Path) -> None:
        self.number = 0
        self._text, self._path = text, path
        self._returned: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._text.readline(MAX_CHARACTERS)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) >= MAX_CHARACTERS:
            raise SourceError(f"{self._path}: line {self.number} is longer than {MAX_CHARACTERS:,} characters; is this "
                              "a delimited text file?")  # fmt: skip
        return line[1:] if self.number == 1 and line.startswith("\ufeff") else line

    def give_back(self, lines: Sequence[str]) -> None:
        """Read these lines again."""
        self.number -= len(lines)
        self._returned.extendleft(reversed(lines))


Record = tuple[int, list[str] | None, str]
"""Number of its first line, its fields (None where it cannot be taken apart), and its text."""


def _records(lines: _Lines, delimiter: str, said: FileFormat) -> Iterator[Record]:
    """The records of a text, blank lines left out."""
    if len(delimiter) > 1 or not said.quote:
        for line in lines:
            bare = line.rstrip("\r\n")
            if bare.strip():
                yield lines.number, bare.split(delimiter), line
        return
    taken: list[str] = []

    def feed() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            if len(taken) > _MOST_LINES:
                raise csv.Error("too many lines")
            yield line

    reader = _reader(feed(), delimiter, said)
    while True:
        taken.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            lines.give_back(taken[1:])
            reader = _reader(feed(), delimiter, said)
            yield lines.number, None, taken[0]
            continue
        if any(fields):
            yield lines.number - len(taken) + 1, fields, "".join(taken)


def _reader(lines: Iterator[str], delimiter: str, said: FileFormat) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, quotechar=said.quote, escapechar=said.escape, strict=True)


def _delimiter(lines: _Lines, section: Section) -> str:
    """As the mapping says, else the one that parts the first line into most of the columns that are looked for."""
    first = next((line for line in lines if line.strip()), "")
    lines.give_back([first] if first else [])
    if section.file.delimiter:
        return section.file.delimiter

    def found(delimiter: str) -> tuple[int, int, int]:
        _, fields, _ = next(
            _records(_Lines(io.StringIO(first, newline=""), Path()), delimiter, section.file), (0, None, "")
        )
        names = {name.strip() for name in fields or ()}
        fits = int(fields is not None and len(fields) == len(section.file.header))
        return fits, len(names & set(section.used)), len(fields or ())

    return max(_DELIMITERS, key=found)


def _header(records: Iterator[Record], path: Path) -> tuple[str, ...]:
    line, fields, _ = next(records, (0, None, ""))
    if fields is None:
        raise SourceError(f"{path}: " + (_UNBALANCED.format(line) if line else "it is empty; there is nothing to read"))
    names = [name.strip() for name in fields]
    twice = sorted({name for name in names if name and names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        places = [str(i) for i, name in enumerate(names, 1) if name == twice[0]]
        raise SourceError(f"{path}: line {line}: columns {' and '.join(places)} have the same name; rename one of them")
    return tuple(name or f"column {i}" for i, name in enumerate(names, 1))


def _row(line: int, fields: list[str] | None, raw: str, header: tuple[str, ...]) -> Row:
    """One record against the header; empty fields past its end, which some tools write, are left out."""
    if fields is None:
        return Row(plain_text(raw), {}, _UNBALANCED.format(line))
    if len(fields) > len(header) and not any(fields[len(header) :]):
        del fields[len(header) :]
    if len(fields) != len(header):
        reason = f"line {line}: it has {len(fields)} fields where the header has {len(header)}; quote fields that hold "
        return Row(plain_text(raw), {}, reason + "the delimiter, and complete short lines")
    if fields[0].strip() == header[0] and [f.strip() for f in fields] == list(header):
        return Row(plain_text(raw), {}, f"line {line}: it repeats the header; remove it")
    values = dict(zip(header, fields, strict=True))
    return Row(to_json(values), values)
