"""Times as sources write them, brought to UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.sources.mapping import ISO, UNIX_MS, UNIX_S, Field
from tasks.sources.numbers import to_floats
from tasks.sources.strings import Problem, to_texts

UTC = "datetime64[us, UTC]"
_LAST_SECOND = 253_402_300_799  # the end of the year 9999
_FIRST_SECOND = -62_135_596_800  # the beginning of the year 1
_OFFSET = r"[T ]\d.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
_ISO_LIKE = r"^\d{4}(?:-?\d{2}|-?W|-?\d{3}|$)"
_CLOCK_WORDS = ("now", "today")
"""pandas reads these as the time of reading."""


def to_times(values: Sequence[Any], mapped: Field, nulls: Sequence[str], name: str) -> tuple[pd.Series, list[Problem]]:
    """`values` as UTC times with microseconds, NaT where absent or unreadable, and what was wrong with them."""
    moments = [value if isinstance(value, date) else None for value in values]
    if any(moment is not None for moment in moments):
        values = [_iso(value) if isinstance(value, date) else value for value in values]
    found = pd.Series(pd.NaT, index=range(len(values)), dtype=UTC)
    typed = np.array([moment is not None for moment in moments], bool)
    for written in (ISO,) if typed.all() else (*mapped.formats, *((ISO,) if typed.any() else ())):
        rows = found.isna().to_numpy() & (typed if written == ISO and ISO not in mapped.formats else True)
        if rows.any():
            some = [value for value, row in zip(values, rows, strict=True) if row]
            found[rows] = _read(some, written, mapped.timezone).array
    texts = to_texts(values, nulls, name)
    given = np.asarray(texts.array.is_valid())
    found[~given] = pd.NaT
    unread = given & found.isna().to_numpy()
    problems = list(texts.problems)
    if unread.any():
        problems += _unread(values, unread, mapped, name)
    return found, problems


def _iso(value: date) -> str:
    return value.isoformat()


def _read(values: list[Any], written: str, timezone: str) -> pd.Series:
    """`values` read in one way, NaT where they are not written so."""
    if written in (UNIX_S, UNIX_MS):
        return _unix(values, 1 if written == UNIX_S else 1_000)
    texts = to_texts(values, (), "").array.to_pandas().astype(object)
    texts = texts.where(~texts.str.lower().isin(_CLOCK_WORDS).fillna(False), None)
    if written == ISO:
        texts = texts.where(texts.str.match(_ISO_LIKE).fillna(False).astype(bool), None)
        zoned = texts.str.contains(_OFFSET, regex=True).fillna(False).to_numpy(bool)
    else:
        zoned = np.full(len(texts), "%z" in written or "%Z" in written)
    form = "ISO8601" if written == ISO else written
    found = pd.Series(pd.NaT, index=texts.index, dtype=UTC)
    if zoned.any():
        found[zoned] = pd.to_datetime(texts[zoned], format=form, utc=True, errors="coerce").dt.as_unit("us")
    if (~zoned).any():
        naive = pd.to_datetime(texts[~zoned], format=form, errors="coerce")
        found[~zoned] = _localised(naive, timezone)
    return found


def _localised(naive: pd.Series, timezone: str) -> pd.Series:
    """Wall-clock times of a zone in UTC; of a doubled hour the first, of a skipped one the moment after it."""
    if timezone == "UTC":
        return naive.dt.tz_localize("UTC").dt.as_unit("us")
    first = np.ones(len(naive), bool)
    local = naive.dt.tz_localize(timezone, ambiguous=first, nonexistent="shift_forward")
    return local.dt.tz_convert("UTC").dt.as_unit("us")


def _unix(values: list[Any], per_second: int) -> pd.Series:
    seconds = to_floats(values) / per_second
    inside = np.isfinite(seconds) & (seconds > _FIRST_SECOND) & (seconds < _LAST_SECOND)
    micros = np.where(inside, np.round(np.where(inside, seconds, 0) * 1e6), np.iinfo(np.int64).min).astype(np.int64)
    return pd.Series(micros.view("datetime64[us]")).dt.tz_localize("UTC")


def _unread(values: Sequence[Any], unread: NDArray[np.bool_], mapped: Field, name: str) -> list[Problem]:
    """The problem of unreadable times, with a guess where numbers are of another unit."""
    written = " or ".join(mapped.formats)
    reason = f"{name} is not written as {written}; name its format under `format` in the mapping, or mend the value"
    numbers = np.isfinite(to_floats(values)) & unread
    if UNIX_S in mapped.formats:
        hint = f"{name} is too large for seconds since 1970; if it counts milliseconds, set `format: {UNIX_MS}`"
    elif UNIX_MS in mapped.formats:
        hint = reason
    else:
        hint = f"{name} is a number where {written} is expected; if it counts seconds or milliseconds since 1970, set "
        hint += f"`format: {UNIX_S}` or `format: {UNIX_MS}` in the mapping"
    found: list[Problem] = [("parse_time", numbers, hint), ("parse_time", unread & ~numbers, reason)]
    return [problem for problem in found if problem[1].any()]
