"""From accepted events to everyone's interests: topics beside vectors, then sequences, then the blocks.

The functions that end in `_at` are the computation, for any `as_of`; the backtest calls them for an earlier one. The
jobs around them add what only a live refresh does: they look up and move heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from tasks import schema
from tasks.errors import ArtifactError, NotEnoughData
from tasks.jobs.corpus import LANGUAGE, TEXT, distinct_texts, events_until, newest_items
from tasks.jobs.vectors import SEQUENCE_MODEL, histories, item_vectors, load_sequence, text_vectors
from tasks.jobs.workspace import Bag, Refs, bag_of, chosen, once, open_store, parse_as_of, progress, refs_of
from tasks.settings import Settings
from tasks.store import Ref, Store

TOPIC_MODEL, TOPIC_LEDGER = "topic_model", "topic_ledger"
SENTIMENT_MODEL = "sentiment_model"
INTAKE = (schema.EVENTS.name, schema.ITEMS.name)
_HASH, _VECTOR = schema.TEXT_HASH.name, schema.TEXT_VECTORS["vector"].name


def plan_refresh(received: Mapping[str, Any]) -> Bag:
    """What one refresh works on: exact intake references, `as_of`, shards, and the topics to stay true to.

    The previous topics are looked up here, once, so that every later job of this refresh sees the same.
    """
    settings = Settings()
    store, refs = open_store(settings), refs_of(received)
    missing = [name for name in INTAKE if name not in refs]
    if missing:
        raise ArtifactError(f"a refresh needs references to {' and '.join(missing)}; take in a batch first")
    previous = store.head(TOPIC_MODEL)
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


def topics_at(store: Store, settings: Settings, refs: Refs, as_of: str, previous: Ref | None) -> Refs:
    """Topic model, what became of each earlier topic, descriptions and topic mixes from what was known at `as_of`."""
    inputs = {
        **_addresses(refs, *INTAKE),
        "as_of": as_of,
        "previous": str(previous),
        **chosen(settings, "topics", "topic_passes", "seed"),
    }
    return once(store, "topics", inputs, lambda: _topics(store, settings, refs, as_of, previous, inputs))


def sequence_at(store: Store, settings: Settings, refs: Refs, as_of: str) -> Refs:
    """Sequence model from what was known at `as_of`."""
    inputs = {
        **_addresses(refs, *INTAKE, schema.TEXT_VECTORS.name),
        "as_of": as_of,
        **chosen(settings, "state_size", "history", "sequence_epochs", "seed"),
    }
    return once(store, "sequence", inputs, lambda: _sequence(store, settings, refs, as_of, inputs))


def interests_at(store: Store, settings: Settings, refs: Refs, as_of: str) -> Refs:
    """Sentiment model, blocks of `schema.USER_BLOCKS` and `schema.ITEM_CONTENT` from what was known at `as_of`."""
    models = (TOPIC_MODEL, schema.TOPICS.name, schema.TEXT_TOPICS.name, schema.TEXT_VECTORS.name, SEQUENCE_MODEL)
    inputs = {
        **_addresses(refs, *INTAKE, *models),
        "as_of": as_of,
        **chosen(
            settings, "long_half_life_days", "short_half_life_days", "popularity_half_life_days", "keywords", "seed"
        ),
    }
    return once(store, "interests", inputs, lambda: _interests(store, settings, refs, as_of, inputs))


def _topics(
    store: Store, settings: Settings, refs: Refs, as_of: str, previous: Ref | None, inputs: Mapping[str, Any]
) -> Refs:
    from tasks.text import tokenise
    from tasks.topics import TopicModel, describe_topics, fit_topics, pooled_documents, stable_topics

    when = parse_as_of(as_of)
    events, items = events_until(store, refs, when), newest_items(store, refs)
    documents = pooled_documents(events, items)
    with progress("topics", settings.topic_passes) as update:
        model = fit_topics(
            documents, n_topics=settings.topics, passes=settings.topic_passes, seed=settings.seed, progress=update
        )
    made: Refs = {}
    if previous:
        stable = stable_topics(TopicModel.load(store.folder(previous)), model)
        model = stable.model
        fates = {"topics": stable.ledger.to_dict("records")}
        made[TOPIC_LEDGER] = store.put_json(TOPIC_LEDGER, fates, parents=[previous])
    about: dict[str, Any] = {"parents": [refs[name] for name in INTAKE], "settings": inputs}
    with store.writing(TOPIC_MODEL) as folder:
        model.save(folder)
        made[TOPIC_MODEL] = store.seal(folder, TOPIC_MODEL, **about)
    described = describe_topics(model, documents, as_of=when)
    texts = distinct_texts(events, items)
    tokens = [tokenise(text, language) for text, language in zip(texts[TEXT], texts[LANGUAGE], strict=True)]
    mixes = pd.DataFrame({_HASH: texts[_HASH], schema.TEXT_TOPICS["topic_mix"].name: list(model.infer(tokens))})
    return {
        **made,
        schema.TOPICS.name: store.put_frame(described, schema.TOPICS, **about),
        schema.TEXT_TOPICS.name: store.put_frame(mixes, schema.TEXT_TOPICS, **about),
    }


def _sequence(store: Store, settings: Settings, refs: Refs, as_of: str, inputs: Mapping[str, Any]) -> Refs:
    from tasks.embeddings import SequenceConfig, fit_sequence

    events, items = events_until(store, refs, parse_as_of(as_of)), newest_items(store, refs)
    users = sorted(events[schema.USER_ID.name].unique())
    encoder = store.read_frame(store.members(refs[schema.TEXT_VECTORS.name])[0], schema.TEXT_VECTORS, ["encoder"])
    with progress("sequence model", settings.sequence_epochs) as update:
        fitted = fit_sequence(
            histories(store, refs, events, items, users),
            item_vectors(store, refs, items),
            item_ids=items[schema.ITEM_ID.name].tolist(),
            encoder=str(encoder.iloc[0, 0]),
            config=SequenceConfig(state_size=settings.state_size, max_length=settings.history),
            seed=settings.seed,
            device=settings.device,
            epochs=settings.sequence_epochs,
            progress=update,
        )
    with store.writing(SEQUENCE_MODEL) as folder:
        fitted.save(folder)
        parents = [refs[name] for name in (*INTAKE, schema.TEXT_VECTORS.name)]
        return {SEQUENCE_MODEL: store.seal(folder, SEQUENCE_MODEL, parents=parents, settings=inputs)}


def _interests(store: Store, settings: Settings, refs: Refs, as_of: str, inputs: Mapping[str, Any]) -> Refs:
    from tasks import interests
    from tasks.text import tokenise

    when = parse_as_of(as_of)
    events, items = events_until(store, refs, when), newest_items(store, refs)
    texts = distinct_texts(events, items)
    tokens = {h: tokenise(t, code) for h, t, code in zip(texts[_HASH], texts[TEXT], texts[LANGUAGE], strict=True)}
    topics = store.read_frame(refs[schema.TOPICS.name], schema.TOPICS)
    mixes = store.read_frame(refs[schema.TEXT_TOPICS.name], schema.TEXT_TOPICS)
    vectors = text_vectors(store, refs, texts[_HASH])
    made, sentiment = _sentiment(store, settings, events, texts, vectors, inputs)
    content = interests.item_content(
        items,
        events,
        mixes,
        vectors,
        tokens,
        sentiment,
        as_of=when,
        popularity_half_life_days=settings.popularity_half_life_days,
        keywords=settings.keywords,
    )
    long, short = settings.long_half_life_days, settings.short_half_life_days
    tastes = interests.user_vectors(
        events, vectors, content, as_of=when, long_half_life_days=long, short_half_life_days=short
    )
    frames = {
        schema.ITEM_CONTENT: content,
        schema.USER_VECTORS: tastes,
        schema.USER_TOPICS: interests.user_topics(events, mixes, content, topics, as_of=when, half_life_days=long),
        schema.USER_SENTIMENT: interests.user_sentiment(events, mixes, sentiment, as_of=when, half_life_days=long),
        schema.USER_STYLE: interests.user_style(events, as_of=when, half_life_days=long),
        schema.USER_KEYWORDS: interests.user_keywords(events, tokens, as_of=when, count=settings.keywords),
        schema.USER_ACTIVITY: interests.user_activity(events, as_of=when),
        schema.USER_EVOLUTION: _evolution(store, settings, refs, events, items, tastes, when),
    }
    parents = [refs[name] for name in (*INTAKE, TOPIC_MODEL, SEQUENCE_MODEL)]
    kept = {t.name: store.put_frame(f, t, parents=parents, settings=inputs) for t, f in frames.items()}
    return {**made, **kept}


def _sentiment(
    store: Store,
    settings: Settings,
    events: pd.DataFrame,
    texts: pd.DataFrame,
    vectors: pd.DataFrame,
    inputs: Mapping[str, Any],
) -> tuple[Refs, pd.Series]:
    """The sentiment model and the probability that each text is favourable, by text hash.

    Where too few texts were rated there is no model and no text has a sentiment: the block stays empty.
    """
    from tasks.interests import fit_sentiment

    matrix = np.vstack(vectors[_VECTOR].to_numpy())
    place = pd.Index(texts[_HASH])
    rated = events[events[_HASH].notna() & events["rating"].notna()].drop_duplicates(_HASH)
    rows = place.get_indexer(rated[_HASH])
    words = texts[TEXT].to_numpy()
    try:
        model = fit_sentiment(matrix[rows], words[rows].tolist(), rated["rating"].to_numpy(), seed=settings.seed)
    except NotEnoughData as error:
        tqdm.write(f"no sentiment: {error}")
        return {}, pd.Series([], index=pd.Index([], dtype=object), dtype=np.float32)
    with store.writing(SENTIMENT_MODEL) as folder:
        model.save(folder)
        made = {SENTIMENT_MODEL: store.seal(folder, SENTIMENT_MODEL, settings=inputs)}
    return made, pd.Series(model.predict(matrix, words.tolist()), index=place)


def _evolution(
    store: Store,
    settings: Settings,
    refs: Refs,
    events: pd.DataFrame,
    items: pd.DataFrame,
    tastes: pd.DataFrame,
    when: datetime,
) -> pd.DataFrame:
    """h* = [h; v] of every user with a history (`schema.USER_EVOLUTION`)."""
    from tasks.interests import user_evolution

    users = tastes[schema.USER_ID.name].tolist()
    states = load_sequence(store, settings, refs).states(histories(store, refs, events, items, users))
    return user_evolution(states.h, users, tastes, model=refs[SEQUENCE_MODEL].version, as_of=when)


def _addresses(refs: Refs, *names: str) -> dict[str, str]:
    return {name: str(refs[name]) for name in names}


def _cache(fingerprint: str) -> str:
    """Head of the vectors of one encoder: a text seen before is never encoded again."""
    return f"vectors-{fingerprint}"
