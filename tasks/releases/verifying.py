"""Reading a release back through stock Feast before it goes live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from feast import FeatureStore
from feast.errors import FeastObjectNotFoundException

from feature_repo import features
from tasks import schema
from tasks.columns import Column, Table
from tasks.errors import ReleaseError
from tasks.releases import ledger
from tasks.releases.manifest import Manifest
from tasks.releases.offline import file_digest, offline_path, sample_offline
from tasks.releases.reading import ask
from tasks.releases.stores import engine_of, home_of, reaching, refresh

KEYS = 100
"""Keys asked for at a time."""


def verify(store: FeatureStore, manifest: Manifest, *, sample: int = 200, seed: int = 0) -> dict[str, int | None]:
    """Check the whole release online against its manifest and offline rows; only then may it go live.

    Per table: the offline file is the one in the manifest; the online rows are as many, each with every feature
    (where the store can tell: PostgreSQL); `sample` rows drawn by `seed`, read through the release's own services as
    a reader would, equal their offline rows value by value, with the same event time. Over a live release rows may have
    been pushed, which are later than it: they are left out, and there may be more. Returns the online rows per
    table, None where the store cannot tell. Raises `ReleaseError` with what differs, never with a value.
    """
    with reaching("the online store"):
        refresh(store)
        with engine_of(store).connect() as connection:
            live = ledger.live_name(connection) == manifest.name
        found = {table.name: _counted(store, manifest, table, live) for table in schema.SERVED}
        for service, tables in schema.SERVICES.items():
            for table in tables:
                _compare(store, manifest, service, table, sample, seed, live)
        with engine_of(store).begin() as connection:
            ledger.find(connection, manifest.name)
            ledger.mark(connection, manifest.name, "verified_at")
    return found


def differences(offline: pd.DataFrame, online: dict[str, list[Any]], columns: Sequence[Column]) -> list[str]:
    """Names of the columns whose values differ, each with how many rows do; `online` is in the order of `offline`."""
    wrong = []
    for column in columns:
        pairs = zip(offline[column.name], online[column.name], strict=True)
        if count := sum(not same(kept, read, column) for kept, read in pairs):
            wrong.append(f"{column.name} ({count} of {len(offline)} rows)")
    return wrong


def same(kept: Any, read: Any, column: Column) -> bool:
    """Whether an online value is the offline one: float32 to the last bit, NaN equal to NaN, timestamps to a second."""
    if kept is None or (not isinstance(kept, np.ndarray) and pd.isna(kept)):
        return read is None
    if read is None:
        return False
    if column.type == "list<float32>":
        return np.array_equal(np.asarray(kept, np.float32), np.asarray(read, np.float32), equal_nan=True)
    if column.type.startswith("list"):
        return list(kept) == list(read)
    if column.type == "float32":
        return bool(np.float32(kept) == np.float32(read))
    if column.type == "timestamp":
        return bool(pd.Timestamp(kept).floor("s") == pd.Timestamp(read).tz_convert("UTC"))
    return bool(kept == read)


def _counted(store: FeatureStore, manifest: Manifest, table: Table, live: bool) -> int | None:
    """Rows of `table` online; raises `ReleaseError` where they are not the manifest's, or fewer in a live one."""
    block = manifest.blocks[table.name]
    where = f"release {manifest.name}, {table.name}"
    if file_digest(offline_path(home_of(store), manifest.name, table)) != block.digest:
        raise ReleaseError(f"{where}: the offline file is not the one in the manifest; write the release again")
    if not block.rows:
        raise ReleaseError(f"{where}: there are no rows; a release without them would serve nobody")
    if store.config.online_store.type != "postgres":
        return None
    online = sa.table(f"{features.PROJECT}_{features.view_name(table, manifest.name)}", sa.column("feature_name"))
    statement = sa.select(online.c.feature_name, sa.func.count()).group_by(online.c.feature_name)
    with engine_of(store).connect() as connection:
        if not sa.inspect(connection).has_table(online.name):
            raise ReleaseError(f"{where}: it has no online table; apply its views first")
        counts = {str(name): int(count) for name, count in connection.execute(statement)}
    wanted = [column.name for column in (*table.features, schema.RELEASE)]
    seen = {name: min(counts.get(name, 0), block.rows) if live else counts.get(name, 0) for name in wanted}
    if wrong := {name: count for name, count in seen.items() if count != block.rows}:
        raise ReleaseError(f"{where}: {block.rows} rows offline, but online {wrong}; materialize it again")
    return block.rows


def _compare(
    store: FeatureStore, manifest: Manifest, service: str, table: Table, sample: int, seed: int, live: bool
) -> None:
    """Read sampled keys of `table` through the release's own `service`; raises `ReleaseError` with what differs."""
    rows = sample_offline(offline_path(home_of(store), manifest.name, table), sample, seed)
    columns = (*table.features, schema.RELEASE)
    for start in range(0, len(rows), KEYS):
        offline = rows.iloc[start : start + KEYS]
        try:
            staged = store.get_feature_service(features.service_name(service, manifest.name), allow_cache=True)
        except FeastObjectNotFoundException:
            raise ReleaseError(f"release {manifest.name} has no service {service}; apply its views first") from None
        answer = ask(store, staged, table.key[0], offline[table.key[0]].tolist())
        online = {column.name: answer.values[f"{table.name}__{column.name}"] for column in columns}
        times = answer.times[f"{table.name}__{schema.RELEASE.name}"]
        if live:
            own = [place for place, time in enumerate(times) if time <= manifest.as_of]
            offline, times = offline.iloc[own], [times[place] for place in own]
            online = {name: [values[place] for place in own] for name, values in online.items()}
        wrong = differences(offline, online, columns)
        if late := sum(time != manifest.as_of.replace(microsecond=0) for time in times):
            wrong.append(f"event time ({late} of {len(times)} rows)")
        if wrong:
            raise ReleaseError(
                f"release {manifest.name}, {table.name}: online differs from offline in {', '.join(wrong)}; "
                "materialize it again"
            )
