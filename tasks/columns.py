"""What a column and a table are, and the boundary check that a frame is what its table promises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pandas as pd
import pyarrow as pa

from tasks.errors import SchemaError

ColumnType = Literal[
    "string", "int64", "float32", "float64", "bool", "timestamp", "list<string>", "list<float32>", "list<int64>"
]

_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list<string>": pa.list_(pa.string()),
    "list<float32>": pa.list_(pa.float32()),
    "list<int64>": pa.list_(pa.int64()),
}


@dataclass(frozen=True)
class Column:
    """One column: what it holds, what it may hold, and what it means to a reader."""

    name: str
    type: ColumnType
    meaning: str
    nullable: bool = False
    minimum: float | datetime | None = None
    maximum: float | datetime | None = None
    max_length: int | None = None
    one_of: tuple[str, ...] = ()
    personal: bool = False
    """True where the value may identify a person or quote one; such values stay out of logs and reports."""

    @property
    def arrow(self) -> pa.Field:
        """The column as an Arrow field."""
        return pa.field(self.name, _ARROW[self.type], nullable=self.nullable)


@dataclass(frozen=True)
class Table:
    """One table: its columns in order, its key, and the Feast entity it describes where it is served."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    entity: Literal["user", "item"] | None = None

    def __getitem__(self, name: str) -> Column:
        """The column called `name`; raises `SchemaError` naming the table when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(f"table {self.name!r} has no column {name!r}; it has {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def arrow(self) -> pa.Schema:
        """The table as an Arrow schema, for Parquet."""
        return pa.schema([column.arrow for column in self.columns])

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that Feast serves: all but the key and the time."""
        return tuple(c for c in self.columns if c.name not in (*self.key, "as_of"))


def empty(table: Table) -> pd.DataFrame:
    """A frame of `table` with no rows and the right columns and types."""
    frame: pd.DataFrame = table.arrow.empty_table().to_pandas()
    return frame


def to_arrow(frame: pd.DataFrame, table: Table) -> pa.Table:
    """`frame` as an Arrow table of exactly `table`'s columns; raises `SchemaError` with the difference."""
    missing, extra = set(table.names) - set(frame.columns), set(frame.columns) - set(table.names)
    if missing or extra:
        raise SchemaError(f"table {table.name!r}: missing columns {sorted(missing)}, unknown columns {sorted(extra)}")
    arrays, faults = [], []
    for column in table.columns:
        try:
            array = pa.array(frame[column.name], type=column.arrow.type, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            faults.append(f"{column.name} is not {column.type}")  # Arrow's own message quotes values: personal data
            continue
        if array.null_count and not column.nullable:
            faults.append(f"{column.name} has {array.null_count} nulls and must have none")
        arrays.append(array)
    if faults:
        raise SchemaError(f"table {table.name!r}: {'; '.join(faults)}")
    return pa.Table.from_arrays(arrays, schema=table.arrow)


def data_dictionary(tables: Iterable[Table]) -> str:
    """The tables as Markdown, for the README."""
    lines = []
    for table in tables:
        lines += [f"**`{table.name}`**: {table.meaning} Key: {', '.join(f'`{k}`' for k in table.key)}.", ""]
        lines += ["| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{c.name}` | {c.type}{' or null' if c.nullable else ''} | {c.meaning} |" for c in table.columns]
        lines.append("")
    return "\n".join(lines)
