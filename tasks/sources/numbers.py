"""Source values as numbers: ratings brought to our scale, and prices."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.schema import RATING_MAX, RATING_MIN
from tasks.sources.mapping import Field
from tasks.sources.strings import Problem, to_texts

Floats = NDArray[np.float64]
_PRICE = r"^\D{0,4}?(-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?)\D{0,4}$"
"""A number, with thousands set off by commas or not, and a currency before or after it."""


def to_floats(values: Sequence[Any]) -> Floats:
    """`values` as numbers, NaN where they are none; true and false are none."""
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "string", "empty"):
        try:
            numbers: Floats = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(np.float64)
            return numbers
        except (OverflowError, ValueError, TypeError):
            pass
    return np.array([_float(value) for value in values], np.float64)


def to_ratings(
    values: Sequence[Any], mapped: Field, nulls: Sequence[str], name: str
) -> tuple[pd.Series, list[Problem]]:
    """`values` on our scale as float32, NaN where absent or unreadable, and what was wrong with them."""
    texts = to_texts(values, nulls, name)
    given = np.asarray(texts.array.is_valid())
    numbers = np.where(given, to_floats(values), np.nan)
    low, high = mapped.scale or (RATING_MIN, RATING_MAX)
    unread = given & np.isnan(numbers)
    off = given & ~unread & ~((numbers >= low) & (numbers <= high))
    scaled = RATING_MIN + (numbers - low) * ((RATING_MAX - RATING_MIN) / (high - low))
    found = pd.Series(np.where(off, np.nan, scaled).astype(np.float32))
    problems: list[Problem] = [
        ("parse_rating", unread, f"{name} is not a number; write it as one between {low:g} and {high:g}"),
        ("rating_scale", off, f"{name} lies outside {low:g} to {high:g}; mend it, or set `scale` in the mapping"),
    ]
    return found, [*texts.problems, *(problem for problem in problems if problem[1].any())]


def to_prices(values: Sequence[Any], nulls: Sequence[str], name: str) -> tuple[pd.Series, list[Problem]]:
    """`values` as float64, with or without a currency sign, NaN where absent or unreadable, and what was wrong."""
    texts = to_texts(values, nulls, name)
    given = np.asarray(texts.array.is_valid())
    numbers = np.where(given, to_floats(values), np.nan)
    written = given & np.isnan(numbers)
    if written.any():
        plain = texts.array.to_pandas()[written].astype(str).str.extract(_PRICE)[0].str.replace(",", "")
        numbers[written] = pd.to_numeric(plain, errors="coerce").to_numpy(np.float64)
    unread = given & ~np.isfinite(numbers)
    reason = f"{name} is not one amount; write it as a number, or set `unparsable: null` in the mapping to do without"
    problems: list[Problem] = [("parse_price", unread, reason)] if unread.any() else []
    return pd.Series(np.where(unread, np.nan, numbers)), [*texts.problems, *problems]


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return float("nan")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")
