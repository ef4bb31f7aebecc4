"""Raw rows, kept as they came so that they can be mended, without the personal data in them.

A row's own ids stay, even where one is a mail address: without them the row could not be taken in again. The rule
`personal_id` counts such ids.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.schema import EVENTS, ITEM_ID, USER_ID
from tasks.text import normalise, redact
from tasks.text.redaction import HINT

_PLAIN_NUMBERS = r"(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?:\d\d(?::\d\d)?(?:[.]\d+)?|\b\d{1,6}[.]\d+"
"""Dates, times of day and decimals, which every row has and which are no personal data."""
_HIDDEN = r"&#|[\x{200b}-\x{200f}\x{2060}-\x{206f}]|\\u"
"""What may hide personal data from its pattern: entities, characters without width, escapes of JSON."""


IDS = (EVENTS.key[0], USER_ID.name, ITEM_ID.name)
"""Columns whose values stay in the raw row."""


def redact_row(row: str, ids: Collection[Any]) -> str:
    """A raw row, JSON or not, with marks in the place of personal data; values equal to one of `ids` stay."""
    try:
        value = json.loads(row)
    except (ValueError, RecursionError):
        return redact(row)
    better = _redacted(value, {str(id_) for id_ in ids if id_ is not None})
    if better == value:
        return row
    # half a surrogate pair, which no store takes, as the escape that means it in JSON
    return json.dumps(better, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


def redact_rows(rows: Sequence[str], frame: pd.DataFrame) -> list[str]:
    """The same for many rows; frame: holds the ids of each, (n,) in the columns of `IDS` that the table has."""
    texts = pa.array(rows, type=pa.large_string())
    rest = pc.replace_substring_regex(texts, _PLAIN_NUMBERS, "~")
    hits = np.asarray(pc.or_(pc.match_substring_regex(rest, HINT), pc.match_substring_regex(texts, _HIDDEN)))
    better, ids = list(rows), frame[[name for name in IDS if name in frame.columns]]
    for at in np.flatnonzero(hits).tolist():
        better[at] = redact_row(rows[at], ids.iloc[at].tolist())
    return better


def _redacted(value: Any, ids: Collection[str]) -> Any:
    if isinstance(value, str):
        return value if value.strip() in ids else _plainly(value)
    if isinstance(value, dict):
        return {_plainly(key): _redacted(held, ids) for key, held in value.items()}
    if isinstance(value, list):
        return [_redacted(held, ids) for held in value]
    if isinstance(value, float) and value.is_integer():  # a column of numbers with gaps comes as such
        better = _redacted(int(value), ids)
        return value if better == value else better
    if isinstance(value, int) and str(value) not in ids:
        better = redact(str(value))
        return value if better == str(value) else better
    return value


def _plainly(text: str) -> str:
    """Redacted as it stands; in its normal form where only that shows what is personal."""
    better = redact(text)
    plain = normalise(better)
    clear = redact(plain)
    return better if clear == plain else clear
