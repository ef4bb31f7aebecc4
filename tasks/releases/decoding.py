"""Values from the bytes that Feast keeps online (one protobuf `Value` each), without Feast's own detours.

Lists of floats, which are most of a profile's bytes, become arrays at once; texts are cut out; every
other type goes through protobuf. What is decoded is what `feast serve` answers, which a test holds for every type.
Encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from feast.protos.feast.types.Value_pb2 import StringList, Value
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from tasks.errors import ReleaseError

_STRING = bytes([Value.STRING_VAL_FIELD_NUMBER << 3 | 2])
_TEXTS = {_STRING, bytes([Value.STRING_LIST_VAL_FIELD_NUMBER << 3 | 2])}
_FLOATS = bytes([(Value.FLOAT_LIST_VAL_FIELD_NUMBER << 3 | 2) & 0x7F | 0x80, Value.FLOAT_LIST_VAL_FIELD_NUMBER >> 4])
_PACKED = 1 << 3 | 2
_BYTES = {"bytes_val", "bytes_list_val", "bytes_set_val"}


def decode(stored: bytes) -> Any:
    """The value: None, bool, int, float, str, or a list of them; a list of float32 as an array.

    Times are seconds since 1970. What JSON has no number for is a text, as protobuf writes it: `NaN`, `Infinity`,
    `-Infinity`. Raises `ReleaseError` where the bytes are no value of a type that this version knows.
    """
    try:
        if stored[:2] == _FLOATS:
            return _floats(stored)
        if stored[:1] in _TEXTS:
            size, start = _varint(stored, 1)
            if start + size == len(stored):
                text = stored[start:]
                return text.decode() if stored[:1] == _STRING else list(StringList.FromString(text).val)
        return _parsed(stored)
    except (DecodeError, UnicodeDecodeError):
        raise ReleaseError(_DAMAGED) from None


def _floats(stored: bytes) -> Any:
    """A list of float32: field 16, its size, then field 1 packed, its size, then four bytes each."""
    size, start = _varint(stored, 2)
    if start + size != len(stored):
        return _parsed(stored)
    if not size:
        return []
    packed, data = _varint(stored, start + 1)
    if stored[start] != _PACKED or data + packed != len(stored) or packed % 4:
        return _parsed(stored)
    array = np.frombuffer(stored[data:], "<f4")  # a copy, because four-byte numbers must begin at a fourth byte
    return array if np.isfinite(array).all() else [_number(value) for value in array.tolist()]


def _varint(stored: bytes, start: int) -> tuple[int, int]:
    """An integer in protobuf's variable length, and where it ends; raises `ReleaseError` where it does not."""
    value = shift = 0
    for place in range(start, min(start + 10, len(stored))):
        byte = stored[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise ReleaseError(_DAMAGED)


def _parsed(stored: bytes) -> Any:
    """Any type that Feast may have written, by protobuf."""
    value = Value.FromString(stored)
    which = value.WhichOneof("val")
    if which == "null_val" or (which is None and not stored):
        return None
    if which is None or which not in _KNOWN:
        raise ReleaseError(_DAMAGED)
    held = getattr(value, which)
    if which in _BYTES:
        held = (
            base64.b64encode(held).decode()
            if which == "bytes_val"
            else [base64.b64encode(v).decode() for v in held.val]
        )
    elif which.endswith(("_list_val", "_set_val")):
        held = list(held.val)
    if isinstance(held, float):
        return _number(held)
    return [_number(v) for v in held] if isinstance(held, list) and held and isinstance(held[0], float) else held


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


_KNOWN = {
    f"{kind}_{form}"
    for kind in ("bytes", "string", "int32", "int64", "double", "float", "bool", "unix_timestamp")
    for form in ("val", "list_val", "set_val")
}
_DAMAGED = "a stored value is damaged, or of a type that this version does not know; publish the release again"
