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
    """A column of strings: `clean`, (n,), null where blank; `changed`, rows whose string is not what came."""

    clean: pa.Array
    changed: NDArray[np.bool_]
    damage: NDArray[np.bool_]


def read_strings(values: pa.Array, *, prose: bool, limit: int | None) -> Strings:
    """Look at a column of strings; of prose each is normalised, but for those longer than `limit`.

    A string beyond the limit, which may be huge, stays as it came: it will not be accepted.
    """
    doubtful = ~inert(values) if prose else np.asarray(pc.is_valid(values))
    damage = np.zeros(len(values), dtype=bool)
    damage[doubtful] = damaged(values.filter(pa.array(doubtful)))
    clean, changed = (values, np.zeros(len(values), dtype=bool))
    if prose:
        clean, changed = _normalised(values, doubtful, limit)
    trimmed = clean if prose else pc.utf8_trim_whitespace(clean)  # prose in its form has no white space around it
    blank = np.asarray(pc.equal(trimmed, "").fill_null(False))
    if blank.any():
        clean = pc.if_else(pa.array(blank), pa.scalar(None, type=clean.type), clean)
    return Strings(clean, changed | blank, damage)


def read_lists(values: pa.Array) -> Strings:
    """Look at a column of lists of strings; an absent list is an empty one."""
    damage = np.zeros(len(values), dtype=bool)
    damage[np.asarray(pc.list_parent_indices(values))[damaged(pc.list_flatten(values))]] = True
    return Strings(values.fill_null([]) if values.null_count else values, np.asarray(pc.is_null(values)), damage)


def inert(texts: pa.Array) -> NDArray[np.bool_]:
    """Which texts are surely undamaged and surely what `normalise` would make of them; null is one of them."""
    return ~np.asarray(pc.match_substring_regex(texts, _DOUBTFUL).fill_null(False))


def _normalised(texts: pa.Array, doubtful: NDArray[np.bool_], limit: int | None) -> tuple[pa.Array, NDArray[np.bool_]]:
    """The texts with the doubtful ones normalised, and which those are."""
    if limit is not None:
        doubtful = doubtful & np.asarray(pc.less_equal(pc.utf8_length(texts), limit).fill_null(False))
    if not doubtful.any():
        return texts, doubtful
    mask = pa.array(doubtful)
    better = [normalise(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(better, type=texts.type)), doubtful
