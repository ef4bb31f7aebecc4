"""The jobs in the order that the DAGs run them, for the command line: each step goes on from where the last one ended.

Only the command line asks for "where the last one ended"; a DAG run is handed its references by an asset event.
"""

from __future__ import annotations

from typing import Any

from tasks.errors import ArtifactError
from tasks.jobs import publication
from tasks.jobs import refresh as refreshing
from tasks.jobs import scores as scoring
from tasks.jobs.history import last_batch
from tasks.jobs.workspace import Bag, open_store, progress
from tasks.settings import Settings

REFRESHED, SCORED = "refreshed", "scored"


def refresh() -> Bag:
    """Plan, topics, vectors, sequence model, interests, over everything that was taken in."""
    history = last_batch(open_store(Settings()))
    plan = refreshing.plan_refresh(history)
    topics = refreshing.refresh_topics(plan)
    vectors = refreshing.join_vectors(plan, [refreshing.encode_shard(plan, shard) for shard in plan["shards"]])
    sequence = refreshing.train_sequence(plan, vectors)
    return _done(REFRESHED, refreshing.assemble_interests(plan, topics, vectors, sequence))


def score() -> Bag:
    """Backtest and recommend, on the last refresh."""
    refreshed = _last(REFRESHED, "refresh")
    return _done(SCORED, scoring.score(refreshed, scoring.backtest(refreshed)))


def publish(*, force: bool = False) -> Bag:
    """Publish the last scores."""
    prepared = publication.check_gate(publication.prepare_release(_last(SCORED, "score")), force=force)
    with progress("materialize", len(prepared["shards"])) as update:
        for shard in prepared["shards"]:
            publication.materialize_shard(prepared, shard)
            update(1)
    publication.verify_release(prepared)
    live = publication.flip_release(prepared)
    publication.retire_releases(prepared)
    return live


def _done(name: str, bag: Bag) -> Bag:
    store = open_store(Settings())
    with store.lock(name):
        store.move_head(name, store.put_json(name, bag))
    return bag


def _last(name: str, command: str) -> dict[str, Any]:
    store = open_store(Settings())
    head = store.head(name)
    if head is None:
        raise ArtifactError(f"nothing was {name} yet in {store.root.parent}; run `python -m tasks {command}` first")
    return store.read_json(head)
