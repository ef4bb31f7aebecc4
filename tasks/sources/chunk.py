"""From raw rows to a chunk: typed columns of our own, with every value that could not be read reported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.columns import Column, Table
from tasks.schema import EVENTS, ITEMS, KINDS, QUARANTINE
from tasks.sources.block import Block
from tasks.sources.mapping import MADE, Field, Section, given
from tasks.sources.numbers import to_prices, to_ratings
from tasks.sources.strings import Problem, to_texts
from tasks.sources.times import to_times

POSITION, ROW = QUARANTINE["position"].name, QUARANTINE["row"].name
PROBLEMS = "problems"
MALFORMED = "malformed_row"
_KIND, _LANGUAGE = EVENTS["kind"].name, EVENTS["language"].name
_PROSE = (
    EVENTS["text"].name,
    *(ITEMS[name].name for name in ("title", "title_zh", "description", "description_zh")),
)
"""Columns that may be joined from a list of paragraphs."""


def to_chunk(block: Block, section: Section, table: Table, *, after: int) -> pd.DataFrame:
    """The rows of `block` as `position` (counted from `after` + 1), `row`, the columns of `table` and `problems`.

    `problems` holds a list of (rule, column, reason) per row; a value named there is null. The frame's `attrs` hold
    the `source` that the rows came from.
    """
    frame = pd.DataFrame({POSITION: np.arange(after + 1, after + 1 + len(block), dtype=np.int64), ROW: _whole(block)})
    problems: list[list[tuple[str, str | None, str]]] = [[] for _ in range(len(block))]
    for offset, reason in block.malformed.items():
        problems[offset].append((MALFORMED, None, reason))
    for column in given(table):
        mapped = section.fields.get(column.name)
        values, found = _column(column, mapped, block, section.file.nulls)
        frame[column.name] = values
        if mapped is None or mapped.unparsable == "null":
            continue
        for rule, rows, why in found:
            for row in np.flatnonzero(rows):
                problems[row].append((rule, column.name, why))
    if MADE in frame.columns:
        frame[MADE] = _with_ids(frame, table, block)
    frame[PROBLEMS] = pd.Series(problems, dtype=object)
    frame.attrs["source"] = block.source
    return frame


def _column(
    column: Column, mapped: Field | None, block: Block, nulls: Sequence[str]
) -> tuple[pd.Series, list[Problem]]:
    """One of our columns from what the mapping says of it."""
    if mapped is None:
        return _read(column, Field(), [None] * len(block), ())
    if mapped.constant is not None:
        constants = [None if i in block.malformed else mapped.constant for i in range(len(block))]
        return _read(column, mapped, constants, ())
    parts = [block.values[name] for name in mapped.columns]
    if len(parts) == 1:
        return _read(column, mapped, parts[0], nulls)
    read = [to_texts(part, nulls, column.name, " ") for part in parts]
    # not Arrow's join: with null_handling="skip" it drops a row whose parts are all null, and shifts the others
    rows = [mapped.join.join(filter(None, row)) for row in zip(*(r.array.to_pylist() for r in read), strict=True)]
    values, problems = _read(column, mapped, rows, ())
    return values, [*(p for r in read for p in r.problems), *problems]


def _read(
    column: Column, mapped: Field, values: Sequence[Any], nulls: Sequence[str]
) -> tuple[pd.Series, list[Problem]]:
    if column.type == "timestamp":
        return to_times(values, mapped, nulls, column.name)
    if column.type == "float32":
        return to_ratings(values, mapped, nulls, column.name)
    if column.type == "float64":
        return to_prices(values, nulls, column.name)
    if column.type == "list<string>":
        return _lists(values, mapped, nulls, column.name)
    texts = to_texts(values, nulls, column.name, " " if column.name in _PROSE else None)
    if column.name == _KIND:
        return _kinds(texts.array, mapped, texts.problems)
    found = texts.array
    if column.name == _LANGUAGE:  # en-US and zh_Hans are en and zh
        found = pc.replace_substring_regex(pc.utf8_lower(found), "[-_].*", "")
    return _series(found), texts.problems


def _kinds(texts: pa.Array, mapped: Field, problems: list[Problem]) -> tuple[pd.Series, list[Problem]]:
    raw = _series(texts)
    ours = {**{kind: kind for kind in KINDS}, **mapped.kinds}
    kinds = raw.map(ours).astype(object)
    kinds = kinds.where(kinds.notna(), raw.str.lower().map({kind: kind for kind in KINDS}).astype(object))
    kinds = kinds.where(kinds.notna(), None)
    unknown = (raw.notna() & kinds.isna()).to_numpy()
    reason = (
        f"kind is none of {', '.join(ours)}; add it to `map` under kind in the mapping, with the kind it stands for"
    )
    return kinds, [*problems, *([("unknown_kind", unknown, reason)] if unknown.any() else [])]


def _lists(values: Sequence[Any], mapped: Field, nulls: Sequence[str], name: str) -> tuple[pd.Series, list[Problem]]:
    """Lists of text from lists, from lists of lists (each part once), or from text with separators."""
    odd = np.zeros(len(values), bool)
    broken = np.zeros(len(values), bool)
    lists: list[list[str]] = []
    for row, value in enumerate(values):
        parts = _parts(value, mapped.separator)
        odd[row] = parts is None
        broken[row] = any("\ud800" <= c <= "\udfff" or c == "\0" for part in parts or () for c in part)
        kept = [] if parts is None or broken[row] else [p for p in map(str.strip, parts) if p and p not in nulls]
        lists.append(list(dict.fromkeys(kept)))
    problems: list[Problem] = [
        ("parse_list", odd, f"{name} is not a list of texts; map another column, or name its `separator`"),
        ("encoding", broken, f"{name} holds characters that are no text in the encoding of the file; name the right "
         "one under `file: encoding` in the mapping"),
    ]  # fmt: skip
    return pd.Series(lists, dtype=object), [problem for problem in problems if problem[1].any()]


def _parts(value: Any, separator: str | None) -> list[str] | None:
    if value is None or value != value:
        return []
    if isinstance(value, str):
        return value.split(separator) if separator else [value]
    if isinstance(value, list | tuple):
        inner = [_parts(part, None) for part in value]
        return None if any(part is None for part in inner) else [text for part in inner for text in part or ()]
    return None


def _with_ids(frame: pd.DataFrame, table: Table, block: Block) -> pd.Series:
    """Ids as given, and where none is, 128-bit BLAKE2b of the row's values; malformed rows get none."""
    lacking = frame[MADE].isna().to_numpy()
    lacking[list(block.malformed)] = False
    if not lacking.any():
        return frame[MADE]
    columns = [c for c in given(table) if c.name != MADE]
    parts = [_canonical(frame.loc[lacking, c.name], c) for c in columns]
    content = pc.binary_join_element_wise(*parts, "\x1f", null_handling="replace", null_replacement="\x1e")
    ids = frame[MADE].to_numpy(dtype=object, copy=True)
    ids[lacking] = [hashlib.blake2b(row.encode(), digest_size=16).hexdigest() for row in content.to_pylist()]
    return pd.Series(ids, dtype=object)


def _canonical(values: pd.Series, column: Column) -> pa.Array:
    """The values as text that does not depend on how the source wrote them."""
    array = pa.array(values, column.arrow.type, from_pandas=True)
    if column.type == "timestamp":
        array = array.cast(pa.int64())
    return array.cast(pa.string())


def _series(array: pa.Array) -> pd.Series:
    """Text as a frame holds it: objects, None where null."""
    values: NDArray[np.object_] = array.to_numpy(zero_copy_only=False)
    return pd.Series(values, dtype=object)


def _whole(block: Block) -> list[str]:
    """The raw rows, with what no store takes (bytes that were no text) as the escape that means it in JSON."""
    try:
        pa.array(block.rows, pa.large_string())
    except UnicodeEncodeError:
        return [row.encode("utf-8", "backslashreplace").decode() for row in block.rows]
    return block.rows
