"""Hand-made served tables: the values that stores get wrong, and the same shape for any number of users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import Column, Table
from tasks.releases.freshness import Freshness, age_limits
from tasks.releases.manifest import Manifest, release_name, schema_digest
from tasks.releases.offline import write_offline

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
FRESH = Freshness(AS_OF, age_limits(interests=168, recommendations=48))
UGLY_TEXTS = ("", "plain", "喜欢长途徒步，讨厌下雨", "a'b\"c\\d;--", "emoji 🎻 and ẞ", "x" * 3000, " tab\tand\nline ")
UGLY_FLOATS = ([], [0.0], [np.nan, 1.5], [np.inf, -np.inf, -0.0], [1e-45, 3.4e38], [0.1, 0.2, 0.3])


def frame(table: Table, users: int, *, as_of: datetime = AS_OF, seed: int = 0, width: int = 8) -> pd.DataFrame:
    """`users` rows of `table` with random values, lists of `width` floats."""
    rng = np.random.default_rng(seed)
    prefix = table.entity or "user"
    columns = {}
    for column in table.columns:
        if column.name in table.key:
            columns[column.name] = [f"{prefix}-{i}" for i in range(users)]
        elif column.name == schema.AS_OF.name:
            columns[column.name] = [as_of] * users
        else:
            columns[column.name] = _values(column, users, rng, width)
    return pd.DataFrame(columns)


def ugly(table: Table) -> pd.DataFrame:
    """Rows of `table` with empty lists, nulls where allowed, NaN in lists, Chinese text, extremes."""
    rows = max(len(UGLY_TEXTS), len(UGLY_FLOATS))
    made = frame(table, rows)
    for column in table.features:
        if column.type == "string":
            made[column.name] = [None if column.nullable and i == 1 else UGLY_TEXTS[i] for i in range(rows)]
        elif column.type == "list<string>":
            made[column.name] = [list(UGLY_TEXTS[:i]) for i in range(rows)]
        elif column.type == "list<float32>":
            made[column.name] = [np.array(UGLY_FLOATS[i % len(UGLY_FLOATS)], np.float32) for i in range(rows)]
        elif column.type == "float32":
            made[column.name] = np.array([0, 1, 1 / 3, 1e-45, 0.5, 0.1, 0.7], np.float32)[:rows]
        elif column.type == "timestamp":
            made[column.name] = pd.to_datetime([AS_OF - timedelta(seconds=i, microseconds=i) for i in range(rows)])
        elif column.type == "int64":
            made[column.name] = [1, 2**53 + 1, 0, 7, 2**62, 3, 4][:rows]
    return made


def plant(home: Path, seed: int, *, users: int = 5, parents: tuple[str, ...] = (), as_of: datetime = AS_OF) -> Manifest:
    """A release written offline: `users` users and items, values that depend on `seed`."""
    refs = {table.name: f"{table.name}@{seed}" for table in schema.SERVED}
    name = release_name(as_of, refs)
    blocks = {
        table.name: write_offline(home, name, table, [frame(table, users, as_of=as_of, seed=seed)], as_of=as_of)
        for table in schema.SERVED
    }
    return Manifest(name, as_of, refs, blocks, parents, encoder="test", schema=schema_digest())


def _values(column: Column, users: int, rng: np.random.Generator, width: int) -> object:
    if column.type == "list<float32>":
        return list(rng.random((users, width), dtype=np.float32))
    if column.type == "list<string>":
        return [[f"word {i % 7}", f"词 {i % 5}"] for i in range(users)]
    if column.type == "float32":
        return rng.random(users, dtype=np.float32)
    if column.type == "int64":
        return rng.integers(1, 1000, users)
    if column.type == "timestamp":
        return [AS_OF - timedelta(hours=i % 1000) for i in range(users)]
    return [f"text {i}" for i in range(users)]
