"""The ways of writing that `benchmarks.releases` compares, each run in a process of its own on the same file."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import FeatureStore

from benchmarks.release_inputs import AS_OF, WIDE, frames
from benchmarks.serving_inputs import frames as served_frames
from feature_repo import features
from tasks import schema
from tasks.releases import (
    changes,
    encoding,
    groups,
    offline,
    publishing,
    stores,
    verifying,
    writing,
    writing_postgres,
    writing_redis,
)
from tasks.releases.ledger import Origin
from tasks.releases.manifest import Block, Manifest, release_name, schema_digest

CHANGED = 0.01
SLOW = 10_000
"""Users at most that Feast's own ways write."""
TTL, SWITCHED = 1, 200
READS, KEYS = 60, (1, 100)


def release_of(home: Path, name: str, users: int) -> Manifest:
    """A manifest of the one table whose file is at hand."""
    file = offline.offline_path(home, name, WIDE)
    return Manifest(name, AS_OF, {}, {WIDE.name: Block(users, offline.file_digest(file))}, schema="bench")


def timed(rows: int, work: Callable[[], Any]) -> dict[str, Any]:
    """Seconds and CPU seconds of this process for `work`, and the most memory that it has held so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, used = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "rows": rows,
        "seconds": seconds,
        "rows_per_second": rows / seconds,
        "cpu_seconds": used,
        "rows_per_cpu_second": rows / used,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def prepare(store: FeatureStore, users: int) -> dict[str, Any]:
    """The files, outside of every measurement."""
    home = stores.home_of(store)
    for name, rows, changed in (
        ("rfull", users, 0.0),
        ("rnext", users, CHANGED),
        ("rsmall", 100, 0.0),
        ("rwarm", 100, 0.1),
    ):
        offline.write_offline(home, name, WIDE, frames(rows, changed), as_of=AS_OF)
    offline.write_offline(home, "rslow", WIDE, frames(min(users, SLOW)), as_of=AS_OF)
    return {}


def write(store: FeatureStore, manifest: Manifest, origin: Origin) -> None:
    """Lay out and write the wide table as a release does."""
    home = stores.home_of(store)
    path = offline.offline_path(home, manifest.name, WIDE)
    parent = offline.offline_path(home, origin.parent, WIDE) if origin.parent else None
    in_postgres = store.config.online_store.type == "postgres"
    base = parent if in_postgres else None
    plan = changes.changes(path, base=base, parent=parent)
    if not in_postgres:
        writing_redis.write(writing.redis_of(store), manifest, WIDE, path, plan, origin)
        return
    engine = stores.engine_of(store)
    with writing_postgres.connected(engine) as connection:
        groups.create(connection, manifest, WIDE, origin.base)
    writing_postgres.write(engine, manifest.name, WIDE, path, plan, origin)


def ours(store: FeatureStore, users: int) -> dict[str, Any]:
    """A whole release, and its rows read back by stock Feast."""
    home = stores.home_of(store)
    write(store, release_of(home, "rsmall", 100), Origin("rsmall"))
    manifest = release_of(home, "rfull", users)
    measured = timed(users, lambda: write(store, manifest, Origin("rfull")))
    return measured | {"bytes_per_user": size(store, "rfull", users)} | reads(store, "rfull", check=True)


def one_percent(store: FeatureStore, users: int) -> dict[str, Any]:
    """A release in which one user in a hundred has changed, after `ours`."""
    home = stores.home_of(store)
    shares = store.config.online_store.type == "postgres"
    write(store, release_of(home, "rwarm", 100), Origin("rsmall" if shares else "rwarm", "rsmall", "rsmall", AS_OF))
    base = "rfull" if shares else "rnext"
    origin = Origin(base, "rfull", "rfull", AS_OF)
    measured = timed(users, lambda: write(store, release_of(home, "rnext", users), origin))
    added = size(store, "rnext", users, own=base == "rfull")
    return measured | {"bytes_per_user": added} | reads(store, "rnext", check=True)


def raw(store: FeatureStore, users: int) -> dict[str, Any]:
    """The same bytes, encoded beforehand: one COPY a batch into the same table, or pipelined HSET."""
    path = offline.offline_path(stores.home_of(store), "rfull", WIDE)
    batches = [
        (encoding.entity_keys(b["user_id"], "user_id"), [encoding.encode(b[c.name], c) for c in WIDE.features])
        for b in offline.read_batches(path)
    ]
    if store.config.online_store.type == "postgres":
        engine = stores.engine_of(store)
        into = groups.base_table("rfull", WIDE)
        with writing_postgres.connected(engine) as connection:
            groups.drop(connection, "rnext", WIDE, base=False)
            groups.drop(connection, "rfull", WIDE, base=True)
            groups.create(connection, release_of(stores.home_of(store), "rfull", users), WIDE, "rfull")
        prebuilt = [writing_postgres.copied([keys, *values]) for keys, values in batches]

        def copy() -> None:
            for rows in prebuilt:
                with writing_postgres.connected(engine) as connection:
                    writing_postgres.stream(connection, into, groups.columns(WIDE), rows)

        return timed(users, copy)
    client, fields = writing.redis_of(store), writing_redis.hash_fields("rfull", WIDE)
    same = [encoding.constant("rfull"), writing_redis.stamp(AS_OF)]
    rows = [
        [(key + features.PROJECT.encode(), dict(zip(fields, [*row, *same], strict=True))) for key, *row in zip(
            keys.to_pylist(), *(v.to_pylist() for v in values), strict=True)]
        for keys, values in batches
    ]  # fmt: skip

    def hset() -> None:
        for batch in rows:
            with client.pipeline(transaction=False) as pipe:
                for key, mapping in batch:
                    pipe.hset(key, mapping=mapping)
                pipe.execute()

    return timed(users, hset)


def feast(store: FeatureStore, users: int, kind: str) -> dict[str, Any]:
    """Feast's own `materialize`, with its defaults, from the offline store `kind`."""
    home = stores.home_of(store)
    config = json.loads((home / "feature_repo" / "feature_store.yaml").read_text())
    config["offline_store"] = {"type": kind}
    repo = home / f"feast_{kind}"
    repo.mkdir()
    (repo / "feature_store.yaml").write_text(json.dumps(config))
    own = FeatureStore(repo_path=str(repo))
    users = min(users, SLOW)
    for name, rows in (("rsmall", 100), ("rslow", users)):
        view = features.view(WIDE, f"{name}_{kind}", offline.offline_path(home, name, WIDE))
        own.apply([features.USER, view])
        stores.refresh(own)
        end = AS_OF + timedelta(days=1)
        measured = timed(rows, lambda: own.materialize(AS_OF - timedelta(days=1), end, [view.name]))  # noqa: B023
    found = {"bytes_per_user": size(store, f"rslow_{kind}", users, plain=True)}
    return measured | found | reads(own, f"rslow_{kind}", check=False)


def switch(store: FeatureStore, users: int) -> dict[str, Any]:
    """Two whole releases of `SWITCHED` users: the seconds of going live and of going back, whatever the rows."""
    home, made = stores.home_of(store), []
    for seed in (1, 2):
        live = publishing.live(store)
        name = release_name(AS_OF, {"seed": str(seed)})
        blocks = {
            t.name: offline.write_offline(home, name, t, served_frames(t, SWITCHED, seed), as_of=AS_OF)
            for t in schema.SERVED
        }
        manifest = Manifest(name, AS_OF, {}, blocks, (live,) if live else (), schema=schema_digest())
        publishing.apply_views(store, manifest)
        for table in schema.SERVED:
            publishing.materialize(store, manifest, table)
        verifying.verify(store, manifest)
        time.sleep(TTL + 1)  # a switch waits until no reader goes by a registry from before its views
        measured = timed(SWITCHED, lambda: publishing.flip(store, manifest))  # noqa: B023
        made.append(manifest)
    back = timed(SWITCHED, lambda: publishing.roll_back(store, made[0].name))
    return measured | {"back_seconds": back["seconds"]}


def reads(store: FeatureStore, release: str, *, check: bool) -> dict[str, float]:
    """Median milliseconds of a read of one and of a hundred users by stock Feast; with `check`, values are compared."""
    home = stores.home_of(store)
    if check:
        view = features.view(WIDE, release, offline.offline_path(home, release, WIDE))
        store.registry.apply_entity(features.USER, features.PROJECT)
        store.registry.apply_feature_view(view, features.PROJECT)
        stores.refresh(store)
    name = features.view_name(WIDE, release)
    rows = offline.sample_offline(offline.offline_path(home, release.split("_")[0], WIDE), 100, 0)
    asked = [f"{name}:{c.name}" for c in (*WIDE.features, schema.RELEASE)]
    found = {}
    for keys in KEYS:
        entities = [{"user_id": user} for user in rows["user_id"][:keys]]
        took = []
        for _ in range(READS):
            start = time.perf_counter()
            answer = store.get_online_features(asked, entities)
            took.append(1e3 * (time.perf_counter() - start))
        found[f"read_{keys}_ms"] = statistics.median(took)
    if check and (wrong := verifying.differences(rows, answer.to_dict(), (*WIDE.features, schema.RELEASE))):
        raise SystemExit(f"read back otherwise than written: {wrong}")
    return found


def size(store: FeatureStore, release: str, users: int, *, own: bool = False, plain: bool = False) -> float:
    """Bytes that a release takes online for each user."""
    if store.config.online_store.type == "postgres":
        name = groups.own_table(release, WIDE) if own else groups.base_table(release, WIDE)
        name = groups.view(release, WIDE) if plain else name
        with writing_postgres.connected(stores.engine_of(store)) as connection:
            row = connection.execute("SELECT pg_total_relation_size(to_regclass(%s))", [f'"{name}"']).fetchone()
        return float(row[0]) / users if row else 0.0
    return float(writing.redis_of(store).info("memory")["used_memory"]) / users


WAYS: dict[str, Callable[[FeatureStore, int], dict[str, Any]]] = {
    "prepare": prepare,
    "ours": ours,
    "one_percent": one_percent,
    "raw": raw,
    "switch": switch,
    "feast_duckdb": lambda store, users: feast(store, users, "duckdb"),
    "feast_file": lambda store, users: feast(store, users, "file"),
}


def main() -> None:
    """Run one way and print what it took as one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    for name in ("home", "store", "users", "postgres", "redis"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    store = stores.open_store(
        Path(arguments.home),
        kind=arguments.store,
        postgres_dsn=arguments.postgres,
        redis_url=arguments.redis,
        registry_ttl=TTL,
    )
    print(json.dumps(WAYS[arguments.way](store, int(arguments.users))))


if __name__ == "__main__":
    main()
