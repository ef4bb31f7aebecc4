"""Arrow columns to the bytes that Feast keeps online, a whole column at a time.

A value is a protobuf message `feast.types.Value`: one tagged field, by the rules of the protobuf wire format
(https://protobuf.dev/programming-guides/encoding/); null is the empty message. Feast builds one Python object per
value, and one per list element; here a column's bytes are a header for each row, of which there are as many kinds as
lengths, joined in Arrow to the values as they lie in memory. Tests hold every type to Feast's own bytes.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.columns import Column, ColumnType

_FIELDS: dict[ColumnType, int] = {
    "string": 2,
    "int64": 4,
    "float64": 5,
    "float32": 6,
    "bool": 7,
    "timestamp": 8,
    "list<string>": 12,
    "list<int64>": 14,
    "list<float32>": 16,
}
"""Number of the field of `feast.types.Value` that holds each type."""
_STRING = 2
"""Number of texts among `feast.types.ValueType`, which entity keys carry."""
_VARINT, _BYTES = 0, 2
"""Wire types: a number of 1–10 bytes, and bytes after their length."""
NAT = -(2**63)
_VAL = 1
"""Number of the field `val` of Feast's list messages."""


def encode(values: pa.Array, column: Column) -> pa.BinaryArray:
    """One message per value, `(n,)`, as Feast writes it.

    Null, and NaN where a number stands alone, is the empty message; a null timestamp is pandas' NaT, -2**63.
    """
    if column.type.startswith("list"):
        return _lists(values, column)
    values = pc.cast(values, column.arrow.type)
    if column.type == "string":
        return _present(_tagged(values.cast(pa.binary()), _FIELDS[column.type]))
    if column.type in ("float32", "float64"):
        known = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        numbers = known.fill_null(0).to_numpy(zero_copy_only=False)
        wire_type = 5 if column.type == "float32" else 1
        raw = cut(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes(), np.full(len(values), numbers.itemsize))
        return _present(join(pa.scalar(_key(_FIELDS[column.type], wire_type), pa.binary()), _like(raw, known)))
    if column.type == "timestamp":
        values = pc.floor_temporal(values, unit="second").cast(pa.timestamp("s", "UTC"))
        whole = values.cast(pa.int64()).fill_null(NAT)
    else:
        whole = values.cast(pa.int64())
    raw = cut(*_varints(whole.fill_null(0).to_numpy(zero_copy_only=False)))
    return _present(join(pa.scalar(_key(_FIELDS[column.type], _VARINT), pa.binary()), _like(raw, whole)))


def entity_keys(values: pa.Array, join_key: str) -> pa.BinaryArray:
    """Feast's serialised entity keys (version 3) for one join key of strings, `(n,)`."""
    name = join_key.encode()
    start = struct.pack(f"<III{len(name)}sI", 1, _STRING, len(name), name, _STRING)
    texts = values.cast(pa.binary())
    return join(headers(lengths(texts), lambda size: start + struct.pack("<I", size)), texts)


def digests(columns: Sequence[pa.BinaryArray]) -> list[bytes]:
    """One 16-byte digest (SHA-256, cut) per row of encoded columns; rows that differ in any byte differ in it."""
    sizes = [headers(lengths(column), lambda size: struct.pack("<I", size)) for column in columns]
    joined = join(*(part for pair in zip(sizes, columns, strict=True) for part in pair))
    ends, rows = _offsets(joined).tolist(), memoryview(joined.buffers()[2])
    return [hashlib.sha256(rows[a:b]).digest()[:16] for a, b in itertools.pairwise(ends)]


def constant(text: str) -> bytes:
    """The message of one text."""
    return _key(_FIELDS["string"], _BYTES) + varint(len(text.encode())) + text.encode()


def join(*parts: pa.Array | pa.Scalar) -> pa.BinaryArray:
    """`parts` joined row by row; a null anywhere makes the row null."""
    return pc.binary_join_element_wise(*parts, b"")


def lengths(values: pa.BinaryArray) -> np.ndarray:
    """Bytes of each value, `(n,)`; 0 for null."""
    return np.diff(_offsets(values))


def headers(sizes: np.ndarray, header: Callable[[int], bytes]) -> pa.Array | pa.Scalar:
    """`header(size)` for each size, `(n,)`, made once for each that there is; one scalar where there is but one."""
    if len(sizes) and (sizes == sizes[0]).all():
        return pa.scalar(header(int(sizes[0])), pa.binary())
    kinds, which = np.unique(sizes, return_inverse=True)
    return pa.array([header(int(size)) for size in kinds], pa.binary()).take(pa.array(which))


def cut(data: bytes | pa.Buffer, sizes: np.ndarray) -> pa.BinaryArray:
    """`data` cut into pieces of `sizes` bytes, without copying."""
    ends = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=ends[1:])
    return pa.BinaryArray.from_buffers(pa.binary(), len(sizes), [None, pa.py_buffer(ends), pa.py_buffer(data)])


def stream(rows: pa.BinaryArray) -> memoryview:
    """The bytes of all rows, one after the other, without copying."""
    ends = _offsets(rows)
    return memoryview(rows.buffers()[2] or b"")[ends[0] : ends[-1]] if len(rows) else memoryview(b"")


def varint(number: int) -> bytes:
    """A whole number of 0 or more as protobuf writes it: 7 bits a byte, lowest first."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _lists(values: pa.Array, column: Column) -> pa.BinaryArray:
    """A list message: packed numbers after one length, or each text after its own."""
    counts = pc.list_value_length(values)
    flat = values.flatten()
    ends = np.concatenate([[0], np.cumsum(counts.fill_null(0).to_numpy(zero_copy_only=False))])
    if column.type == "list<string>":
        framed = _tagged(flat.fill_null("").cast(pa.binary()), _VAL)
        sizes, data = lengths(framed), stream(framed)
        bodies = _like(cut(data, _sums(sizes, ends)), counts)
    else:
        if column.type == "list<float32>":
            floats = flat.fill_null(np.nan).to_numpy(zero_copy_only=False).astype("<f4", copy=False)
            packed = cut(pa.py_buffer(floats), np.diff(ends) * floats.itemsize)
        else:
            raw, sizes = _varints(flat.to_numpy(zero_copy_only=False))
            packed = cut(raw, _sums(sizes, ends))
        start = headers(lengths(packed), lambda size: _key(_VAL, _BYTES) + varint(size) if size else b"")
        bodies = join(start, _like(packed, counts))
    return _present(_tagged(bodies, _FIELDS[column.type]))


def _tagged(values: pa.BinaryArray, number: int) -> pa.BinaryArray:
    """Each value after the tag of field `number`, and its length."""
    return join(headers(lengths(values), lambda size: _key(number, _BYTES) + varint(size)), values)


def _key(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def _present(messages: pa.BinaryArray) -> pa.BinaryArray:
    """Null as Feast has it: the empty message."""
    return messages.fill_null(b"")


def _like(values: pa.BinaryArray, other: pa.Array) -> pa.BinaryArray:
    """`values`, null where `other` is."""
    return pc.if_else(other.is_valid(), values, pa.scalar(None, pa.binary())) if other.null_count else values


def _varints(numbers: np.ndarray) -> tuple[bytes, np.ndarray]:
    """All numbers as protobuf writes them, and the bytes of each; a negative one is its two's complement."""
    groups = numbers.astype(np.int64).view(np.uint64)[:, None] >> (np.arange(10, dtype=np.uint64) * np.uint64(7))
    sizes = np.maximum(1, (groups != 0).sum(axis=1))
    more = np.arange(10) < (sizes - 1)[:, None]
    octets = ((groups & np.uint64(0x7F)) | np.where(more, np.uint64(0x80), np.uint64(0))).astype(np.uint8)
    return octets[np.arange(10) < sizes[:, None]].tobytes(), sizes


def _sums(sizes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Bytes of each list, whose elements have `sizes` and end at `ends`."""
    return np.diff(np.concatenate([[0], np.cumsum(sizes)])[ends])


def _offsets(values: pa.BinaryArray) -> np.ndarray:
    return np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4)
