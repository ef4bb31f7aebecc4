"""Near duplicates: texts that say what somebody else said shortly before, word for word or nearly so.

A text is the set of its pieces of eight bytes (two and a half Chinese characters, one and a half English words), of
which one in four is kept by its hash. MinHash (Broder 1997; here from the library `rensa`) turns the set into
`PERMUTATIONS` numbers, and two texts agree in as large a share of them as their sets have in common (Jaccard). Six
bands of four numbers each find the texts to compare: of two texts with a Jaccard similarity of 0.9 they find 99.8 %, of
0.95 nearly all. A text is compared with the first that has a band in common with it, so that a text that was posted ten
thousand times costs no more than one.

Copies of another user's text are nearly always spam or an import that went wrong (Jindal and Liu, Opinion Spam and
Analysis, 2008, who take 0.9 of word pairs); what people write twice themselves, about two colours of one thing, is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import rensa
from numpy.typing import NDArray

from tasks.quality.flat import MULTIPLIER, blocks_of, sampled
from tasks.quality.seen import Hashes, Seen
from tasks.schema import EVENTS, USER_ID

Signatures = NDArray[np.uint32]

PERMUTATIONS, BANDS = 24, 6
COMPARED_FROM = 80
"""Bytes from which texts are compared, some 15 English words or 27 Chinese characters: `works great, as described`
is what honest people write."""
WRITTEN = ("review", "comment")
"""Kinds of events that somebody wrote for others to read."""
_SEED = 42  # of the permutations; another seed is another signature
_KEY, _TEXT, _KIND = EVENTS.key[0], EVENTS["text"].name, EVENTS["kind"].name


class Signed(NamedTuple):
    """Texts by signature (k, PERMUTATIONS), with the hashes of who wrote them and of the row's key, (k,)."""

    matrix: Signatures
    users: Hashes
    keys: Hashes

    @staticmethod
    def columns() -> tuple[str, ...]:
        """The columns of accepted events that `of` needs."""
        return (_KEY, USER_ID.name, _KIND, _TEXT)

    @classmethod
    def none(cls) -> Signed:
        """No texts."""
        nothing = np.zeros(0, dtype=np.uint64)
        return cls(np.zeros((0, PERMUTATIONS), dtype=np.uint32), nothing, nothing)

    @classmethod
    def of(cls, frames: Iterable[pd.DataFrame], *, most: int) -> Signed:
        """The last `most` texts worth comparing of accepted events, which come oldest first."""
        signed = cls.none()
        for frame in frames:
            at, matrix = sign(frame)
            new = cls(matrix, hashed(frame[USER_ID.name].iloc[at]), hashed(frame[_KEY].iloc[at]))
            signed = cls(*(np.concatenate([a, b])[-most:] for a, b in zip(signed, new, strict=True)))
        return signed


class Copies:
    """The texts of a batch so far and of the recent past, found again by their bands."""

    def __init__(self, past: Signed) -> None:
        self._first, self._count = Seen(), 0  # band → ordinal of the first text that has it
        self._texts = past
        self._index(past.matrix)

    def likeness(self, texts: Signed) -> NDArray[np.float64]:
        """Largest similarity of each text to an earlier one of another user, (k,); 0 where there is none.

        The texts are taken in, in their order.
        """
        first = self._index(texts.matrix, texts)
        likeness = np.zeros(len(texts.users))
        row, band = np.nonzero(first < (self._count - len(likeness) + np.arange(len(likeness)))[:, None])
        earlier = first[row, band]
        users, keys = self._texts.users[earlier], self._texts.keys[earlier]
        other = (users != texts.users[row]) & (keys != texts.keys[row])
        row, earlier = row[other], earlier[other]
        np.maximum.at(likeness, row, (texts.matrix[row] == self._texts.matrix[earlier]).mean(axis=1))
        return likeness

    def _index(self, matrix: Signatures, texts: Signed | None = None) -> NDArray[np.int64]:
        """Take in texts; gives the ordinal of the first text with each of their bands, (k, BANDS)."""
        if texts is not None:
            self._texts = Signed(*(np.concatenate([a, b]) for a, b in zip(self._texts, texts, strict=True)))
        bands = _bands(matrix)
        values, at, inverse = np.unique(bands.ravel(), return_index=True, return_inverse=True)
        known, ordinals = self._first.find(values)
        own = (self._count + at // BANDS).astype(np.uint64)
        self._first.add(values[~known], own[~known])
        self._count += len(matrix)
        return np.where(known, ordinals, own)[inverse].reshape(bands.shape).astype(np.int64)


def sign(frame: pd.DataFrame) -> tuple[NDArray[np.int64], Signatures]:
    """The rows of `frame` whose text is worth comparing, (k,), and its signatures, (k, PERMUTATIONS)."""
    texts = pa.array(frame[_TEXT], type=pa.large_string(), from_pandas=True)
    long = np.asarray(pc.greater_equal(pc.binary_length(texts), COMPARED_FROM).fill_null(False))
    at = np.flatnonzero(frame[_KIND].isin(WRITTEN).to_numpy(dtype=bool) & long)
    return at, signatures(texts.take(pa.array(at)))


def unsigned() -> tuple[NDArray[np.int64], Signatures]:
    """What `sign` gives where there is nothing to compare."""
    return np.zeros(0, dtype=np.int64), Signed.none().matrix


def signatures(texts: pa.Array) -> Signatures:
    """MinHash of the pieces of each text, (n, PERMUTATIONS); case makes no difference, and none may be null."""
    blocks = [_signatures(block) for block in blocks_of(pc.utf8_lower(texts))]
    return np.concatenate(blocks) if blocks else Signed.none().matrix


def hashed(ids: pd.Series) -> Hashes:
    """64-bit hashes of ids, (n,)."""
    return np.asarray(pd.util.hash_array(ids.to_numpy(dtype=object), categorize=False), dtype=np.uint64)


def _signatures(texts: pa.Array) -> Signatures:
    pieces, offsets = sampled(texts)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(pieces, offsets.astype(np.uint64), PERMUTATIONS, _SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(texts), PERMUTATIONS)


def _bands(matrix: Signatures) -> Hashes:
    """One hash per text and band, (k, BANDS), different in each band."""
    parts = matrix.reshape(len(matrix), BANDS, PERMUTATIONS // BANDS).astype(np.uint64)
    total = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), parts.shape[:2]).copy()
    for place in range(parts.shape[2]):
        total = total * np.uint64(6364136223846793005) + parts[:, :, place]
    total ^= total >> np.uint64(32)
    return total * MULTIPLIER
