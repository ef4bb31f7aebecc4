"""Text that was read with the wrong encoding, or holds what no text holds: replacement and control characters.

Every pattern is one that English or Chinese text does not hold by itself, because a false alarm quarantines what
somebody wrote. White space of any kind is no damage: `tasks.text` folds it.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_CONTROL = "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
"""C0 and C1 control characters but those that Unicode counts as white space."""

_NO_CHARACTER = "\ufffd\ufffe\uffff"
"""The replacement character, and two code points that are no characters."""

_UTF8_AS_LATIN = (
    "[ÂÃ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"  # é → Ã©, £ → Â£
    "|â€"  # every curved quotation mark and dash
    "|ðŸ"  # every emoji
    "|ï¿½|ï»¿|ï¼"  # replacement character, byte order mark, full-width punctuation
)
_UTF8_AS_GBK = "锟斤拷|鈥|銆"  # replacement characters; quotation marks; the ideographic comma and full stop
_CERTAIN = f"[{_CONTROL}{_NO_CHARACTER}]|{_UTF8_AS_LATIN}|{_UTF8_AS_GBK}"

_SUSPECT = "[\u00a1-\u00ff]{6}|[ã-é][^\x00-\x7f]{2}[ã-é][^\x00-\x7f]{2}"
_LATIN_RUN = re.compile("[\u00a1-\u00ff]{6,}")
_LATIN_LETTER = re.compile("[À-ÖØ-öø-ÿ]")
_HAN_AS_LATIN = re.compile("(?:[ã-é][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]{2}){2}")


def damaged(texts: pa.Array) -> NDArray[np.bool_]:
    """Which of `texts` are damaged; null is not."""
    mask = np.asarray(pc.match_substring_regex(texts, _CERTAIN).fill_null(False))
    foreign = np.flatnonzero(~np.asarray(pc.string_is_ascii(texts).fill_null(True)) & ~mask)
    if len(foreign):
        rare = texts.take(pa.array(foreign))
        suspects = np.flatnonzero(np.asarray(pc.match_substring_regex(rare, _SUSPECT).fill_null(False)))
        bad = [_read_wrongly(text) for text in rare.take(pa.array(suspects)).to_pylist()]
        mask[foreign[suspects[np.array(bad, dtype=bool)]]] = True
    return mask


def _read_wrongly(text: str) -> bool:
    """Whether a text with many Latin-1 characters in a row is Chinese that was read as Latin-1.

    Two Chinese characters of UTF-8 are two triples that begin with ã to é; Chinese of GBK is a run that is letters at
    least by half, which a row of degree signs or crosses is not.
    """
    if _HAN_AS_LATIN.search(text):
        return True
    return any(2 * len(_LATIN_LETTER.findall(run)) >= len(run) for run in _LATIN_RUN.findall(text))
