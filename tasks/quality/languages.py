"""The language of each row: what the row says, else what its text shows, else what its script allows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.schema import LANGUAGES
from tasks.text import detect_languages

UNKNOWN = "und"
"""ISO 639-2 code of an undetermined language: letters of a script that no allowed language is written in."""

JUDGED_FROM = 30
"""Letters from which another language is believed. Measured on 40,000 pieces of English reviews: 1.2 % of those with
fewer letters were taken for another language, 0.05 % of the others."""

_SCRIPTS = ((r"[\p{Hiragana}\p{Katakana}\p{Hangul}]", UNKNOWN), (r"\p{Han}", "zh"), (r"\p{Latin}", "en"))
"""First match wins: Japanese mixes kana with Han, and Chinese text mixes Han with Latin names."""


def languages(texts: pa.Array, given: pa.Array) -> pa.Array:
    """Language code per row, (n,); null where there is no text or where it has no letters (`5/5`, an emoji).

    texts: normalised text, null where there is none, (n,). given: what the row itself says, (n,); its region
    is dropped (`zh-CN` is `zh`).
    """
    codes = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(given)), "[-_].*$", "")
    result: NDArray[np.object_] = codes.to_numpy(zero_copy_only=False).copy()
    open_rows = np.flatnonzero(np.asarray(pc.and_(pc.is_null(codes), pc.is_valid(texts))))
    if len(open_rows):
        result[open_rows] = _seen(texts.take(pa.array(open_rows)))
    return pa.array(result, type=codes.type)


def _seen(texts: pa.Array) -> NDArray[np.object_]:
    """What the detector says, and the script where it cannot tell or has too little to tell by."""
    found = np.array(detect_languages(texts.to_pylist()), dtype=object)
    short = np.asarray(pc.count_substring_regex(texts, r"\p{L}")) < JUDGED_FROM
    unsure = np.flatnonzero(pd.isna(found) | (short & ~pd.Series(found).isin(LANGUAGES).to_numpy()))
    if len(unsure):
        found[unsure] = _by_script(texts.take(pa.array(unsure)))
    return found


def _by_script(texts: pa.Array) -> NDArray[np.object_]:
    result = np.full(len(texts), None, dtype=object)
    result[np.asarray(pc.match_substring_regex(texts, r"\p{L}"))] = UNKNOWN
    for pattern, code in reversed(_SCRIPTS):
        result[np.asarray(pc.match_substring_regex(texts, pattern))] = code
    return result
