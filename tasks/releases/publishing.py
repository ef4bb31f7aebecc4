"""Publishing: stage a release, write it online, switch the readers to it, go back, retire what is old.

**One switch.** `FeatureStore.apply` writes each feature service in a transaction of its own (three services: three
transactions, and a reader between them sees two releases), and it takes the service's own name, so nothing can be
read before it is live. Here every release has its three services from the start, under the release's own name; they
are verified as they stand. To switch, their stored definitions are copied over the three fixed names in one
transaction on the registry's tables, together with the record of who switched when. A reader's registry is a copy of
those tables, so it holds all of the old release or all of the new one.

**Why a switch may wait.** A reader keeps its copy of the registry for some seconds (`cache_ttl_seconds`). One that
asks for a service afresh and still resolves views in an older copy would not find them, so a release goes live no
sooner than that time after its views were registered; and a release is removed no sooner than that time after it was
last live.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from feast import FeatureStore
from feast.infra.registry.sql import (
    data_sources,
    feature_services,
    feature_view_version_history,
    feature_views,
)
from feast.protos.feast.core.FeatureService_pb2 import FeatureService as ServiceProto
from sqlalchemy.dialects.postgresql import insert

from feature_repo import features
from tasks import schema
from tasks.columns import Table
from tasks.errors import ReleaseError
from tasks.releases import ledger, writing
from tasks.releases.ledger import Release, Switch
from tasks.releases.manifest import Manifest
from tasks.releases.offline import file_digest, offline_path, offline_releases, remove_offline
from tasks.releases.stores import engine_of, home_of, reaching, refresh


@contextmanager
def publishing(store: FeatureStore, doing: str, *, by: str = "") -> Iterator[None]:
    """Be the only publisher for the length of the block; raises `ReleaseError` saying who else is at work."""
    with reaching("the registry"), ledger.alone(engine_of(store), doing, by or ledger.whoami()):
        yield


def apply_views(store: FeatureStore, manifest: Manifest, *, by: str = "") -> None:
    """Register the release's views and services, and lay out where its rows go. Nobody reads them yet.

    Safe to repeat. Raises `ReleaseError` where an offline file is missing or is not the one in the manifest.
    """
    paths = {table.name: offline_path(home_of(store), manifest.name, table) for table in schema.SERVED}
    for name, path in paths.items():
        if manifest.blocks[name].digest != file_digest(path):
            raise ReleaseError(f"release {manifest.name}: {path} is not the file in its manifest; write it again")
    with publishing(store, f"stage {manifest.name}", by=by):
        with engine_of(store).begin() as connection:
            changed = ledger.stage(connection, manifest)
        writing.lay_out(store, manifest, afresh=changed)
        if live(store) != manifest.name:
            _register(store, manifest.name, paths)
            with engine_of(store).begin() as connection:
                ledger.mark(connection, manifest.name, "staged_at")
        refresh(store)  # else the next write may still go by the registry of before


def materialize(store: FeatureStore, manifest: Manifest, table: Table, *, shard: int = 0, shards: int = 1) -> int:
    """Write one shard of `table` online and return its rows; safe to repeat, and for shards to run at once.

    Only rows that have changed are sent (see `writing`). A live release is left as it is.
    """
    if not 0 <= shard < shards:
        raise ReleaseError(f"shard {shard} of {shards}: shards are counted from 0")
    with reaching("the online store"):
        return writing.write_shard(store, manifest, table, shard=shard, shards=shards)


def flip(store: FeatureStore, manifest: Manifest, *, by: str = "") -> None:
    """Make the release live: all three services switch together, or none does.

    A release that is live already stays so. Raises `ReleaseError` where it was not verified, or where another release
    has become live since this one was prepared.
    """
    with publishing(store, f"publish {manifest.name}", by=by):
        with engine_of(store).connect() as connection:
            release, live = ledger.find(connection, manifest.name), ledger.live_name(connection)
        if live == manifest.name:
            return
        if not release.verified_at:
            raise ReleaseError(f"release {manifest.name} is not verified; verify it before it goes live")
        if live is not None and live not in manifest.parents:
            raise ReleaseError(
                f"release {manifest.name} was prepared to follow {', '.join(manifest.parents) or 'none'}, "
                f"but {live} has become live since; prepare it again, or roll back first"
            )
        _switch(store, manifest.name, "publish", by)


def roll_back(store: FeatureStore, name: str, *, by: str = "") -> None:
    """Make an earlier release live again, without computing anything; raises `ReleaseError` where it cannot be."""
    with publishing(store, f"roll back to {name}", by=by):
        with engine_of(store).connect() as connection:
            release = ledger.find(connection, name)
        if release.live:
            return
        if not release.ever_live:
            raise ReleaseError(f"release {name} was never live; publish it")
        _switch(store, name, "roll back", by)


def live(store: FeatureStore) -> str | None:
    """Name of the live release, or None before the first."""
    with reaching("the registry"), engine_of(store).connect() as connection:
        return ledger.live_name(connection)


def releases(store: FeatureStore) -> list[Release]:
    """All releases, newest first, retired ones included."""
    with reaching("the registry"), engine_of(store).connect() as connection:
        return ledger.all_releases(connection)


def history(store: FeatureStore) -> list[Switch]:
    """Every change of the live release, newest first: to what, from what, by whom, when."""
    with reaching("the registry"), engine_of(store).connect() as connection:
        return ledger.switches(connection)


def retire(store: FeatureStore, keep: int, *, pinned: Sequence[str] = (), by: str = "") -> list[str]:
    """Remove old releases: views, online rows and offline files; returns the names of those removed.

    Kept are the live release, the pinned ones, the newest `keep` that were ever live, and what was staged after the
    live one, which may be on its way. A removal that was stopped half-way is finished, and files are removed that a
    publisher wrote and was killed before it could enter the release in the record.
    """
    if keep < 1:
        raise ReleaseError("keep is the number of releases kept, the live one included; it is at least 1")
    with publishing(store, "retire", by=by):
        with engine_of(store).begin() as connection:
            for name in pinned:
                ledger.find(connection, name)
            doomed = _doomed(ledger.all_releases(connection), keep, set(pinned))
            for name in doomed:
                ledger.mark(connection, name, "retired_at")
            left = ledger.half_removed(connection)
            since = ledger.seconds_since_switch(connection)
            known = {release.name for release in ledger.all_releases(connection)}
        for name in offline_releases(home_of(store)) - known:  # whoever writes one holds the lock that we hold
            remove_offline(home_of(store), name)
        if left:
            time.sleep(max(0.0, _reader_lag(store) - since))
        for name in left:
            _remove(store, name)
    return left


def _reader_lag(store: FeatureStore) -> float:
    """Seconds after which no reader goes by an older registry; one more for its clock and the reading itself."""
    return float(store.config.registry.cache_ttl_seconds) + 1


def _register(store: FeatureStore, release: str, paths: Mapping[str, Path]) -> None:
    """Enter views and services in the registry; `FeatureStore.apply` would also make a table for each view."""
    views = features.views(release, paths)
    for entity in (features.USER, features.ITEM):
        store.registry.apply_entity(entity, features.PROJECT)
    for view in views.values():
        if view.batch_source is not None:
            store.registry.apply_data_source(view.batch_source, features.PROJECT)
        store.registry.apply_feature_view(view, features.PROJECT)
    for service in features.services(release, views):
        store.registry.apply_feature_service(service, features.PROJECT)


def _switch(store: FeatureStore, name: str, action: ledger.Action, by: str) -> None:
    """Copy the release's services over the fixed names and write it down, in one transaction."""
    with engine_of(store).connect() as connection:
        time.sleep(max(0.0, _reader_lag(store) - ledger.seconds_since(connection, name, "staged_at")))
    with engine_of(store).begin() as connection:
        now: datetime = connection.execute(sa.select(sa.func.now())).scalar_one()
        for service in schema.SERVICES:
            proto = _stored(connection, features.service_name(service, name))
            proto.spec.name = service
            proto.meta.last_updated_timestamp.FromDatetime(now)
            row = {
                "feature_service_name": service,
                "project_id": features.PROJECT,
                "last_updated_timestamp": int(now.timestamp()),
                "feature_service_proto": proto.SerializeToString(),
            }
            keys = ["feature_service_name", "project_id"]
            statement = insert(feature_services).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=row))
        ledger.record(connection, name, action, by or ledger.whoami())
    refresh(store)


def _stored(connection: sa.Connection, service: str) -> ServiceProto:
    """The definition of a service as the registry keeps it."""
    where = (feature_services.c.feature_service_name == service) & (feature_services.c.project_id == features.PROJECT)
    stored = connection.scalar(sa.select(feature_services.c.feature_service_proto).where(where))
    if stored is None:
        raise ReleaseError(f"feature service {service} is not registered; apply the release's views again")
    service_proto: ServiceProto = ServiceProto.FromString(stored)
    return service_proto


def _doomed(known: Sequence[Release], keep: int, pinned: set[str]) -> list[str]:
    """Names of the releases to remove; `known` comes newest first."""
    there = [r for r in known if not r.retired_at]
    current = next((r for r in there if r.live), None)
    if current is None:
        return []
    served = [r.name for r in there if r.ever_live and not r.live]
    kept = {current.name, *pinned, *served[: keep - 1]}
    return [r.name for r in there if r.name not in kept and (r.ever_live or r.staged_at < current.staged_at)]


def _remove(store: FeatureStore, name: str) -> None:
    """Take a retired release out of the online store, the registry and the disk; safe to repeat.

    The registry's part is one transaction, so that no reader finds half of it (and because Feast reads the whole
    registry anew after each object that it deletes itself).
    """
    with reaching("the online store"):
        writing.remove(store, name)
    with engine_of(store).begin() as connection:
        views = [features.view_name(table, name) for table in schema.SERVED]
        services = [features.service_name(service, name) for service in schema.SERVICES]
        for column, names in (
            (feature_services.c.feature_service_name, services),
            (feature_views.c.feature_view_name, views),
            (feature_view_version_history.c.feature_view_name, views),
            (data_sources.c.data_source_name, views),
        ):
            here = column.table.c.project_id == features.PROJECT
            connection.execute(sa.delete(column.table).where(here & column.in_(names)))
    remove_offline(home_of(store), name)
    with engine_of(store).begin() as connection:
        ledger.mark(connection, name, "removed_at")
    refresh(store)
