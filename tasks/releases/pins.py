"""Pins: releases that are never retired, whatever their age, until someone takes the pin away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from feast import FeatureStore
from sqlalchemy.dialects.postgresql import insert

from tasks.errors import ReleaseError
from tasks.releases import ledger
from tasks.releases.publishing import publishing
from tasks.releases.stores import engine_of, reaching

_METADATA = sa.MetaData()
PINS = sa.Table(
    "penchant_pins",
    _METADATA,
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
)


@dataclass(frozen=True)
class Pin:
    """Which release is kept, by whom and since when."""

    release: str
    by: str
    at: datetime


def pin(store: FeatureStore, name: str, *, by: str = "") -> None:
    """Keep a release from being retired; safe to repeat. Raises `ReleaseError` where it is unknown or retired."""
    with publishing(store, f"pin {name}", by=by), engine_of(store).begin() as connection:
        ledger.find(connection, name)
        _METADATA.create_all(connection)
        row = insert(PINS).values(release=name, by=by or ledger.whoami())
        connection.execute(row.on_conflict_do_nothing())


def unpin(store: FeatureStore, name: str, *, by: str = "") -> None:
    """Let a release be retired in its turn; raises `ReleaseError` where it is not pinned."""
    with publishing(store, f"unpin {name}", by=by), engine_of(store).begin() as connection:
        _METADATA.create_all(connection)
        if not connection.execute(sa.delete(PINS).where(PINS.c.release == name)).rowcount:
            there = connection.scalars(sa.select(PINS.c.release).order_by(PINS.c.release)).all()
            raise ReleaseError(f"release {name!r} is not pinned; pinned are {', '.join(there) or 'none'}")


def pins(store: FeatureStore) -> list[Pin]:
    """Every pin, newest first."""
    with reaching("the registry"), engine_of(store).connect() as connection:
        if not sa.inspect(connection).has_table(PINS.name):
            return []
        rows = connection.execute(sa.select(PINS).order_by(PINS.c.at.desc(), PINS.c.release)).mappings()
        return [Pin(**row) for row in rows]
