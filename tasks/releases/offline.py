"""The Parquet files of a release: `<home>/releases/<name>/<table>.parquet`, written once, never changed.

Beside the table's columns and the release, each row has a digest of its content (`DIGEST`), by which the next release
knows the rows that have not changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks import schema
from tasks.columns import Table, to_arrow
from tasks.errors import ReleaseError, StoreUnavailable
from tasks.releases import encoding
from tasks.releases.manifest import Block

ROW_GROUP = 5_000
"""Rows written and read at a time; 5,000 rows of a 384-float vector are 8 MB."""
DIGEST = "row_digest"
"""Column of 16 bytes: the SHA-256, cut, of the row's features as Feast keeps them; time and release not included."""


def offline_path(home: Path, release: str, table: Table) -> Path:
    """Where the rows of `table` in `release` lie."""
    return home.resolve() / "releases" / release / f"{table.name}.parquet"


def write_offline(home: Path, release: str, table: Table, frames: Iterable[pd.DataFrame], *, as_of: datetime) -> Block:
    """Keep the rows of `table` for `release`, in order of their key where they come as one frame.

    `frames`: frames of the table's columns, one or many. Timestamps among the features are cut to whole seconds,
    which is what Feast keeps online. The file is written aside and moved into place, so it is there whole or not at
    all; the same rows give the same bytes. Raises `ReleaseError` for a repeated key, a row of another `as_of`, a null
    inside a list or a NUL in a text, `SchemaError` for wrong columns, `StoreUnavailable` where the disk is full.
    """
    path = offline_path(home, release, table)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    rows, seen = 0, pd.Index([], dtype="object")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(aside, _arrow_schema(table), compression="zstd") as writer:
            for frame in frames:
                rows, seen = rows + len(frame), _distinct(seen, frame, table, release)
                arrow = checked(to_arrow(frame.sort_values(list(table.key)), table), table)
                _all_of(arrow, table, as_of)
                writer.write_table(_stamped(arrow, table, release), row_group_size=ROW_GROUP)
        digest = file_digest(aside)
        aside.replace(path)
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror}; free or mend the disk and run again") from error
    finally:
        aside.unlink(missing_ok=True)
    return Block(rows, digest)


def read_offline(path: Path, *, shard: int = 0, shards: int = 1, rows: int = ROW_GROUP) -> Iterator[pd.DataFrame]:
    """The rows of one shard, at most `rows` at a time; a row's shard is the hash of its key modulo `shards`."""
    for batch in read_batches(path, rows=rows):
        frame = batch.drop_columns([DIGEST]).to_pandas()
        mine = frame if shards == 1 else frame[shard_of(frame.iloc[:, 0], shards) == shard]
        if len(mine):
            yield mine.reset_index(drop=True)


def read_batches(path: Path, *, rows: int = ROW_GROUP) -> Iterator[pa.RecordBatch]:
    """All columns of all rows in order, at most `rows` at a time."""
    yield from _opened(path).iter_batches(batch_size=rows)


def read_rows(path: Path, chosen: np.ndarray) -> Iterator[pa.RecordBatch]:
    """All columns of the rows that `chosen`, `(n,)`, says, in order; parts of the file without any are not read."""
    file, start = _opened(path), 0
    for part in range(file.metadata.num_row_groups):
        end = start + file.metadata.row_group(part).num_rows
        here, start = chosen[start:end], end
        if here.any():
            rows = file.read_row_group(part)
            yield from (rows if here.all() else rows.filter(pa.array(here))).combine_chunks().to_batches()


def read_digests(path: Path) -> pa.Table:
    """Key and digest of each row, in order: two columns, the key under its own name."""
    file = _opened(path)
    return file.read(columns=[file.schema_arrow.names[0], DIGEST])


def sample_offline(path: Path, sample: int, seed: int) -> pd.DataFrame:
    """At most `sample` rows drawn at random without replacement; the same seed draws the same rows."""
    file = _opened(path)
    count = file.metadata.num_rows
    chosen = np.sort(np.random.default_rng(seed).choice(count, size=min(sample, count), replace=False))
    frames, start = [], 0
    for batch in file.iter_batches(batch_size=ROW_GROUP):
        here = chosen[(chosen >= start) & (chosen < start + batch.num_rows)] - start
        frames.append(batch.drop_columns([DIGEST]).take(pa.array(here)).to_pandas())
        start += batch.num_rows
    return pd.concat(frames, ignore_index=True) if frames else file.read().drop_columns([DIGEST]).to_pandas()


def shard_of(keys: pd.Series, shards: int) -> np.ndarray:
    """Shard of each key, `(n,)`, the same in every process."""
    hashes: np.ndarray = pd.util.hash_array(keys.to_numpy(dtype=object), categorize=False)
    return hashes % np.uint64(shards)


def checked(arrow: pa.Table, table: Table) -> pa.Table:
    """`arrow` with feature timestamps in whole seconds; raises `ReleaseError` for what a store would change or lose."""
    for column in table.features:
        values = arrow[column.name]
        if column.type in ("list<string>", "list<int64>") and pc.list_flatten(values).null_count:
            raise ReleaseError(
                f"{table.name}.{column.name}: a null inside a list; Feast would serve it as an empty value"
            )
        if column.type == "string" and pc.any(pc.match_substring(values, "\0")).as_py():
            raise ReleaseError(
                f"{table.name}.{column.name}: a NUL in a text, which PostgreSQL cannot keep; clean it first"
            )
        if column.type == "timestamp":
            whole = pc.cast(pc.floor_temporal(values, unit="second"), column.arrow.type)
            arrow = arrow.set_column(arrow.column_names.index(column.name), column.arrow, whole)
    return arrow


def offline_releases(home: Path) -> set[str]:
    """Names of the releases that have files, whole or not."""
    return {path.name for path in (home.resolve() / "releases").glob("r*_*") if path.is_dir()}


def remove_offline(home: Path, release: str) -> None:
    """Remove the files of a release."""
    shutil.rmtree(home.resolve() / "releases" / release, ignore_errors=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file; raises `ReleaseError` where it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ReleaseError(f"{path} is missing; write the release again") from None


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise ReleaseError(f"{path} is missing; write the release again") from None
    except pa.ArrowInvalid:
        raise ReleaseError(f"{path} is no Parquet file, or damaged; write the release again") from None


def _arrow_schema(table: Table) -> pa.Schema:
    """`table`, then release and digest; keys and texts non-null as in the schema."""
    return table.arrow.append(schema.RELEASE.arrow).append(pa.field(DIGEST, pa.binary(16), nullable=False))


def _stamped(arrow: pa.Table, table: Table, release: str) -> pa.Table:
    """`arrow` with release and digest."""
    digests: list[bytes] = []
    for batch in arrow.to_batches(max_chunksize=ROW_GROUP):
        digests += encoding.digests([encoding.encode(batch[column.name], column) for column in table.features])
    columns = [*arrow.columns, pa.array([release] * arrow.num_rows, pa.string()), pa.array(digests, pa.binary(16))]
    return pa.Table.from_arrays(columns, schema=_arrow_schema(table))


def _distinct(seen: pd.Index, frame: pd.DataFrame, table: Table, release: str) -> pd.Index:
    """`seen` with the keys of `frame`; raises `ReleaseError` with how many are there twice, never which."""
    keys = seen.append(pd.Index(frame[table.key[0]], dtype="object"))
    if repeats := int(keys.duplicated().sum()):
        raise ReleaseError(
            f"release {release}, {table.name}: {repeats} rows repeat a {table.key[0]}; one row a key is served"
        )
    return keys


def _all_of(arrow: pa.Table, table: Table, as_of: datetime) -> None:
    wanted = pa.scalar(as_of, pa.timestamp("us", "UTC"))
    if arrow.num_rows and pc.any(pc.not_equal(arrow[schema.AS_OF.name], wanted)).as_py():
        raise ReleaseError(
            f"{table.name}: rows of another as_of than {as_of.isoformat()}; compute them all as of one time"
        )
