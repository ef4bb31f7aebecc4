"""What a release knows of each user, laid out so that one user is found in microseconds and nothing is held in memory.

The scoring job writes it once per release; it is read through memory maps: uncompressed Arrow files, users in order
of id, their events in one piece each. On disk a user takes 8 (w + d) + 4 t bytes (state width w, vector length d,
topics t; 4.2 kB as shipped) and an event some 110.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tasks import schema

if TYPE_CHECKING:
    from tasks.embeddings.sequence import State
    from tasks.interests.running import Running, Space
    from tasks.quality.online import Known

LIVE_BASE = "live_base"
USERS_FILE, EVENTS_FILE, KEYS_FILE, CONTENTS_FILE = "users.arrow", "events.arrow", "keys.npy", "contents.npy"
_USER, _TIME = schema.USER_ID.name, schema.EVENTS["event_time"].name
KEPT = ("item_id", "kind", "rating", "text_hash", "language", "event_time")
"""Columns of `schema.EVENTS` that scores, states and activity are computed from."""
BLOCK = 5_000
"""Users written at a time: some 25 MB."""


@dataclass(frozen=True)
class People:
    """What is known of n users: events in order of user and time, LSTM state, decayed means, topic mixes."""

    users: list[str]
    events: pd.DataFrame
    """`user_id` and the columns `KEPT`."""
    state: State
    long: Running
    short: Running
    topics: NDArray[np.float32]
    """(n, t), NaN where nothing is known."""


def write_base(
    folder: Path,
    events: pd.DataFrame,
    users: Sequence[str],
    state: State,
    topics: NDArray[np.float32],
    space: Space,
    half_lives: tuple[float, float],
) -> None:
    """Write the users (n,), in order of id, with their `events` (`schema.EVENTS`, in order of time).

    state, topics: (n, …) of the users. half_lives: days, of long- and short-term interest.
    """
    from tasks.quality import Seen

    places = pd.Index(users).get_indexer(events[_USER])
    order = np.argsort(places, kind="stable")
    places, sorted_events = places[order], events.iloc[order]
    bounds = np.searchsorted(places, np.arange(len(users) + 1))
    with (
        pa.OSFile(str(folder / USERS_FILE), "wb") as user_file,
        pa.ipc.new_file(user_file, _users_schema(state.h.shape[1], space.said.shape[1], topics.shape[1])) as people,
        pa.OSFile(str(folder / EVENTS_FILE), "wb") as event_file,
        pa.ipc.new_file(event_file, _events_schema()) as happened,
    ):
        for start in range(0, len(users), BLOCK):
            stop = min(start + BLOCK, len(users))
            rows = slice(bounds[start], bounds[stop])
            block = sorted_events.iloc[rows]
            people.write(
                _people(users[start:stop], bounds[start : stop + 1], places[rows] - start, block, space, half_lives,
                        state, topics, slice(start, stop))
            )  # fmt: skip
            happened.write(pa.RecordBatch.from_pandas(block[list(KEPT)], _events_schema(), preserve_index=False))
    keys, contents = Seen.of([events], schema.EVENTS).merged()
    np.save(folder / KEYS_FILE, keys)
    np.save(folder / CONTENTS_FILE, contents)


class Base:
    """The users of one release, read where they lie."""

    def __init__(self, folder: Path) -> None:
        from tasks.quality.online import Known

        self._users: pa.Table = _mapped(folder / USERS_FILE)
        self._events: pa.Table = _mapped(folder / EVENTS_FILE)
        self.width: int = self._users.schema.field("h").type.list_size
        self.topics: int = self._users.schema.field("topics").type.list_size
        self.vector: int = self._users.schema.field("long").type.list_size
        keys, contents = (np.load(folder / name, mmap_mode="r") for name in (KEYS_FILE, CONTENTS_FILE))
        self.known: Known = Known(keys, contents)

    def find(self, user: str) -> int:
        """Place of `user`, −1 where the release does not know them; a binary search in the mapped file."""
        column, low, high = self._users[_USER], 0, self._users.num_rows
        while low < high:
            middle = (low + high) // 2
            if column[middle].as_py() < user:
                low = middle + 1
            else:
                high = middle
        return low if low < len(column) and column[low].as_py() == user else -1

    def people(self, users: Sequence[str]) -> People:
        """What is known of `users`; nobody's state, means and history are those of the beginning."""
        from tasks.embeddings.sequence import State
        from tasks.interests.running import Running

        n = len(users)
        state = State.start(n, self.width)
        long, short = Running.start(n, self.vector), Running.start(n, self.vector)
        topics = np.full((n, self.topics), np.nan, np.float32)
        slices = []
        for row, user in enumerate(users):
            place = self.find(user)
            if place < 0:
                continue
            one = {name: self._users[name][place] for name in self._users.column_names}
            state.h[row], state.c[row] = _numbers(one["h"]), _numbers(one["c"])
            state.seconds[row] = one["seconds"].as_py()
            for running, name in ((long, "long"), (short, "short")):
                running.means[row], running.weights[row] = _numbers(one[name]), one[f"{name}_weight"].as_py()
                running.latest[row] = one["latest"].as_py()
            topics[row] = _numbers(one["topics"])
            happened = self._events.slice(one["first"].as_py(), one["events"].as_py())
            slices.append(happened.append_column(_USER, pa.array([user] * happened.num_rows, pa.string())))
        events = pa.concat_tables(slices) if slices else self._none()
        return People(list(users), events.to_pandas(), state, long, short, topics)

    def _none(self) -> pa.Table:
        return self._events.slice(0, 0).append_column(_USER, pa.array([], pa.string()))


def _people(
    users: Sequence[str], bounds: NDArray[np.int64], rows: NDArray[np.int64], events: pd.DataFrame, space: Space,
    half_lives: tuple[float, float], state: State, topics: NDArray[np.float32], block: slice,
) -> pa.RecordBatch:  # fmt: skip
    from tasks.interests.running import Running, carried_on

    nobody = Running.start(len(users), space.said.shape[1])
    long, short = (carried_on(nobody, rows, events, space, half_life_days=days) for days in half_lives)
    columns: dict[str, Any] = {
        _USER: pa.array(users, pa.string()),
        "first": bounds[:-1],
        "events": np.diff(bounds),
        "latest": long.latest,
        "seconds": state.seconds[block],
        "h": _lists(state.h[block]),
        "c": _lists(state.c[block]),
        "long": _lists(long.means),
        "long_weight": long.weights,
        "short": _lists(short.means),
        "short_weight": short.weights,
        "topics": _lists(topics[block]),
    }
    return pa.RecordBatch.from_pydict(
        columns, schema=_users_schema(state.h.shape[1], space.said.shape[1], topics.shape[1])
    )


def _users_schema(width: int, vector: int, topics: int) -> pa.Schema:
    whole, real = pa.int64(), pa.float64()
    fields = [(_USER, pa.string()), *((name, whole) for name in ("first", "events", "latest", "seconds"))]
    fields += [(name, pa.list_(pa.float32(), width)) for name in ("h", "c")]
    for name in ("long", "short"):
        fields += [(name, pa.list_(pa.float32(), vector)), (f"{name}_weight", real)]
    return pa.schema([*fields, ("topics", pa.list_(pa.float32(), topics))])


def _events_schema() -> pa.Schema:
    return pa.schema([schema.EVENTS[name].arrow for name in KEPT])


def _lists(matrix: NDArray[np.float32]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(matrix, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])


def _numbers(scalar: Any) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = scalar.values.to_numpy(zero_copy_only=False)
    return numbers


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
