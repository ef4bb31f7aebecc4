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
_ACCENTED = re.compile(rb"[A-Za-z]*[\xc0-\xff][A-Za-z\x80-\xff]*")
_GB_PAIRS = re.compile(rb"(?:[\xa1-\xa9\xb0-\xf7][\xa1-\xfe])+")
"""GB2312, the common part of GB18030: both bytes of a character are high, as they seldom are in Western text."""
_GB_WIDE = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]")
"""What GB18030 has for the rest of Unicode, such as emoji."""
_COMMON = frozenset(
    "的一是不了在有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去"
    "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日者意无力它与长把机十公此已工使情明性知全三又关点正"
    "业外将两高间由问很最重并物手应向头文体美相见被利什二等产或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通教儿原东声"
    "提立及比员解水名真论处走各入几口认条平系气题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直资金指许，。！"
)
"""The characters that make up more than half of any Chinese text; read as Chinese, Korean or Russian has few."""
_ENOUGH = 40


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
    return _narrow(lines, path)


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


def _narrow(lines: list[bytes], path: Path) -> str:
    """UTF-8 where half of the lines are; else GB18030 where high bytes pair up to Chinese; else the Western page.

    Raises `SourceError` where it can be none of them: text in a wrong encoding is worse than none.
    """
    if sum(map(_is_utf8, lines)) >= len(lines) / 2:
        return "utf-8"  # single lines in another encoding go to quarantine
    runs = [run for line in lines for run in _HIGH.findall(_GB_WIDE.sub(b" ", line))]
    high = sum(map(len, runs))
    pairs = b"".join(pair for run in runs for pair in _GB_PAIRS.findall(run)).decode("gb18030")
    if 2 * len(pairs) > 0.9 * high and (len(pairs) < _ENOUGH or sum(c in _COMMON for c in pairs) > 0.15 * len(pairs)):
        return "gb18030"
    accented = b"".join(word for line in lines for word in _ACCENTED.findall(line))
    if len(accented) < _ENOUGH or sum(byte < 0x80 for byte in accented) > len(accented) / 2:
        return "cp1252"  # accents are the smaller part of the words they stand in
    raise SourceError(f"{path}: its encoding cannot be told; name it under `file: encoding` in the mapping")


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
