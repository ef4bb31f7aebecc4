"""What is measured in each row: one number per row and rule, computed a column at a time.

A measurement is a flag (True where something is wrong) or a number, NaN where there is nothing to measure. It never
holds text, so whatever judges, stores or prints measurements cannot show what somebody wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.quality.chunk import TEXT, Chunk
from tasks.schema import EVENTS, ITEM_ID

Numbers = NDArray[Any]
KIND = EVENTS["kind"].name


@dataclass(frozen=True)
class Reading:
    """A chunk and what its rows are held against; known_items: ids that exist, None where nobody knows."""

    chunk: Chunk
    as_of: datetime
    known_items: pd.Index | None = None


Measure = Callable[[Reading], Numbers]


def outside(values: Numbers, minimum: float | None, maximum: float | None) -> NDArray[np.bool_]:
    """Which measurements lie below `minimum` or above `maximum`; NaN never does."""
    mask = np.zeros(len(values), dtype=bool)
    if minimum is not None:
        mask |= values < minimum
    if maximum is not None:
        mask |= values > maximum
    return mask


def absent(name: str) -> Measure:
    """Null or blank."""
    return lambda reading: np.asarray(pc.is_null(reading.chunk.columns[name]))


def length(name: str) -> Measure:
    """Characters, of prose after normalising."""
    return lambda reading: _floats(pc.utf8_length(reading.chunk.columns[name]))


def number(name: str) -> Measure:
    """The number itself."""
    return lambda reading: _floats(reading.chunk.columns[name])


def epoch_seconds(name: str) -> Measure:
    """Seconds from 1970 to the time."""
    return lambda reading: _seconds(reading.chunk.columns[name])


def hours_after_as_of(name: str) -> Measure:
    """Hours from as_of to the time; negative for the past."""
    return lambda reading: (_seconds(reading.chunk.columns[name]) - reading.as_of.timestamp()) / 3600


def unlisted(name: str, allowed: tuple[str, ...]) -> Measure:
    """Filled, but with no allowed value."""
    return lambda reading: _filled_but(reading.chunk.columns[name], _one_of(reading.chunk.columns[name], allowed))


def damage(name: str) -> Measure:
    """Read with the wrong encoding, or with characters that no text holds."""
    return lambda reading: reading.chunk.strings[name].damage


def silent(kinds: tuple[str, ...]) -> Measure:
    """Events of `kinds` without text."""
    return without(TEXT, kinds)


def without(name: str, kinds: tuple[str, ...]) -> Measure:
    """Events of `kinds` with no value in a column."""
    return lambda reading: (
        np.asarray(pc.is_null(reading.chunk.columns[name])) & _one_of(reading.chunk.columns[KIND], kinds)
    )


def foreign_item() -> Measure:
    """Items that are not among the known ones; nothing where the known ones are not known."""

    def measure(reading: Reading) -> Numbers:
        values = reading.chunk.columns[ITEM_ID.name]
        if reading.known_items is None:
            return np.zeros(len(values), dtype=bool)
        places = reading.known_items.get_indexer(values.to_numpy(zero_copy_only=False))
        return _filled_but(values, places >= 0)

    return measure


def unreadable() -> Measure:
    """Values of the row that the source could not read."""

    def measure(reading: Reading) -> Numbers:
        return np.bincount(reading.chunk.problems["offset"].astype(int), minlength=len(reading.chunk)).astype(float)

    return measure


def _floats(values: pa.Array) -> Numbers:
    floats: Numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return floats


def _seconds(times: pa.Array) -> Numbers:
    return _floats(times.cast(pa.int64())) / 1e6


def _one_of(values: pa.Array, allowed: tuple[str, ...]) -> NDArray[np.bool_]:
    return np.asarray(pc.is_in(values, value_set=pa.array(allowed, type=values.type)))


def _filled_but(values: pa.Array, allowed: NDArray[np.bool_]) -> Numbers:
    filled: NDArray[np.bool_] = np.asarray(pc.is_valid(values))
    return filled & ~allowed
