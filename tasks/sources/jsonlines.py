"""Rows of JSON lines, and of lines that are Python literals, as some old data sets were published."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tasks.errors import SourceError
from tasks.sources.block import MAX_CHARACTERS, Row, plain_text, to_json
from tasks.sources.mapping import Section
from tasks.sources.opening import open_text

_NO_OBJECT = "it is not one JSON object on one line; write each row as one"


def json_rows(path: Path, section: Section) -> Iterator[Row]:
    """The rows of a file with one JSON object (or one Python literal) a line; blank lines are left out."""
    literal = section.file.kind == "python"
    with open_text(path, section.file) as text:
        number = 0
        while line := text.readline(MAX_CHARACTERS):
            number += 1
            if len(line) >= MAX_CHARACTERS:
                raise SourceError(f"{path}: line {number} is longer than {MAX_CHARACTERS:,} characters; write one JSON "
                                  "object a line")  # fmt: skip
            bare = line.strip().lstrip("\ufeff")
            if number == 1 and bare.startswith("[") and not literal:
                raise SourceError(f"{path}: it is one JSON array and not JSON lines; write one object a line, for "
                                  "example with: jq -c '.[]'")  # fmt: skip
            if bare:
                yield _literal(bare, f"line {number}: ") if literal else _json(bare, f"line {number}: ")


def rows_from_json(rows: Iterable[str]) -> Iterator[Row]:
    """Rows that are JSON text already, such as those that were put in quarantine and mended."""
    return (_json(row, "") for row in rows)


def _json(text: str, where: str) -> Row:
    return _parsed(text, where, _DECODER.decode, keep=True)


def _literal(text: str, where: str) -> Row:
    return _parsed(text, where, ast.literal_eval, keep=False)


def _parsed(text: str, where: str, parse: Callable[[str], Any], *, keep: bool) -> Row:
    try:
        values = parse(text)
    except _Twice:
        return Row(plain_text(text), {}, f"{where}it names a key twice; keep one of them")
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return Row(plain_text(text), {}, where + _NO_OBJECT)
    if not isinstance(values, dict):
        return Row(plain_text(text), {}, where + _NO_OBJECT)
    if keep:
        return Row(text, values)
    named = {str(key): value for key, value in values.items()}
    return Row(to_json(named), named)


class _Twice(ValueError):
    """A key stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
