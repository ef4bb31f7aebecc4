"""Opening a file without knowing what it is: compression, kind and encoding are told from its bytes."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tasks.errors import SourceError
from tasks.sources.mapping import FileFormat, FileKind

_SAMPLE_BYTES = 1 << 24
_SAMPLE_LINES = 400
"""The encoding is told from this many lines that hold more than ASCII, looked for in the first 16 MiB."""
_HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"BZh": "compressed with bzip2; unpack it or compress it with gzip",
    b"\xfd7zXZ\x00": "compressed with xz; unpack it or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it or compress it with gzip",
    b"%PDF": "a PDF document; export its data as CSV",
    b"SQLite format 3\x00": "an SQLite database; export the table as CSV",
}
_KINDS: dict[str, FileKind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins the same
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = bytes([*range(9), 11, *range(14, 27), *range(28, 32), 127])
_HIGH = re.compile(rb"[\x80-\xff]+")
_GB_PAIRS = re.compile(rb"(?:[\xa1-\xa9\xb0-\xf7][\xa1-\xfe])+")
"""GB2312, the common part of GB18030: both bytes of a character are high, as they never are in Western text."""


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where they are gzip whatever the name says; raises `SourceError`."""
    try:
        file = path.open("rb")
        head = file.read(16)
        file.seek(0)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or type(error).__name__}; name a file that can be read") from None
    if head.startswith(_GZIP):
        file.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    for mark, what in _FOREIGN.items():
        if head.startswith(mark):
            file.close()
            raise SourceError(f"{path}: it is {what}")
    if path.suffix.lower() == ".gz":
        file.close()
        raise SourceError(f"{path}: it is called .gz but is {'not gzip' if head else 'empty'}; fetch it again")
    return file


def file_kind(path: Path, said: FileFormat) -> FileKind:
    """How the file is written: as the mapping says, else by its first bytes, else by its name."""
    if said.kind:
        return said.kind
    with open_bytes(path) as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_PARQUET):
        return "parquet"
    stem = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    kind = _KINDS.get(stem.suffix.lower())
    return kind or ("jsonl" if head.lstrip().startswith(b"{") else "csv")


@contextmanager
def open_text(path: Path, said: FileFormat) -> Iterator[TextIO]:
    """The text of a file; bytes that are none in its encoding come as halves of surrogate pairs, and lines as they end.

    Raises `SourceError` where the file is empty or holds no text at all.
    """
    encoding = said.encoding or _encoding(path)
    with open_bytes(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding, errors="penchant_keep", newline="")
        try:
            yield text
        finally:
            text.detach()


def _encoding(path: Path) -> str:
    """The likeliest encoding of a text file; raises `SourceError` where it is empty or binary."""
    with open_bytes(path) as file:
        head = file.read(_HEAD_BYTES)
        if not head.strip():
            raise SourceError(f"{path}: it is empty; there is nothing to read")
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        wide = _wide(head)
        if wide:
            return wide
        if sum(map(head.count, (bytes([c]) for c in _CONTROL))) > 0.02 * len(head):
            raise SourceError(f"{path}: it is binary and holds no text; export the data as CSV, JSON lines or Parquet")
        lines = _lines_beyond_ascii(head, file)
    return _narrow(lines)


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of mostly Western text, or of its line ends and commas, is zero."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < 0.1 * len(head) / 2 or min(even, odd) > 0.1 * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _lines_beyond_ascii(head: bytes, file: BinaryIO) -> list[bytes]:
    """The first lines that hold more than ASCII."""
    found: list[bytes] = []
    read, block = 0, head
    while block and len(found) < _SAMPLE_LINES and read < _SAMPLE_BYTES:
        if not block.isascii():
            block += file.readline(_HEAD_BYTES)  # to the end of the last line
            found += [line for line in block.split(b"\n") if not line.isascii()]
        read += len(block)
        block = file.read(1 << 20)
    return found[:_SAMPLE_LINES]


def _narrow(lines: list[bytes]) -> str:
    """UTF-8 where half of the lines are; else GB18030 where most high bytes pair up; else the Western code page."""
    if sum(map(_is_utf8, lines)) >= len(lines) / 2:
        return "utf-8"  # single lines in another encoding go to quarantine
    high = b"\n".join(run for line in lines for run in _HIGH.findall(line))
    paired = sum(map(len, _GB_PAIRS.findall(high)))
    return "gb18030" if paired > 0.7 * (len(high) - high.count(b"\n")) else "cp1252"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.end == len(line) and error.reason == "unexpected end of data"  # the sample cut a character
    return True


def _keep(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no text, each as the low surrogate 0xDC00 + byte, so that nothing is lost and all is found."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("penchant_keep", _keep)
