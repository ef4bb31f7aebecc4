"""Source values as text, and which of them are damaged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Problem = tuple[str, NDArray[np.bool_], str]
"""A rule, the rows that break it, and what a person needs to know to mend them."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_NUL = "\x00"


@dataclass(frozen=True)
class Texts:
    """Values as Arrow text, null where absent or damaged, and what was wrong with them."""

    array: pa.Array
    problems: list[Problem] = field(default_factory=list)


def to_texts(values: Sequence[Any], nulls: Sequence[str], name: str, join: str | None = None) -> Texts:
    """`values` as text, trimmed; blank ones and `nulls` are null.

    join: what to put between the parts of a list; None where a list is no proper value. Bytes that were no text in
    the encoding of the file come as halves of surrogate pairs and are told by the rule `encoding`, as are NULs.
    """
    try:
        array = pa.array(values, pa.string())
        odd = np.zeros(len(values), bool)
        broken = odd
    except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError):
        plain = [_text(value, join) for value in values]
        odd = np.array([text is _ODD for text in plain], bool)
        broken = np.array([bool(_SURROGATE.search(text or "")) for text in plain], bool)
        broken &= ~odd
        whole = [None if bad else text for text, bad in zip(plain, broken | odd, strict=True)]
        array = pa.array(whole, pa.string())
    nul = np.asarray(pc.match_substring(array, _NUL).fill_null(False))
    array = pc.if_else(pa.array(nul), pa.scalar(None, pa.string()), pc.utf8_trim_whitespace(array))
    empty = pc.is_in(array, value_set=pa.array(["", *nulls], pa.string()))
    array = pc.if_else(empty, pa.scalar(None, pa.string()), array)
    problems: list[Problem] = [
        ("encoding", broken, f"{name} holds bytes that are no text in the encoding of the file; save the whole file "
         "in one encoding, or name the right one under `file: encoding` in the mapping"),
        ("encoding", nul, f"{name} holds a NUL character; remove it from the source"),
        ("parse_text", odd, f"{name} is a list or an object where one text is needed; map another column, or take "
         "the text out of it first"),
    ]  # fmt: skip
    return Texts(array, [problem for problem in problems if problem[1].any()])


_ODD = "\udfff odd"
"""Stands for a value that is no text; compared by identity."""


def _text(value: Any, join: str | None) -> str | None:
    """One value as text; whole floats lose their `.0`, because that is how ids come out of other tools."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return None if value != value else str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, int):
        return str(value) if -(10**40) < value < 10**40 else _ODD
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if join is not None and isinstance(value, list):
        parts = [_text(part, join) for part in value]
        return _ODD if any(part is _ODD for part in parts) else join.join(part for part in parts if part)
    return _ODD
