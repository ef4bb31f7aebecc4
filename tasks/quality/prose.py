"""What is measured in prose beyond its length and language: words, links, repetition, markup, personal data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.quality.chunk import TEXT
from tasks.quality.copies import WRITTEN
from tasks.quality.flat import blocks_of, sampled
from tasks.quality.measures import KIND, Measure, Numbers, Reading
from tasks.schema import EVENTS, USER_ID
from tasks.text.redaction import HINT, find_personal

_WORD = r"\p{Han}|\p{Hiragana}|\p{Katakana}|[\p{L}\p{N}]*\p{L}[\p{L}\p{N}'’]*"
"""A word holds a letter; in scripts without spaces each character counts as one."""
_LINK = (
    r"(?i)(?:https?|ftp)://[^\s<>\"'，。；！？、（）《》“”]+|\bwww\.[^\s<>\"'，。；！？、（）《》“”]+"
    r"|\b[a-z0-9-]{2,63}\.(?:com|org|net|edu|gov|co\.uk|cn|de|fr|io)\b(?:/[^\s<>\"'，。；！？、]*)?"
)
"""`tasks.text.links` in the dialect of RE2, without mail addresses, which are marks by now."""
_CONTACT = rf"{_LINK}|\[(?:email|phone)\]"
_TAG = (
    r"(?i)</?[a-z][a-z0-9:_-]*(?:\s[^<>]*)?/?>"  # normalising took away the tags of HTML; these are others
    r"|\[/?(?:b|i|u|s|url|img|quote|code|size|color|list|\*)(?:=[^\]]*)?\]"  # BBCode
    r"|\{\{[^{}]*\}\}|<%[^%]*%>|\{%[^%]*%\}"  # templates that nobody filled in
)
REPETITION_FROM = 80
"""Bytes from which repetition is judged: `哈哈哈哈` and `so so so good` are how people write."""


def words() -> Measure:
    """Words in the first 100 characters of a review or a comment."""

    def measure(texts: pa.Array) -> Numbers:
        heads = pc.utf8_slice_codeunits(texts, 0, 100)
        return np.asarray(pc.count_substring_regex(heads, _WORD), dtype=np.float64)

    return _written(measure)


def contacts() -> Measure:
    """Links, mail addresses and telephone numbers in the text of a review or a comment."""
    return _written(lambda texts: np.asarray(pc.count_substring_regex(texts, _CONTACT), dtype=np.float64))


def link_share() -> Measure:
    """Share of the characters of a review or a comment that belong to links and contacts."""

    def measure(texts: pa.Array) -> Numbers:
        shares = np.zeros(len(texts))
        at = np.flatnonzero(np.asarray(pc.match_substring_regex(texts, _CONTACT)))
        linked = texts.take(pa.array(at))
        rest = pc.utf8_length(pc.replace_substring_regex(linked, _CONTACT, ""))
        shares[at] = 1 - np.asarray(rest) / np.asarray(pc.utf8_length(linked))
        return shares

    return _written(measure)


def tags(name: str) -> Measure:
    """Tags that are no HTML, and templates that nobody filled in, (n,)."""
    return lambda reading: _numbers(pc.count_substring_regex(reading.chunk.columns[name], _TAG))


def personal(name: str) -> Measure:
    """Pieces of personal data that were blanked out."""
    return lambda reading: reading.chunk.strings[name].personal.astype(np.float64)


def personal_id() -> Measure:
    """User ids that are themselves a mail address, a telephone number, a national id or a card number."""

    def measure(reading: Reading) -> Numbers:
        ids = reading.chunk.columns[USER_ID.name]
        hinted = np.asarray(pc.match_substring_regex(ids, HINT).fill_null(False))
        flags = np.zeros(len(ids), dtype=bool)
        at = np.flatnonzero(hinted)
        flags[at] = [bool(find_personal(id_)) for id_ in ids.take(pa.array(at)).to_pylist()]
        return flags

    return measure


def repetition() -> Measure:
    """Share of a review or a comment that repeats what it said before; NaN below `REPETITION_FROM` bytes."""

    def measure(texts: pa.Array) -> Numbers:
        shares = np.full(len(texts), np.nan)
        long = np.asarray(pc.greater_equal(pc.binary_length(texts), REPETITION_FROM))
        shares[long] = repeated_share(texts.filter(pa.array(long)))
        return shares

    return _written(measure)


def repeated_share(texts: pa.Array) -> Numbers:
    """1 − distinct pieces ÷ pieces of each text, (n,), over a sample of its pieces of eight bytes; none null."""
    blocks = [_repeated_share(block) for block in blocks_of(texts)]
    return np.concatenate(blocks) if blocks else np.zeros(0)


def _repeated_share(texts: pa.Array) -> Numbers:
    pieces, offsets = sampled(texts)
    counts = np.diff(offsets)
    row = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
    keys = (row << np.uint64(40)) | (pieces >> np.uint64(24))
    keys.sort()
    fresh = (keys[np.append(True, keys[1:] != keys[:-1])] >> np.uint64(40)) if len(keys) else keys
    distinct = np.bincount(fresh.astype(np.int64), minlength=len(texts))
    # of 73 different pieces none is kept with probability 1e-9: the text is a few pieces over and over
    return np.asarray(1 - distinct / np.maximum(counts, 1))


def _written(measure: Callable[[pa.Array], Numbers]) -> Measure:
    """The measurement of texts that somebody wrote for others to read, NaN for other rows: a search may be a link.

    A text beyond its limit, which will not be accepted and may be huge, is not looked at.
    """

    def written(reading: Reading) -> Numbers:
        texts, kinds = reading.chunk.columns[TEXT], reading.chunk.columns[KIND]
        short = pc.less_equal(pc.utf8_length(texts), EVENTS[TEXT].max_length).fill_null(False)
        fit = pc.and_(short, pc.is_in(kinds, value_set=pa.array(WRITTEN, type=kinds.type)))
        values = np.full(len(texts), np.nan)
        values[np.asarray(fit)] = measure(texts.filter(fit))
        return values

    return written


def _numbers(values: pa.Array) -> Numbers:
    floats: Numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return floats
