"""The record of releases, kept beside Feast's registry: which there are, which is live, who switched when.

It lies in the registry's own database so that a switch and its record are one transaction.
"""

from __future__ import annotations

import difflib
import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from tasks.errors import ReleaseError
from tasks.releases.manifest import Manifest

Action = Literal["publish", "roll back"]
LOCK = int.from_bytes(b"Penchant")
"""Key of the advisory lock that a publisher holds; a process that dies lets go of it."""
_METADATA = sa.MetaData()
RELEASES = sa.Table(
    "penchant_releases",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("manifest", JSONB, nullable=False),
    sa.Column("staged_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Column("verified_at", sa.TIMESTAMP(timezone=True)),
    sa.Column("retired_at", sa.TIMESTAMP(timezone=True)),
    sa.Column("removed_at", sa.TIMESTAMP(timezone=True)),
)
SWITCHES = sa.Table(
    "penchant_switches",
    _METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("previous", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
)
ORIGINS = sa.Table(
    "penchant_origins",
    _METADATA,
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("block", sa.Text, primary_key=True),
    sa.Column("base", sa.Text, nullable=False),
    sa.Column("parent", sa.Text),
)
_held: ContextVar[frozenset[str]] = ContextVar("penchant_held", default=frozenset())


@dataclass(frozen=True)
class Release:
    """One release as the record has it."""

    manifest: Manifest
    staged_at: datetime
    verified_at: datetime | None
    retired_at: datetime | None
    live: bool
    ever_live: bool

    @property
    def name(self) -> str:
        """The release's name."""
        return self.manifest.name


@dataclass(frozen=True)
class Switch:
    """One change of the live release: from which to which, by whom, when."""

    release: str
    previous: str | None
    action: Action
    by: str
    at: datetime


@dataclass(frozen=True)
class Origin:
    """Where a release takes rows of one table from that it does not write itself."""

    base: str
    """Release whose rows it shares; itself where it shares none."""
    parent: str | None = None
    """Release whose rows it copies inside the store."""
    parent_base: str | None = None
    parent_as_of: datetime | None = None


def create(engine: sa.Engine) -> None:
    """Make the record's tables where they are missing; any number of processes may do so at once."""
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK + 1)))
        _METADATA.create_all(connection)


def live_name(connection: sa.Connection) -> str | None:
    """Name of the live release, or None before the first."""
    name: str | None = connection.scalar(sa.select(SWITCHES.c.release).order_by(SWITCHES.c.id.desc()).limit(1))
    return name


def record(connection: sa.Connection, release: str, action: Action, by: str) -> None:
    """Write down that `release` is live from now on."""
    row = {"release": release, "previous": live_name(connection), "action": action, "by": by}
    connection.execute(sa.insert(SWITCHES).values(row))


def all_releases(connection: sa.Connection) -> list[Release]:
    """All releases that were ever staged, newest first, retired ones included."""
    live = live_name(connection)
    ever = set(connection.scalars(sa.select(SWITCHES.c.release)))
    rows = connection.execute(sa.select(RELEASES).order_by(RELEASES.c.staged_at.desc(), RELEASES.c.name)).mappings()
    return [
        Release(
            Manifest.from_json(row["manifest"]),
            row["staged_at"],
            row["verified_at"],
            row["retired_at"],
            live=row["name"] == live,
            ever_live=row["name"] in ever,
        )
        for row in rows
    ]


def switches(connection: sa.Connection) -> list[Switch]:
    """Every change of the live release, newest first."""
    columns = (SWITCHES.c[name] for name in Switch.__dataclass_fields__)
    rows = connection.execute(sa.select(*columns).order_by(SWITCHES.c.id.desc())).mappings()
    return [Switch(**row) for row in rows]


def origins(connection: sa.Connection, release: str) -> dict[str, Origin]:
    """By name of table, where `release` takes its rows from; empty where it is not laid out."""
    rows = connection.execute(sa.select(ORIGINS).where(ORIGINS.c.release == release)).mappings().all()
    found = {}
    for row in rows:
        of_parent = (ORIGINS.c.release == row["parent"]) & (ORIGINS.c.block == row["block"])
        parent_base = connection.scalar(sa.select(ORIGINS.c.base).where(of_parent))
        kept = connection.scalar(sa.select(RELEASES.c.manifest).where(RELEASES.c.name == row["parent"]))
        as_of = Manifest.from_json(kept).as_of if kept else None
        found[row["block"]] = Origin(row["base"], row["parent"], parent_base, as_of)
    return found


def laid_out(connection: sa.Connection, release: str) -> bool:
    """Whether there is a place for the rows of `release`."""
    return bool(connection.scalar(sa.select(sa.exists().where(ORIGINS.c.release == release))))


def originate(connection: sa.Connection, release: str, block: str, origin: Origin) -> None:
    """Write down where a release takes the rows of a table from."""
    row = {"release": release, "block": block, "base": origin.base, "parent": origin.parent}
    connection.execute(sa.insert(ORIGINS).values(row))


def forget_origins(connection: sa.Connection, release: str) -> None:
    """Strike out what `originate` wrote down of a release."""
    connection.execute(sa.delete(ORIGINS).where(ORIGINS.c.release == release))


def shared(connection: sa.Connection, base: str, block: str) -> bool:
    """Whether any release takes rows of table `block` from release `base`."""
    where = (ORIGINS.c.base == base) & (ORIGINS.c.block == block)
    return bool(connection.scalar(sa.select(sa.exists().where(where))))


def stage(connection: sa.Connection, manifest: Manifest) -> bool:
    """Write a release down before its rows are written; returns whether other rows of it may be online already.

    A release whose rows changed must be verified again. Raises `ReleaseError` where it is live: a live release is
    never changed.
    """
    row = connection.execute(sa.select(RELEASES).where(RELEASES.c.name == manifest.name)).mappings().first()
    same = row is not None and Manifest.from_json(row["manifest"]).blocks == manifest.blocks and not row["retired_at"]
    if row is not None and not same and live_name(connection) == manifest.name:
        raise ReleaseError(
            f"release {manifest.name} is live with other rows, and a live release is never changed; "
            "publish the new rows under the name that their content gives them"
        )
    verified = row["verified_at"] if row is not None and same else None
    values = {"manifest": manifest.to_json(), "verified_at": verified, "retired_at": None, "removed_at": None}
    statement = insert(RELEASES).values(name=manifest.name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[RELEASES.c.name], set_=values))
    return row is not None and not same


def mark(
    connection: sa.Connection, name: str, column: Literal["staged_at", "verified_at", "retired_at", "removed_at"]
) -> None:
    """Write down that something happened to a release, at the database's own time."""
    now = sa.func.clock_timestamp()
    connection.execute(sa.update(RELEASES).where(RELEASES.c.name == name).values({column: now}))


def seconds_since(connection: sa.Connection, name: str, column: str) -> float:
    """Seconds since something happened to a release, by the database's clock."""
    age = sa.func.extract("epoch", sa.func.clock_timestamp() - RELEASES.c[column])
    return float(connection.scalar(sa.select(age).where(RELEASES.c.name == name)) or 0)


def seconds_since_switch(connection: sa.Connection) -> float:
    """Seconds since the live release last changed, by the database's clock; 0 where it never did."""
    age = sa.func.extract("epoch", sa.func.clock_timestamp() - sa.func.max(SWITCHES.c.at))
    return float(connection.scalar(sa.select(age)) or 0)


def half_removed(connection: sa.Connection) -> list[str]:
    """Names of the retired releases whose views, rows or files may still be there."""
    where = RELEASES.c.retired_at.is_not(None) & RELEASES.c.removed_at.is_(None)
    return list(connection.scalars(sa.select(RELEASES.c.name).where(where).order_by(RELEASES.c.name)))


def find(connection: sa.Connection, name: str) -> Release:
    """The release called `name`, neither retired nor unknown; raises `ReleaseError` with the nearest name."""
    known = {release.name: release for release in all_releases(connection)}
    if name not in known:
        there = [n for n, release in known.items() if not release.retired_at]
        close = difflib.get_close_matches(name, there, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(there) or 'none yet'}"
        raise ReleaseError(f"there is no release {name!r}; {hint}")
    if retired := known[name].retired_at:
        raise ReleaseError(f"release {name} was retired at {retired:%Y-%m-%d %H:%M} UTC; publish it again to use it")
    return known[name]


@contextmanager
def alone(engine: sa.Engine, doing: str, by: str) -> Iterator[None]:
    """Be the only publisher on this store; raises `ReleaseError` with who the other one is and since when.

    May be nested within one process. The lock belongs to a connection of its own: a process that dies lets go of it.
    """
    key = str(engine.url)
    if key in _held.get():
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LOCK))):
            raise ReleaseError(f"{_holder(connection)}; wait for it to end and run again. Nothing was changed")
        name = f"penchant {doing} by {by}".encode("ascii", "replace").decode()[:63]
        connection.execute(sa.select(sa.func.set_config("application_name", name, False)))
        token = _held.set(_held.get() | {key})
        try:
            yield
        finally:
            _held.reset(token)
            connection.execute(sa.select(sa.func.set_config("application_name", "", False)))
            connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK)))


def whoami() -> str:
    """This user, machine and process, for the record."""
    return f"{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"


def _holder(connection: sa.Connection) -> str:
    """Who holds the publisher's lock, in words."""
    statement = sa.text(
        "SELECT a.application_name, a.query_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND (l.classid::bigint << 32 | l.objid::bigint) = :key"
    )
    row: Any = connection.execute(statement, {"key": LOCK}).first()
    if row is None:
        return "another publisher was at work a moment ago"
    return f"another publisher is at work: {row[0] or 'unnamed'}, since {row[1]:%Y-%m-%d %H:%M:%S} UTC"
