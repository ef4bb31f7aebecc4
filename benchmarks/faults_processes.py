"""The processes that `benchmarks.faults` starts: a publisher to be killed, and readers that never stop.

Each tells over a pipe what it does. All libraries are imported here, so that a fork server loads them once.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from feast import FeatureStore

from benchmarks.faults_inputs import name_of, strange, write
from tasks import schema
from tasks.errors import PenchantError, ReleaseError
from tasks.releases import history, publishing, reading, stores, verifying
from tasks.releases.freshness import Freshness

STEPS = ("write", "stage", "materialize", "verify", "flip", "history", "retire")
KEEP, TTL = 2, 1
PAUSE = 0.02
"""Seconds between two reads of one reader, so that readers leave the publisher some of the processor."""


def publish(order: dict[str, Any], pipe: Connection) -> None:
    """Publish release `number` as the pipeline does, telling each step before it is taken, `done` at the end."""
    try:
        _publish(order, pipe)
    except PenchantError as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))


def _publish(order: dict[str, Any], pipe: Connection) -> None:
    def say(step: str) -> None:
        pipe.send((step, time.monotonic()))

    home = Path(order["home"])
    store = stores.open_store(home, **order["store"])
    with ExitStack() as stack:
        _be_alone(stack, store)
        live = publishing.live(store)
        say("write")
        manifest = write(home, order["number"], order["users"], (live,) if live else ())
        say("stage")
        publishing.apply_views(store, manifest)
        say("materialize")
        for table in schema.SERVED:
            for shard in range(2):
                publishing.materialize(store, manifest, table, shard=shard, shards=2)
        say("verify")
        verifying.verify(store, manifest, sample=20)
        say("flip")
        publishing.flip(store, manifest)
        say("history")
        history.catch_up(store, keep_days=10_000)
        say("retire")
        publishing.retire(store, KEEP)
    say("done")


def read(order: dict[str, Any], pipe: Connection) -> None:
    """Read until the pipe is closed or says stop: through `read_user`, or through Feast alone (`stock`)."""
    store = FeatureStore(repo_path=str(Path(order["home"]) / "feature_repo"))
    numbers = {name_of(number): number for number in range(order["releases"])}
    fresh = Freshness(datetime.now(UTC), {table.name: timedelta(days=36_500) for table in schema.SERVED})
    counts: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    seen: set[str] = set()
    services = ("user_interest", "recommendations")
    while not pipe.poll():
        users = [f"user-{(counts['reads'] * 2 + step) % order['users']}" for step in range(2)]
        try:
            if order["stock"]:
                found = _stock(store, services[counts["reads"] % 2], users)
            else:
                profiles = reading.read_user(store, users, fresh)
                found = [(p.key, p.release, {n: dict(b.values) for n, b in p.blocks.items()}) for p in profiles]
            wrong = [name for user, release, blocks in found for name in strange(release, user, blocks, numbers)]
            seen |= {release for _, release, _ in found}
            counts["mixed"] += bool(wrong) or len({release for _, release, _ in found}) != 1
        except Exception as error:  # every kind of failure is counted, none ends the reader
            kind = "mixed" if isinstance(error, ReleaseError) and "answered by releases" in str(error) else "failed"
            counts[kind] += 1
            failures[f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"] += 1
        counts["reads"] += 1
        if counts["reads"] % 50 == 0:
            pipe.send({"reads": counts["reads"]})
        time.sleep(PAUSE)
    pipe.send({**counts, "failures": failures, "seen": sorted(seen), "stock": order["stock"], "end": True})


def _stock(store: Any, service: str, users: list[str]) -> list[tuple[str, str, dict[str, dict[str, Any]]]]:
    """One read with Feast's own SDK, by user: the release that every view names, and each view's values."""
    rows = store.get_online_features(
        store.get_feature_service(service, allow_cache=True), {"user_id": users}, full_feature_names=True
    ).to_dict()
    found = []
    for place, user in enumerate(users):
        blocks = {
            table.name: {c.name: rows[f"{table.name}__{c.name}"][place] for c in table.features}
            for table in schema.SERVICES[service]
        }
        names = {rows[f"{table.name}__{schema.RELEASE.name}"][place] for table in schema.SERVICES[service]}
        if len(names) != 1:
            raise ReleaseError(f"one read was answered by releases {', '.join(sorted(map(str, names)))}")
        found.append((user, names.pop(), blocks))
    return found


def _be_alone(stack: ExitStack, store: Any) -> None:
    """Take the publisher's lock; PostgreSQL needs a moment to notice that its last holder was killed."""
    end = time.monotonic() + 20
    while True:
        try:
            stack.enter_context(publishing.publishing(store, "publish", by="benchmark"))
        except ReleaseError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
