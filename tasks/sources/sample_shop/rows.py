"""The rows of `events.csv`: the events of a day as strings under the house's own column names."""

from __future__ import annotations

from datetime import date
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from tasks.schema import EVENTS, ITEM_ID, TEXT_KINDS, USER_ID
from tasks.sources.sample_shop.happenings import CHAT, KINDS, SEARCH, Happenings

Array = NDArray[Any]
Rows = dict[str, Array]
"""Columns of a day as they are written, by name: strings, None where empty, (n,) each."""

USER, ITEM = USER_ID.name, ITEM_ID.name
ID, KIND, RATING, TEXT, LANGUAGE, TIME = (
    EVENTS[name].name for name in ("event_id", "kind", "rating", "text", "language", "event_time")
)
COLUMNS = (ID, USER, ITEM, KIND, RATING, TEXT, LANGUAGE, TIME)
ACTS = tuple(kind for kind in KINDS if kind not in TEXT_KINDS)
_STARS = np.array([None, "1", "2", "3", "4", "5"], dtype=object)
_SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
_UNQUOTED = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")


def day_rows(events: Happenings, texts: Array, users: Array, items: Array, day: int, start: date) -> Rows:
    """The events of `day` as rows; users, items: ids by index. The language is left for the reader to detect."""
    n = len(events)
    aimless = (events.kind == CHAT) | (events.kind == SEARCH)
    times = np.datetime64(start, "s") + np.timedelta64(day, "D") + events.second.astype("timedelta64[s]")
    item_ids = items[events.item]
    item_ids[aimless] = None
    return {
        ID: event_ids(day, n),
        USER: users[events.user],
        ITEM: item_ids,
        KIND: np.array(KINDS, dtype=object)[events.kind],
        RATING: _STARS[events.stars],
        TEXT: texts,
        LANGUAGE: np.full(n, None, dtype=object),
        TIME: np.datetime_as_string(times, timezone="UTC").astype(object),
    }


def event_ids(day: int, n: int) -> Array:
    """Ids of the `n` events of `day`: the same in whatever window of days they are written."""
    return np.array([f"e{day:04d}-{at:06d}" for at in range(n)], dtype=object)


def write_header(out: BinaryIO) -> None:
    """Write the first line of the file."""
    out.write((",".join(COLUMNS) + "\n").encode())


def write_rows(rows: Rows, out: BinaryIO) -> None:
    """Append `rows` to an open binary file, in UTF-8, quoted where they must be."""
    table = pa.table([pa.array(rows[name], pa.string(), from_pandas=True) for name in COLUMNS], schema=_SCHEMA)
    pyarrow.csv.write_csv(table, out, _UNQUOTED)
