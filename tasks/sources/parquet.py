"""Rows of Parquet files, gzipped ones too."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import SourceError
from tasks.sources.block import Row, check_columns, to_json
from tasks.sources.mapping import Section
from tasks.sources.opening import open_bytes

_BATCH_ROWS = 4_096
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, MemoryError)


def parquet_rows(path: Path, section: Section) -> Iterator[Row]:
    """The rows of a Parquet file; raises `SourceError` where it is damaged or its columns are not as mapped."""
    with open_bytes(path) as packed, _seekable(packed) as file:
        try:
            parquet = pq.ParquetFile(file)
            names = parquet.schema_arrow.names
        except _DAMAGE:
            raise SourceError(f"{path}: it is no Parquet file, or a damaged one; write it again") from None
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(f"{path}: the column {twice[0]!r} stands twice; rename one of them")
        check_columns(str(path), section.needed, names)
        yield from _rows(parquet, path)


def _rows(parquet: pq.ParquetFile, path: Path) -> Iterator[Row]:
    read = 0
    batches = parquet.iter_batches(batch_size=_BATCH_ROWS, use_threads=False)
    while True:
        try:
            batch = next(batches, None)
            rows = [] if batch is None else _values(batch)
        except _DAMAGE:
            raise SourceError(f"{path}: it is damaged after row {read:,}; write it again") from None
        if batch is None:
            return
        read += len(rows)
        yield from (Row(to_json(values), values) for values in rows)


def _values(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:  # text that is not UTF-8: its odd bytes are kept, and found later
        columns = [_kept(column) for column in batch.columns]
        rows = [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]
    return rows


def _kept(column: pa.Array) -> list[Any]:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        values: list[Any] = column.to_pylist()
        return values
    wide = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
    return [None if v is None else v.decode("utf-8", "surrogateescape") for v in column.cast(wide).to_pylist()]


def _seekable(file: BinaryIO) -> BinaryIO:
    """The file itself where it can be read from its end, else a copy in the temporary folder."""
    if not isinstance(file, gzip.GzipFile):
        return file
    copy = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy
