"""From accepted events to everyone's interests: topics beside vectors, then sequences, then the blocks.

The computation is in `tasks.jobs.state`; the jobs here add what only a live refresh does: they look up and move heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tasks import schema
from tasks.errors import ArtifactError
from tasks.jobs.corpus import TEXT, distinct_texts, events_until, newest_items
from tasks.jobs.state import INTAKE, TOPIC_MODEL, interests_at, previous_topics, sequence_at, topics_at
from tasks.jobs.workspace import Bag, bag_of, open_store, parse_as_of, progress, refs_of
from tasks.settings import Settings
from tasks.store import Ref

_HASH, _VECTOR = schema.TEXT_HASH.name, schema.TEXT_VECTORS["vector"].name


def plan_refresh(received: Mapping[str, Any]) -> Bag:
    """What one refresh works on: exact intake references, `as_of`, shards, and the topics to stay true to.

    The previous topics are looked up here, once, so that every later job of this refresh sees the same. A refresh of
    what was refreshed before, such as one that was killed at its very end, gets the same previous topics as then.
    """
    settings = Settings()
    store, refs = open_store(settings), refs_of(received)
    missing = [name for name in INTAKE if name not in refs]
    if missing:
        raise ArtifactError(f"a refresh needs references to {' and '.join(missing)}; take in a batch first")
    previous = previous_topics(store, settings, refs, received["as_of"])
    shards = list(range(settings.shards))
    return bag_of(
        refs, as_of=received["as_of"], shards=shards, previous_topics=previous.to_json() if previous else None
    )


def refresh_topics(plan: Mapping[str, Any]) -> Bag:
    """Fit topics, match them to the previous ones, describe them and infer the mix of every text."""
    settings = Settings()
    store = open_store(settings)
    previous = Ref.from_json(plan["previous_topics"]) if plan.get("previous_topics") else None
    return bag_of(topics_at(store, settings, refs_of(plan), plan["as_of"], previous))


def encode_shard(plan: Mapping[str, Any], shard: int) -> Bag:
    """Encode the texts of one shard that no earlier run has encoded; gives the new vectors, or nothing to add."""
    from tasks.embeddings import Encoder, missing, shard_of

    settings = Settings()
    store, refs = open_store(settings), refs_of(plan)
    events, items = events_until(store, refs, parse_as_of(plan["as_of"])), newest_items(store, refs)
    texts = distinct_texts(events, items)
    mine = texts[shard_of(texts[_HASH], len(plan["shards"])) == shard]
    encoder = Encoder.load(
        settings.encoder,
        device=settings.device,
        max_tokens=settings.encoder_max_tokens,
        batch_size=settings.encoder_batch,
    )
    known = store.head(_cache(encoder.fingerprint))
    have = [h for f in store.stream(known, schema.TEXT_VECTORS, [_HASH]) for h in f[_HASH]] if known else []
    new = mine[mine[_HASH].isin(missing(mine[_HASH], have))]
    with progress(f"encode shard {shard}", len(new)) as update:
        vectors = encoder.encode(new[TEXT].tolist(), update)
    frame = pd.DataFrame({_HASH: new[_HASH].to_numpy(), _VECTOR: list(vectors), "encoder": encoder.fingerprint})
    made = {schema.TEXT_VECTORS.name: store.put_frame(frame, schema.TEXT_VECTORS)} if len(frame) else {}
    return bag_of(made, encoder=encoder.fingerprint, texts=len(mine), encoded=len(new))


def join_vectors(plan: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]) -> Bag:
    """The vectors of all texts so far: those of earlier runs and those of `shards`; they become the cache."""
    store = open_store(Settings())
    fingerprint = shards[0]["encoder"]
    with store.lock(_cache(fingerprint)):
        known = store.head(_cache(fingerprint))
        new = [ref for shard in shards for ref in refs_of(shard).values()]
        joined = store.put_union(schema.TEXT_VECTORS, [*([known] if known else []), *new])
        store.move_head(_cache(fingerprint), joined)
    encoded = sum(shard["encoded"] for shard in shards)
    return bag_of({schema.TEXT_VECTORS.name: joined}, encoder=fingerprint, encoded=encoded)


def train_sequence(plan: Mapping[str, Any], vectors: Mapping[str, Any]) -> Bag:
    """Fit the LSTM on every history up to `as_of`."""
    settings = Settings()
    refs = {**refs_of(plan), **refs_of(vectors)}
    return bag_of(sequence_at(open_store(settings), settings, refs, plan["as_of"]))


def assemble_interests(plan: Mapping[str, Any], *parts: Mapping[str, Any]) -> Bag:
    """Compute every interest block and the items' content; gives the whole bag of references so far."""
    settings = Settings()
    store, refs = open_store(settings), {k: v for bag in (plan, *parts) for k, v in refs_of(bag).items()}
    made = {**refs, **interests_at(store, settings, refs, plan["as_of"])}
    with store.lock(TOPIC_MODEL):
        store.move_head(TOPIC_MODEL, made[TOPIC_MODEL])
    return bag_of(made, as_of=plan["as_of"])


def _cache(fingerprint: str) -> str:
    """Head of the vectors of one encoder: a text seen before is never encoded again."""
    return f"vectors-{fingerprint}"
