"""Rows into PostgreSQL: binary COPY of whole batches, rows carried over inside the server, rows pushed over a release.

The bytes of a batch are put together in Arrow (see `encoding`) and handed to COPY as they lie. Every batch is a
transaction that first deletes its keys, so a write that was killed is done again by running it again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from psycopg import Connection, sql

from tasks import schema
from tasks.columns import Table
from tasks.releases import encoding, groups
from tasks.releases.changes import Changes
from tasks.releases.ledger import Origin
from tasks.releases.offline import ROW_GROUP, read_rows

SIGNATURE, TRAILER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0), struct.pack(">h", -1)
"""https://www.postgresql.org/docs/current/sql-copy.html, under "Binary Format"."""
TRUE = b"\1"


def driver_of(connection: sa.Connection) -> Connection:
    """The same connection, and so the same transaction, in psycopg's own words."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, Connection):
        raise TypeError("the registry's engine does not use psycopg 3; open the store with `open_store`")
    return driver


@contextmanager
def connected(engine: sa.Engine) -> Iterator[Connection]:
    """One transaction."""
    with engine.begin() as connection:
        yield driver_of(connection)


def write(engine: sa.Engine, release: str, table: Table, path: Path, plan: Changes, origin: Origin) -> int:
    """Bring the rows of `plan` online: what the parent has by copying inside the server, the rest from `path`.

    Each batch is a transaction of its own. Takes off what was pushed over the table. Gives the rows that were sent.
    """
    whole, own = origin.base == release, groups.own_table(release, table)
    into = groups.base_table(release, table) if whole else own
    with engine.connect() as held:
        connection = driver_of(held)
        with connection.transaction():
            connection.execute(sql.SQL("DELETE FROM {} WHERE event_ts IS NOT NULL").format(sql.Identifier(own)))
            begun = connection.execute(sql.SQL("SELECT true FROM {} LIMIT 1").format(sql.Identifier(into))).fetchone()
        written = plan.written | _not_carried(connection, table, into, plan, origin)
        for batch in read_rows(path, written):
            keys = encoding.entity_keys(batch[table.key[0]], table.key[0])
            values = [encoding.encode(batch[column.name], column) for column in table.features]
            with connection.transaction():
                if begun:
                    _delete(connection, into, keys)
                copy(connection, into, groups.columns(table), [keys, *values])
        with connection.transaction():
            if not whole:
                keys = encoding.entity_keys(plan.gone, table.key[0])
                _delete(connection, into, keys)
                copy(connection, into, sql.SQL("entity_key, gone"), [keys, pa.array([TRUE] * len(keys), pa.binary())])
            # so that the planner knows how small the release's own table is
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(into)))
    return int(written.sum())


def copy(connection: Connection, into: str, names: sql.Composable, columns: Sequence[pa.BinaryArray]) -> None:
    """Add rows to a table by one COPY; `columns` hold the bytes of each value as PostgreSQL sends and takes them."""
    if len(columns[0]):
        stream(connection, into, names, copied(columns))


def copied(columns: Sequence[pa.BinaryArray]) -> pa.BinaryArray:
    """Rows in the format of a binary COPY: the number of values, then each after its length."""
    parts: list[pa.Array | pa.Scalar] = [pa.scalar(struct.pack(">h", len(columns)), pa.binary())]
    for column in columns:
        parts += [encoding.headers(encoding.lengths(column), lambda size: struct.pack(">i", size)), column]
    return encoding.join(*parts)


def stream(connection: Connection, into: str, names: sql.Composable, rows: pa.BinaryArray) -> None:
    """Send what `copied` gave."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(into), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copying:
        copying.write(SIGNATURE)
        copying.write(encoding.stream(rows))
        copying.write(TRAILER)


def push(connection: Connection, release: str, as_of: datetime, table: Table, batch: pa.RecordBatch) -> int:
    """Put rows over a live release, each where it is newer than what is there; gives how many were."""
    keys = encoding.entity_keys(batch[table.key[0]], table.key[0]).to_pylist()
    values = [encoding.encode(batch[column.name], column).to_pylist() for column in table.features]
    times = batch[schema.AS_OF.name].to_pylist()
    rows = [(*row, as_of) for row in zip(keys, *values, times, strict=True) if row[-1] > as_of]
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(groups.push(table, groups.own_table(release, table)), rows)
        return cursor.rowcount


def _not_carried(connection: Connection, table: Table, into: str, plan: Changes, origin: Origin) -> np.ndarray:
    """Copy the rows that the parent has; gives those that it turned out not to have, `(n,)`."""
    left = plan.carried.copy()
    rows = np.flatnonzero(left)
    if not len(rows) or origin.parent is None:
        return left
    own = groups.own_table(origin.parent, table)
    base = None if origin.parent_base in (None, origin.base) else groups.base_table(origin.parent_base or "", table)
    statement = groups.carry(table, into=into, own=own, base=base)
    for start in range(0, len(rows), ROW_GROUP):
        here = rows[start : start + ROW_GROUP]
        keys = encoding.entity_keys(plan.keys.take(pa.array(here)), table.key[0])
        with connection.transaction():
            if not groups.exists(connection, own) or (base and not groups.exists(connection, base)):
                return left  # the parent was retired meanwhile
            _delete(connection, into, keys)
            done = {row[0] for row in connection.execute(statement, {"keys": keys.to_pylist()})}
        left[here] = [key not in done for key in keys.to_pylist()]
    return left


def _delete(connection: Connection, into: str, keys: pa.BinaryArray) -> None:
    connection.execute(
        sql.SQL("DELETE FROM {} WHERE entity_key = ANY(%s)").format(sql.Identifier(into)), [keys.to_pylist()]
    )
