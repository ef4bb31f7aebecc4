"""A chunk as a source gives it, read once: typed columns, text brought to one form, and what the source reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.columns import Column, Table
from tasks.errors import BatchRefused
from tasks.quality.languages import languages
from tasks.quality.raw import redact_rows
from tasks.quality.strings import Strings, read_lists, read_strings
from tasks.schema import EVENTS, ITEMS, QUARANTINE, TEXT_HASH
from tasks.text import text_hash

POSITION, ROW, BATCH_ID = (QUARANTINE[name].name for name in ("position", "row", "batch_id"))
PROBLEMS = "problems"
TEXT, LANGUAGE = EVENTS["text"].name, EVENTS["language"].name
PROSE = {
    EVENTS.name: (TEXT,),
    ITEMS.name: tuple(ITEMS[name].name for name in ("title", "title_zh", "description", "description_zh")),
}
"""Columns that people write in; they are brought to one form. Names and ids stay as they came."""
_DERIVED = (TEXT_HASH.name, BATCH_ID)


@dataclass(frozen=True)
class Chunk:
    """The rows of a chunk, (n,) each.

    frame: the chunk as it came. columns: its columns in their Arrow types, with prose normalised and blank strings
    null. strings: what was found in those that hold strings. problems: one line per value that the source could not
    read, `offset` being the row's place in the chunk.
    """

    table: Table
    frame: pd.DataFrame
    positions: NDArray[np.int64]
    columns: dict[str, pa.Array]
    strings: dict[str, Strings]
    problems: pd.DataFrame

    def __len__(self) -> int:
        return len(self.positions)

    def accepted(self, keep: NDArray[np.bool_], batch_id: str) -> pd.DataFrame:
        """The rows where `keep`, as a frame of the table's columns in order."""
        values: dict[str, Any] = {name: self._values(name, keep) for name in self.columns}
        if TEXT_HASH.name in self.table.names:
            hashed = [None if text is None else text_hash(text) for text in values[TEXT]]
            values[TEXT_HASH.name] = np.array(hashed, dtype=object)
        values[BATCH_ID] = batch_id
        return pd.DataFrame({name: values[name] for name in self.table.names}, index=range(int(keep.sum())), copy=False)

    def rows(self, offsets: NDArray[np.int64]) -> list[str]:
        """Raw rows as they came; half a surrogate pair, which no store takes, as the escape that means it in JSON."""
        raw = self.frame[ROW].to_numpy()[offsets]
        return [row if row.isascii() else row.encode("utf-8", "backslashreplace").decode("utf-8") for row in raw]

    def redacted_rows(self, offsets: NDArray[np.int64]) -> list[str]:
        """The same without personal data."""
        return redact_rows(self.rows(offsets), self.frame.iloc[offsets])

    def _values(self, name: str, keep: NDArray[np.bool_]) -> Any:
        """A column where `keep`; where reading changed nothing, the very strings of the frame, which costs nothing."""
        array, raw = self.columns[name], self.frame[name]
        if raw.dtype != object or not pa.types.is_large_string(array.type) or name == LANGUAGE:
            return array.filter(pa.array(keep)).to_pandas()
        found = self.strings[name]
        other = found.changed | found.damage | np.asarray(pc.is_null(array))
        values = raw.to_numpy()[keep]
        values[other[keep]] = array.filter(pa.array(other & keep)).to_numpy(zero_copy_only=False)
        return values


def contract(table: Table) -> tuple[Column, ...]:
    """The columns that a source gives; the others are computed from them."""
    return tuple(column for column in table.columns if column.name not in _DERIVED)


def read(frame: pd.DataFrame, table: Table) -> Chunk:
    """`frame` as a `Chunk`; raises `BatchRefused` with the difference where columns or types are not the table's."""
    names = (POSITION, ROW, *(column.name for column in contract(table)), PROBLEMS)
    missing, extra = sorted(set(names) - set(frame.columns)), sorted(set(map(str, frame.columns)) - set(names))
    if missing or extra or len(frame.columns) != len(names):
        raise BatchRefused(
            f"table {table.name!r}: missing columns {missing}, unknown columns {extra}"
            f"{'' if missing or extra else ', a column comes twice'}; mend the mapping of the source"
        )
    columns = {column.name: _typed(frame[column.name], column, table) for column in contract(table)}
    strings = {c.name: _look(columns[c.name], c, table) for c in contract(table) if "string" in c.type}
    columns |= {name: found.clean for name, found in strings.items()}
    if LANGUAGE in columns:
        columns[LANGUAGE] = languages(_judgeable(columns[TEXT], strings[TEXT].damage, table), columns[LANGUAGE])
    return Chunk(table, frame, _positions(frame[POSITION], table), columns, strings, _problems(frame[PROBLEMS]))


def _look(values: pa.Array, column: Column, table: Table) -> Strings:
    if pa.types.is_list(values.type):
        return read_lists(values)
    return read_strings(values, prose=column.name in PROSE[table.name], limit=column.max_length)


def _typed(values: pd.Series, column: Column, table: Table) -> pa.Array:
    """The values in the Arrow type of the column; strings may be longer than the type that is stored."""
    kind = pa.large_string() if column.type == "string" else column.arrow.type
    if column.type == "timestamp" and len(values) and not values.isna().all() and not _in_utc(values):
        raise _misfit(table, column, "times without a time zone")
    try:
        array = pa.array(values, type=kind, from_pandas=True, safe=column.type != "timestamp")
    except UnicodeEncodeError:  # halves of surrogate pairs; the rule on encoding finds what replaces them
        array = pa.array(values.map(_whole, na_action="ignore"), type=kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise _misfit(table, column, type(error).__name__) from None  # Arrow's own message quotes values
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _in_utc(values: pd.Series) -> bool:
    if values.dtype == object:
        return all(isinstance(v, datetime) and v.tzinfo is not None for v in values.dropna())
    return getattr(values.dtype, "tz", None) is not None or getattr(values.dtype, "pyarrow_dtype", None) is not None


def _misfit(table: Table, column: Column, what: str) -> BatchRefused:
    return BatchRefused(
        f"table {table.name!r}: column {column.name!r} is not {column.type} ({what}); mend the mapping of the source"
    )


def _judgeable(texts: pa.Array, damage: NDArray[np.bool_], table: Table) -> pa.Array:
    """The texts whose language can be judged; the others, null, will not be accepted whatever their language."""
    fit = pc.less_equal(pc.utf8_length(texts), table[TEXT].max_length)
    return pc.if_else(pc.and_(fit, pa.array(~damage)), texts, pa.scalar(None, type=texts.type))


def _positions(values: pd.Series, table: Table) -> NDArray[np.int64]:
    if not pd.api.types.is_integer_dtype(values.dtype) or values.isna().any():
        raise BatchRefused(f"table {table.name!r}: column {POSITION!r} is not int64; mend the source")
    positions: NDArray[np.int64] = values.to_numpy(np.int64)
    if (np.diff(positions) <= 0).any():
        raise BatchRefused(f"table {table.name!r}: column {POSITION!r} does not increase; mend the source")
    return positions


def _problems(values: pd.Series) -> pd.DataFrame:
    """One line per reported problem: offset of the row in the chunk, rule, column, reason."""
    names = ["offset", *(QUARANTINE[name].name for name in ("rule", "column", "reason"))]
    reported = ((at, found) for at, found in enumerate(values) if found is not None and len(found))
    lines = [(at, *map(_text, problem)) for at, found in reported for problem in found]
    return pd.DataFrame(lines, columns=names)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


_whole: Callable[[str], str] = lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # noqa: E731
