"""Reading files: whatever they are, chunks come out, or one clear error."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from gzip import BadGzipFile
from pathlib import Path

import pandas as pd

from tasks.columns import Table
from tasks.errors import SourceError
from tasks.sources.block import Block, Row, blocks
from tasks.sources.chunk import to_chunk
from tasks.sources.delimited import delimited_rows
from tasks.sources.jsonlines import json_rows, rows_from_json
from tasks.sources.mapping import Mapping, Section
from tasks.sources.opening import file_kind
from tasks.sources.parquet import parquet_rows


def read_files(
    paths: Sequence[Path | str], mapping: Mapping, table: Table, *, chunk_rows: int
) -> Iterator[pd.DataFrame]:
    """The rows of the files in their order, by at most `chunk_rows`; a chunk never spans two files.

    Each chunk has `position` (1-based, running on from file to file), `row`, the columns of `table` that a source
    gives, and `problems`; `attrs["source"]` is the path. Raises `SourceError` where a file cannot be read as mapped,
    possibly after chunks of its sound beginning.
    """
    if not paths:
        raise SourceError("no file was named; name at least one")
    section, after = mapping.section(table), 0
    for path in map(Path, paths):
        for block in _blocks(path, section, chunk_rows):
            yield to_chunk(block, section, table, after=after)
            after += len(block)


def read_rows(
    rows: Iterable[str], mapping: Mapping, table: Table, *, source: str, chunk_rows: int
) -> Iterator[pd.DataFrame]:
    """The same from rows as JSON text, such as `row` of a chunk or of the quarantine after it was mended."""
    section, after = mapping.section(table), 0
    for block in blocks(rows_from_json(rows), source, section, chunk_rows):
        yield to_chunk(block, section, table, after=after)
        after += len(block)


def digest_files(paths: Sequence[Path | str]) -> str:
    """128-bit identity of the bytes of a batch, whatever its files are called and in whichever order they come."""
    digests = []
    for path in map(Path, paths):
        try:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}; name a file that can be read") from None
    return hashlib.blake2b(b"".join(sorted(digests)), digest_size=16).hexdigest()


def _blocks(path: Path, section: Section, chunk_rows: int) -> Iterator[Block]:
    """The rows of one file; errors of the file system and of gzip become `SourceError`."""
    read = 0
    try:
        for block in blocks(_rows(path, section), str(path), section, chunk_rows):
            read += len(block)
            yield block
    except (EOFError, BadGzipFile, zlib.error):
        raise SourceError(f"{path}: the gzip data is cut short or damaged after row {read:,}; fetch it again") from None
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or type(error).__name__}; name a file that can be read") from None
    except UnicodeError:  # of codecs that cannot go on after a mistake, such as utf-7
        raise SourceError(
            f"{path}: it is not in the encoding {section.file.encoding!r} that the mapping names"
        ) from None


def _rows(path: Path, section: Section) -> Iterator[Row]:
    kind = file_kind(path, section.file)
    read = {"csv": delimited_rows, "jsonl": json_rows, "python": json_rows, "parquet": parquet_rows}[kind]
    yield from read(path, section)
