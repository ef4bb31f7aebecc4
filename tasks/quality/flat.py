"""The bytes of many strings as one array, so that all of them are looked at in a few passes of NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_BLOCK_BYTES = 4_000_000
"""Bytes looked at in one go; eight times as many are held for their hashes."""


def pieces_of(texts: pa.Array) -> Iterator[pa.Array]:
    """`texts`, none null, in blocks of a few megabytes."""
    if not len(texts):
        return
    ends = np.cumsum(np.asarray(pc.binary_length(texts)).astype(np.int64))
    cuts = np.flatnonzero(np.diff(ends // _BLOCK_BYTES)) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        yield texts.slice(start, stop - start)


def utf8(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The bytes of all `texts`, and where each begins and ends in them, (n,)."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(data, dtype=np.uint8) if data else np.zeros(0, dtype=np.uint8)
    return content[ends[0] : ends[-1]], ends[:-1] - ends[0], ends[1:] - ends[0]


def windows(data: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The eight bytes from each place on as one number, (bytes − 7,), without a copy."""
    return np.ndarray((max(len(data) - 7, 0),), dtype="<u8", buffer=data, strides=(1,))
