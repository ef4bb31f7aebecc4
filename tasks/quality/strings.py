"""Strings of a chunk: which are damaged, and prose brought to one form.

Most of what people write is sound and in its form already, and one pattern can tell; only the rest is looked at closer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.quality.damage import damaged
from tasks.text import normalise
from tasks.text.redaction import HINT, take_out

_INERT = (
    " -%'-;=-~"  # ASCII without control characters, and without & and <, which may begin markup
    "\u2010-\u2027"  # dashes, quotation marks, ellipsis
    "\u3001-\u3029\u4e00-\u9224\u9226-\u9285\u9287-\u951e\u9520-\u9fff\uff01-\uff5e"  # Chinese without 鈥, 銆 and 锟
    "\U0001f300-\U0001f6ff\U0001f900-\U0001f9ff"  # emoji
)
"""Characters that `normalise` neither changes nor removes and that no damage shows in, whatever their order: none
composes with another (Unicode NFC)."""
_DOUBTFUL = f"[^{_INERT}]|  |^ | $"


@dataclass(frozen=True)
class Strings:
    """A column of strings: `clean`, (n,), null where blank; `changed`, rows whose string is not what came.

    personal: pieces of personal data that were blanked out, (n,).
    """

    clean: pa.Array
    changed: NDArray[np.bool_]
    damage: NDArray[np.bool_]
    personal: NDArray[np.int64]


def read_strings(values: pa.Array, *, prose: bool, limit: int | None) -> Strings:
    """Look at a column of strings; prose is normalised and redacted, but for what is longer than `limit`.

    A string beyond the limit, which may be huge, stays as it came: it will not be accepted.
    """
    doubtful = ~inert(values) if prose else np.asarray(pc.is_valid(values))
    damage = np.zeros(len(values), dtype=bool)
    damage[doubtful] = damaged(values.filter(pa.array(doubtful)))
    clean, changed = (values, np.zeros(len(values), dtype=bool))
    personal = np.zeros(len(values), dtype=np.int64)
    if prose:
        clean, changed = _normalised(values, doubtful, limit)
        clean, personal = _redacted(clean, limit)
    trimmed = clean if prose else pc.utf8_trim_whitespace(clean)  # prose in its form has no white space around it
    blank = np.asarray(pc.equal(trimmed, "").fill_null(False))
    if blank.any():
        clean = pc.if_else(pa.array(blank), pa.scalar(None, type=clean.type), clean)
    return Strings(clean, changed | blank | (personal > 0), damage, personal)


def read_lists(values: pa.Array) -> Strings:
    """Look at a column of lists of strings; an absent list is an empty one."""
    damage = np.zeros(len(values), dtype=bool)
    damage[np.asarray(pc.list_parent_indices(values))[damaged(pc.list_flatten(values))]] = True
    filled = values.fill_null([]) if values.null_count else values
    return Strings(filled, np.asarray(pc.is_null(values)), damage, np.zeros(len(values), dtype=np.int64))


def inert(texts: pa.Array) -> NDArray[np.bool_]:
    """Which texts are surely undamaged and surely what `normalise` would make of them; null is one of them."""
    return ~np.asarray(pc.match_substring_regex(texts, _DOUBTFUL).fill_null(False))


def _normalised(texts: pa.Array, doubtful: NDArray[np.bool_], limit: int | None) -> tuple[pa.Array, NDArray[np.bool_]]:
    """The texts with the doubtful ones normalised, and which those are."""
    doubtful = doubtful & _within(texts, limit)
    if not doubtful.any():
        return texts, doubtful
    mask = pa.array(doubtful)
    better = [normalise(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(better, type=texts.type)), doubtful


def _redacted(texts: pa.Array, limit: int | None) -> tuple[pa.Array, NDArray[np.int64]]:
    """The texts without personal data, and how many pieces each held; the few texts that may hold any are looked at."""
    counts = np.zeros(len(texts), dtype=np.int64)
    at = np.flatnonzero(np.asarray(pc.match_substring_regex(texts, HINT).fill_null(False)) & _within(texts, limit))
    suspects = texts.take(pa.array(at)).to_pylist()
    taken = [take_out(text) for text in suspects]
    counts[at] = [pieces for _, pieces in taken]
    if not counts.any():
        return texts, counts
    better = [text for text, pieces in taken if pieces]
    return pc.replace_with_mask(texts, pa.array(counts > 0), pa.array(better, type=texts.type)), counts


def _within(texts: pa.Array, limit: int | None) -> NDArray[np.bool_]:
    if limit is None:
        return np.asarray(pc.is_valid(texts))
    return np.asarray(pc.less_equal(pc.utf8_length(texts), limit).fill_null(False))
