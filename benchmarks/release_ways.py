"""The ways of writing that `benchmarks.releases` compares, each run in a process of its own on the same file."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from feast import FeatureStore

from feature_repo import features
from tasks import schema
from tasks.columns import Column, Table
from tasks.releases import (
    changes,
    encoding,
    groups,
    offline,
    stores,
    verifying,
    writing,
    writing_postgres,
    writing_redis,
)
from tasks.releases.ledger import Origin
from tasks.releases.manifest import Block, Manifest

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
WIDE = Table(
    "wide",
    "Wide rows as a recommender serves them.",
    (
        schema.USER_ID,
        schema.AS_OF,
        Column("text_vector", "list<float32>", "384 floats"),
        Column("state", "list<float32>", "128 floats"),
        Column("topic_mix", "list<float32>", "50 floats"),
        Column("item_ids", "list<string>", "20 ids"),
        Column("scores", "list<float32>", "20 floats"),
        Column("reasons", "list<string>", "20 short sentences"),
    ),
    key=("user_id",),
    entity="user",
)
CHANGED = 0.01
READS, KEYS = 60, (1, 100)


def frames(users: int, changed: float = 0.0) -> Iterator[pd.DataFrame]:
    """The rows, 5,000 at a time; the same for the same number, but for the part `changed`."""
    for start in range(0, users, offline.ROW_GROUP):
        rows = min(offline.ROW_GROUP, users - start)
        rng = np.random.default_rng(start)
        made = {c.name: list(rng.random((rows, int(c.meaning.split()[0])), np.float32)) for c in WIDE.features[:3]}
        ids = rng.integers(0, 50_000, (rows, 20))
        frame = pd.DataFrame(
            {"user_id": [f"user-{start + i:08d}" for i in range(rows)], "as_of": [AS_OF] * rows, **made}
        )
        frame["item_ids"] = [[f"item-{i:06d}" for i in row] for row in ids]
        frame["scores"] = list(rng.random((rows, 20), np.float32))
        frame["reasons"] = [[f"because of item-{i:06d}" for i in row] for row in ids]
        moved = np.flatnonzero(np.random.default_rng(start + 1).random(rows) < changed)
        for row in moved:
            frame.at[row, "state"] = rng.random(128, np.float32)
        yield frame


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
    for slow in ("duckdb", "file"):
        offline.write_offline(home, f"r{slow}", WIDE, frames(min(users, 10_000)), as_of=AS_OF)
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
    for name, rows in (("rsmall", 100), (f"r{kind}", users)):
        view = features.view(WIDE, name + "feast", offline.offline_path(home, name, WIDE))
        own.apply([features.USER, view])
        stores.refresh(own)
        end = AS_OF + timedelta(days=1)
        measured = timed(rows, lambda: own.materialize(AS_OF - timedelta(days=1), end, [view.name]))  # noqa: B023
    found = {"bytes_per_user": size(store, f"r{kind}feast", users, plain=True)}
    return measured | found | reads(own, f"r{kind}feast", check=False)


def reads(store: FeatureStore, release: str, *, check: bool) -> dict[str, float]:
    """Median milliseconds of a read of one and of a hundred users by stock Feast; with `check`, values are compared."""
    home = stores.home_of(store)
    if check:
        view = features.view(WIDE, release, offline.offline_path(home, release, WIDE))
        store.registry.apply_entity(features.USER, features.PROJECT)
        store.registry.apply_feature_view(view, features.PROJECT)
        stores.refresh(store)
    name = features.view_name(WIDE, release)
    rows = offline.sample_offline(offline.offline_path(home, release.removesuffix("feast"), WIDE), 100, 0)
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
        registry_ttl=1,
    )
    print(json.dumps(WAYS[arguments.way](store, int(arguments.users))))


if __name__ == "__main__":
    main()
