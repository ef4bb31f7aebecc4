"""The log of pushed events: a table in the registry's database, written before anything else is.

PostgreSQL answers a commit once it is on disk, so an event that was acknowledged survives whatever dies after it. An
event is kept once, under its id; a repeat changes nothing. Rows hold what people wrote: the checked event, never the
raw one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.postgresql import JSONB, insert

from tasks import schema
from tasks.columns import empty

_METADATA = sa.MetaData()
PUSHED = sa.Table(
    "penchant_pushed_events",
    _METADATA,
    sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("event", JSONB, nullable=False),
    sa.Column("encoder", sa.Text),
    sa.Column("vector", sa.LargeBinary),
    sa.Column("pushed_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
)
BATCH = "pushed"
"""`batch_id` of an event that no batch has brought yet."""
LOCK_SECONDS = 10
"""How long a push waits for another of the same user."""
_TAKE = sa.text(
    "SELECT set_config('lock_timeout', :wait, false), count(pg_advisory_lock(key))"
    " FROM unnest(CAST(:keys AS bigint[])) AS key"
)
_LET_GO = sa.text("SELECT pg_advisory_unlock_all(), set_config('lock_timeout', '0', false)")
_LOCKS = int.from_bytes(b"Push")
_ID, _USER, _TIME = schema.EVENTS["event_id"].name, schema.USER_ID.name, schema.EVENTS["event_time"].name
_HASH, _TEXT = schema.TEXT_HASH.name, schema.EVENTS["text"].name
CONTENT = tuple(name for name in schema.EVENTS.names if name not in (_HASH, "batch_id"))
"""Columns that make up an event; the others are computed from them."""


@dataclass(frozen=True)
class Logged:
    """Events of the log in order of time, those of one time in order of arrival."""

    events: pd.DataFrame
    """Rows of `schema.EVENTS`."""
    arrived: pd.DataFrame
    """Of each event, by the same index: `user_id`, `seq` and `pushed_at` by the database's clock."""
    vectors: Mapping[str, NDArray[np.float32]]
    """Vectors (d,) of their texts by text hash, in the encoder's space that was asked for; others are missing."""


def create(engine: sa.Engine) -> None:
    """Make the table where it is missing; any number of processes may do so at once."""
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCKS)))
        _METADATA.create_all(connection)


@contextmanager
def alone(engine: sa.Engine, users: Sequence[str]) -> Iterator[sa.Connection]:
    """Be the only one, in any process, to write for `users`; gives a connection that commits each statement.

    Users are told apart by 64 bits of a hash: two who share one only wait for each other. All take their locks in one
    order, so nobody waits in a circle, and a process that dies lets go of its own.
    """
    keys = sorted({int.from_bytes(hashlib.blake2b(u.encode(), digest_size=8).digest(), signed=True) for u in users})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            connection.execute(_TAKE, {"keys": keys, "wait": f"{LOCK_SECONDS}s"})
            yield connection
        finally:
            connection.execute(_LET_GO)


def append(
    connection: sa.Connection, event: Mapping[str, Any], encoder: str, vector: NDArray[np.float32] | None
) -> Literal["accepted", "repeated", "conflict"]:
    """Keep one checked event (a row of `schema.EVENTS`).

    An id that is there already is `repeated` where the content is the same, and a `conflict` where it is another.
    """
    content = _content(event)
    row = {
        "event_id": event[_ID],
        "user_id": event[_USER],
        "event": content,
        "encoder": None if vector is None else encoder,
        "vector": None if vector is None else vector.astype("<f4").tobytes(),
    }
    statement = insert(PUSHED).values(row).on_conflict_do_nothing(index_elements=["event_id"])
    if connection.execute(statement.returning(PUSHED.c.seq)).first():
        return "accepted"
    kept = connection.scalar(sa.select(PUSHED.c.event).where(PUSHED.c.event_id == event[_ID]))
    return "repeated" if _comparable(kept) == _comparable(content) else "conflict"


def of_users(connection: sa.Connection, users: Sequence[str], encoder: str) -> Logged:
    """Every event of `users`, with the vectors in the space of `encoder`."""
    statement = sa.select(PUSHED).where(PUSHED.c.user_id.in_(users)).order_by(PUSHED.c.seq)
    rows = connection.execute(statement).all()
    events = frame_of([row.event for row in rows])
    found = zip(events[_HASH], rows, strict=True)
    vectors = {h: np.frombuffer(row.vector, "<f4") for h, row in found if row.encoder == encoder and row.vector}
    arrived = pd.DataFrame([(r.user_id, r.seq, r.pushed_at) for r in rows], columns=[_USER, "seq", "pushed_at"])
    return Logged(events.sort_values(_TIME, kind="stable"), arrived, vectors)


def users_between(engine: sa.Engine, after: int, through: int) -> list[str]:
    """Users with an event of sequence number above `after` and at most `through`, in order."""
    between = (PUSHED.c.seq > after) & (PUSHED.c.seq <= through)
    with engine.connect() as connection:
        return list(
            connection.scalars(sa.select(PUSHED.c.user_id).where(between).distinct().order_by(PUSHED.c.user_id))
        )


def newest(engine: sa.Engine) -> int:
    """The highest sequence number, 0 where there is none; no event that is being kept now will have a lower one."""
    with engine.begin() as connection:
        connection.execute(sa.text(f"LOCK TABLE {PUSHED.name} IN SHARE MODE"))  # waits for what is being inserted
        return int(connection.scalar(sa.select(sa.func.max(PUSHED.c.seq))) or 0)


def newest_until(engine: sa.Engine, after: int, latest: datetime) -> int:
    """The highest sequence number before that of the first event above `after` that happened later than `latest`."""
    through = newest(engine)
    happened = sa.cast(PUSHED.c.event[_TIME].astext, sa.TIMESTAMP(timezone=True))
    with engine.connect() as connection:
        first = connection.scalar(sa.select(sa.func.min(PUSHED.c.seq)).where(PUSHED.c.seq > after, happened > latest))
    return through if first is None else min(through, int(first) - 1)


def between(engine: sa.Engine, after: int, through: int) -> Iterator[str]:
    """Events as JSON lines in the columns of `schema.EVENTS`, in order of arrival, a thousand at a time in memory."""
    wanted = (PUSHED.c.seq > after) & (PUSHED.c.seq <= through)
    statement = sa.select(PUSHED.c.event).where(wanted).order_by(PUSHED.c.seq)
    with engine.connect().execution_options(yield_per=1_000) as connection:
        for event in connection.scalars(statement):
            yield json.dumps(event, ensure_ascii=False)


def blocks(engine: sa.Engine) -> Iterator[tuple[list[int], pd.DataFrame]]:
    """The whole log, a thousand events at a time: sequence numbers and rows of `schema.EVENTS`."""
    after = 0
    while True:
        statement = sa.select(PUSHED.c.seq, PUSHED.c.event).where(PUSHED.c.seq > after).order_by(PUSHED.c.seq)
        with engine.connect() as connection:
            rows = connection.execute(statement.limit(1_000)).all()
        if not rows:
            return
        after = rows[-1].seq
        yield [row.seq for row in rows], frame_of([row.event for row in rows])


def remove(connection: sa.Connection, *, users: Sequence[str] = (), events: Sequence[int] = ()) -> int:
    """Erase the events of `users` and those with the sequence numbers `events`; gives how many there were."""
    statement = sa.delete(PUSHED).where(PUSHED.c.user_id.in_(users) | PUSHED.c.seq.in_(events))
    return int(connection.execute(statement).rowcount)


def frame_of(contents: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Contents of events as rows of `schema.EVENTS`."""
    from tasks.text import text_hash

    if not contents:
        return empty(schema.EVENTS)
    frame = pd.DataFrame(contents, columns=list(CONTENT))
    frame[_TIME] = pd.to_datetime(frame[_TIME], utc=True, format="ISO8601").dt.as_unit("us")
    frame["rating"] = frame["rating"].astype(np.float32)
    frame[_HASH] = pd.Series([text_hash(t) if isinstance(t, str) else None for t in frame[_TEXT]], dtype=object)
    return frame.assign(batch_id=BATCH)[list(schema.EVENTS.names)]


def _content(event: Mapping[str, Any]) -> dict[str, Any]:
    """What makes up the event, as JSON values."""
    plain = {name: None if pd.isna(event[name]) else event[name] for name in CONTENT}
    rating = plain["rating"]
    return {**plain, "rating": None if rating is None else float(rating), _TIME: event[_TIME].isoformat()}


def _comparable(content: Mapping[str, Any] | None) -> dict[str, Any]:
    """The content but for the language: a better detector must not turn a repeat into a conflict."""
    return {name: value for name, value in (content or {}).items() if name != "language"}
