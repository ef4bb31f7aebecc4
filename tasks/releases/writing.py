"""Writing a release's rows online, and no more of them than have changed; rows pushed over the live one.

Where a release takes unchanged rows from is settled when it is laid out, from the digests in the offline files. In
PostgreSQL it shares the rows of a **base** and keeps those that differ beside it (see `groups`); it becomes a base
itself when more than `COMPACT` of its rows would differ. In Redis nothing can be shared, and the server copies. Rows
that its parent, the live release, has already are never sent again. See docs/adr/0006.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pandas as pd
import redis
from feast import FeatureStore

from tasks import schema
from tasks.columns import Table, to_arrow
from tasks.errors import ReleaseError
from tasks.releases import groups, ledger, writing_postgres, writing_redis
from tasks.releases.changes import base_path, changes, forget_base, keep_base
from tasks.releases.ledger import Origin
from tasks.releases.locating import redis_options
from tasks.releases.manifest import Manifest, served
from tasks.releases.offline import checked, offline_path
from tasks.releases.stores import engine_of, home_of, reaching

COMPACT = 0.25
"""Part of a release's rows that may lie beside its base before it becomes a base: what a read of a base's row pays to
look past them does not depend on it, the disk that every kept release takes does."""


def lay_out(store: FeatureStore, manifest: Manifest, *, afresh: bool = False) -> None:
    """Settle where the release's rows lie and make what holds them; nothing where that is done, unless `afresh`."""
    engine = engine_of(store)
    with engine.connect() as connection:
        known = ledger.origins(connection, manifest.name)
        live = ledger.live_name(connection)
        parent = ledger.find(connection, live).manifest if live and live != manifest.name else None
        of_parent = ledger.origins(connection, parent.name) if parent and parent.schema == manifest.schema else {}
    if len(known) == len(schema.SERVED) and not afresh:
        return
    if known or afresh:
        remove(store, manifest.name)
    origins = {table: _origin(store, manifest, table, parent, of_parent.get(table.name)) for table in schema.SERVED}
    with engine.begin() as connection:
        for table, origin in origins.items():
            ledger.originate(connection, manifest.name, table.name, origin)
            if _in_postgres(store):
                driver = writing_postgres.driver_of(connection)
                groups.drop(driver, manifest.name, table, base=origin.base == manifest.name)
                groups.create(driver, manifest, table, origin.base)


def write_shard(store: FeatureStore, manifest: Manifest, table: Table, *, shard: int = 0, shards: int = 1) -> int:
    """Write what has changed of one shard; gives the shard's rows, unchanged ones counted in. Safe to repeat.

    A live release is left as it is. Raises `ReleaseError` where the release is not laid out.
    """
    engine = engine_of(store)
    with engine.connect() as connection:
        origin = ledger.origins(connection, manifest.name).get(table.name)
        live = ledger.live_name(connection)
        if origin is None:
            ledger.find(connection, manifest.name)
            raise ReleaseError(f"release {manifest.name} has no place for {table.name}; apply its views first")
    home = home_of(store)
    path = offline_path(home, manifest.name, table)
    base = base_path(home, origin.base, table) if origin.base != manifest.name else None
    parent = offline_path(home, origin.parent, table) if origin.parent else None
    plan = changes(path, base=base, parent=parent, shard=shard, shards=shards)
    if live != manifest.name:
        if _in_postgres(store):
            writing_postgres.write(engine, manifest.name, table, path, plan, origin)
        else:
            writing_redis.write(redis_of(store), manifest, table, path, plan, origin)
    return int(plan.mine.sum())


def write_rows(store: FeatureStore, manifest: Manifest, frames: Mapping[str, pd.DataFrame]) -> int:
    """Put newer rows over those of a release, in all tables or in none; gives how many were newer.

    `frames`: by name of served table, frames of its columns, in which `as_of` is the row's own event time. A row that
    is not newer than the one there, or than the release, is left out. The next release starts from its own rows:
    what was pushed is in it only where its offline rows have it, or where it is pushed over it in turn; a release need
    not be live for that. Raises `ReleaseError` where the release is not laid out or a value is one that a store would
    change, `SchemaError` for wrong columns.
    """
    rows = []
    for name, frame in frames.items():
        table = served(name)
        arrow = checked(to_arrow(frame.sort_values(schema.AS_OF.name), table), table)
        rows += [(table, batch) for batch in arrow.combine_chunks().to_batches()]
    with reaching("the online store"), engine_of(store).begin() as connection:
        if not ledger.laid_out(connection, manifest.name):
            raise ReleaseError(f"release {manifest.name} is not online; publish it, or push over the live one")
        if not _in_postgres(store):
            return writing_redis.push(redis_of(store), manifest.name, manifest.as_of, rows)
        driver = writing_postgres.driver_of(connection)
        return sum(writing_postgres.push(driver, manifest.name, manifest.as_of, *row) for row in rows)


def remove(store: FeatureStore, release: str) -> None:
    """Take a release's rows off, and the base that it was the last to share; safe to repeat."""
    engine = engine_of(store)
    if not _in_postgres(store):
        writing_redis.remove(redis_of(store), release)
    with engine.begin() as connection:
        origins = ledger.origins(connection, release)
        ledger.forget_origins(connection, release)
        for table in schema.SERVED:
            origin = origins.get(table.name, Origin(release))
            last = not ledger.shared(connection, origin.base, table.name)
            if _in_postgres(store):
                driver = writing_postgres.driver_of(connection)
                groups.drop(driver, release, table, base=False)
                if last:
                    groups.drop(driver, origin.base, table, base=True)
    for table in schema.SERVED:
        with engine.connect() as connection:
            base = origins.get(table.name, Origin(release)).base
            if not ledger.shared(connection, base, table.name):
                forget_base(home_of(store), base, table)


def redis_of(store: FeatureStore) -> redis.Redis:
    """A client of the store's Redis, one for each address."""
    return _redis(tuple(sorted(redis_options(store).items())))


@cache
def _redis(options: tuple[tuple[str, str | int], ...]) -> redis.Redis:
    return redis.Redis(**dict(options))  # type: ignore[arg-type]


def _origin(
    store: FeatureStore, manifest: Manifest, table: Table, parent: Manifest | None, of_parent: Origin | None
) -> Origin:
    """Where the release takes unchanged rows of `table` from: see the module."""
    if parent is None or of_parent is None:
        origin = Origin(manifest.name)
    elif not _in_postgres(store):
        origin = Origin(manifest.name, parent.name)
    else:
        base = base_path(home_of(store), of_parent.base, table)
        rows = offline_path(home_of(store), manifest.name, table)
        near = base.is_file() and changes(rows, base=base, parent=None).share <= COMPACT
        origin = Origin(of_parent.base if near else manifest.name, parent.name)
    if origin.base == manifest.name and _in_postgres(store):
        keep_base(home_of(store), manifest.name, table)
    return origin


def _in_postgres(store: FeatureStore) -> bool:
    return str(store.config.online_store.type) == "postgres"
