"""Planted releases for `benchmarks.faults`: every value says which release and user it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import Column, Table
from tasks.releases.manifest import Manifest, release_name, schema_digest

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
WIDTH = 16


def name_of(number: int) -> str:
    """Name of the planted release of that number."""
    return release_name(_as_of(number), _refs(number))


def mark(number: int, user: int) -> int:
    """What the values of a user say in a release: every second user never changes, as most do not in life."""
    return user + 1 if user % 2 == 0 else 1_000 * (number + 1) + user


def frame(table: Table, number: int, users: int) -> pd.DataFrame:
    """The rows of `table` in a release."""
    columns: dict[str, Any] = {}
    for column in table.columns:
        if column.name in table.key:
            columns[column.name] = [f"{table.entity or 'user'}-{user}" for user in range(users)]
        elif column.name == schema.AS_OF.name:
            columns[column.name] = [_as_of(number)] * users
        else:
            columns[column.name] = [value(column, mark(number, user)) for user in range(users)]
    return pd.DataFrame(columns)


def value(column: Column, marked: int) -> Any:
    """A value of the column's type that says `marked`."""
    return {
        "list<float32>": lambda: np.full(WIDTH, marked, np.float32),
        "list<string>": lambda: [str(marked)] * 3,
        "float32": lambda: np.float32(marked),
        "int64": lambda: marked,
        "timestamp": lambda: AS_OF - timedelta(seconds=marked),
        "string": lambda: "bert" if column.name == "encoder" else str(marked),
    }[column.type]()


def write(home: Path, number: int, users: int, parents: tuple[str, ...]) -> Manifest:
    """A release's files and its manifest."""
    from tasks.releases.offline import write_offline

    name, as_of = name_of(number), _as_of(number)
    blocks = {
        table.name: write_offline(home, name, table, [frame(table, number, users)], as_of=as_of)
        for table in schema.SERVED
    }
    return Manifest(name, as_of, _refs(number), blocks, parents, encoder="bert", schema=schema_digest())


def strange(release: str, user: str, blocks: Mapping[str, Mapping[str, Any]], numbers: Mapping[str, int]) -> list[str]:
    """Columns of one user's blocks that are not what `release` says; empty in a whole read."""
    marked = mark(numbers[release], int(user.split("-")[1]))
    wrong = []
    for name, values in blocks.items():
        for column in schema.TABLES[name].features:
            wanted, found = value(column, marked), values.get(column.name)
            if column.type == "timestamp":
                good = found is not None and pd.Timestamp(found).tz_convert("UTC") == pd.Timestamp(wanted)
            elif column.type.startswith("list"):
                good = found is not None and list(found) == list(wanted)
            else:
                good = found == wanted
            if not good:
                wrong.append(f"{name}.{column.name}")
    return wrong


def _refs(number: int) -> dict[str, str]:
    return {table.name: f"{table.name}@{number}" for table in schema.SERVED}


def _as_of(number: int) -> datetime:
    return AS_OF + timedelta(hours=number)
