"""The bytes of many strings as one array, so that all of them are looked at in a few passes of NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_BLOCK_BYTES = 4_000_000
"""Bytes looked at in one go; eight times as many are held for their hashes."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)."""
_KEPT = np.uint64(3)


def blocks_of(texts: pa.Array) -> Iterator[pa.Array]:
    """`texts`, none null, in blocks of a few megabytes."""
    if not len(texts):
        return
    ends = np.cumsum(np.asarray(pc.binary_length(texts)).astype(np.int64))
    cuts = np.flatnonzero(np.diff(ends // _BLOCK_BYTES)) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        yield texts.slice(start, stop - start)


def sampled(texts: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """One in four of the pieces of eight bytes of each text, as hashes one text after the other; where each begins.

    A piece is kept by its hash, so that the same piece is kept wherever it stands. texts: large strings, none null.
    Returns hashes (m,) and offsets (n + 1,).
    """
    data, starts, ends = _utf8(texts)
    # the eight bytes from each place on as one number, without a copy
    hashes = np.ndarray((max(len(data) - 7, 0),), dtype="<u8", buffer=data, strides=(1,)) * MULTIPLIER
    hashes ^= hashes >> np.uint64(29)
    at = np.flatnonzero((hashes & _KEPT) == 0)
    first = np.searchsorted(at, starts)
    last = np.maximum(np.searchsorted(at, ends - 7), first)
    between = np.zeros(len(at) + 1, dtype=np.int64)  # pieces that begin in one text and end in another
    np.add.at(between, last, 1)
    np.add.at(between, np.append(first[1:], len(at)), -1)
    return hashes[at[np.cumsum(between[:-1]) == 0]], np.concatenate([[0], np.cumsum(last - first)])


def _utf8(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The bytes of all `texts`, and where each begins and ends in them, (n,)."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(data, dtype=np.uint8) if data else np.zeros(0, dtype=np.uint8)
    return content[ends[0] : ends[-1]], ends[:-1] - ends[0], ends[1:] - ends[0]
