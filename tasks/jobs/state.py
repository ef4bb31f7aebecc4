"""What is known at a time: topics, sequence model and interests as of `as_of`, for a refresh and for a backtest.

Each function computes once for the same inputs and finds its artifacts the next time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from tasks import schema
from tasks.errors import NotEnoughData
from tasks.jobs.corpus import TEXT, distinct_texts, events_until, newest_items, words_of
from tasks.jobs.vectors import SEQUENCE_MODEL, histories, item_vectors, load_sequence, text_vectors
from tasks.jobs.workspace import Refs, chosen, once, parse_as_of, progress
from tasks.settings import Settings
from tasks.store import Ref, Store

TOPIC_MODEL, TOPIC_LEDGER = "topic_model", "topic_ledger"
PREVIOUS = "previous"
"""Input of a topic model: the one before it, to whose topics it stays true."""
LABELS = "labels"
"""Fact of a topic model: the descriptions that were published with it, so that labels last."""
SENTIMENT_MODEL = "sentiment_model"
STEPS = 16
"""Least steps of the optimiser in an epoch."""
INTAKE = (schema.EVENTS.name, schema.ITEMS.name)
_HASH, _VECTOR = schema.TEXT_HASH.name, schema.TEXT_VECTORS["vector"].name


def topics_at(store: Store, settings: Settings, refs: Refs, as_of: str, previous: Ref | None) -> Refs:
    """Topic model, what became of each earlier topic, descriptions and topic mixes from what was known at `as_of`."""
    inputs = {**_fitted_from(settings, refs, as_of), PREVIOUS: previous.to_json() if previous else None}
    return once(store, "topics", inputs, lambda: _topics(store, settings, refs, as_of, previous, inputs))


def previous_topics(store: Store, settings: Settings, refs: Refs, as_of: str) -> Ref | None:
    """The newest topic model that was not fitted from these very inputs; None before the first."""
    newest = store.head(TOPIC_MODEL)
    if newest is None:
        return None
    inputs = dict(store.meta(newest).settings)
    before = inputs.pop(PREVIOUS, None)
    if inputs != _fitted_from(settings, refs, as_of):
        return newest
    return Ref.from_json(before) if before else None


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


def _fitted_from(settings: Settings, refs: Refs, as_of: str) -> dict[str, Any]:
    """What a topic model depends on, besides the one before it."""
    return {**_addresses(refs, *INTAKE), "as_of": as_of, **chosen(settings, "topics", "topic_passes", "seed")}


def _topics(
    store: Store, settings: Settings, refs: Refs, as_of: str, previous: Ref | None, inputs: Mapping[str, Any]
) -> Refs:
    from tasks.topics import TopicModel, describe_topics, fit_topics, pooled_documents, stable_topics

    when = parse_as_of(as_of)
    events, items = events_until(store, refs, when), newest_items(store, refs)
    texts = distinct_texts(events, items)
    words = words_of(texts)
    documents = pooled_documents(events, items, tokens=words)
    with progress("topics", settings.topic_passes) as update:
        model = fit_topics(
            documents, n_topics=settings.topics, passes=settings.topic_passes, seed=settings.seed, progress=update
        )
    made: Refs = {}
    about: dict[str, Any] = {"parents": [refs[name] for name in INTAKE], "settings": inputs}
    labels = None
    if previous:
        stable = stable_topics(TopicModel.load(store.folder(previous)), model)
        model, fates = stable.model, {"topics": stable.ledger.to_dict("records")}
        labels = store.read_frame(Ref.from_json(store.meta(previous).facts[LABELS]), schema.TOPICS)
        made[TOPIC_LEDGER] = store.put_json(TOPIC_LEDGER, fates, parents=[previous])
    described = store.put_frame(describe_topics(model, documents, as_of=when, previous=labels), schema.TOPICS, **about)
    with store.writing(TOPIC_MODEL) as folder:
        model.save(folder)
        made[TOPIC_MODEL] = store.seal(folder, TOPIC_MODEL, facts={LABELS: described.to_json()}, **about)
    mix = list(model.infer([words[key] for key in texts[_HASH]]))
    mixes = pd.DataFrame({_HASH: texts[_HASH], schema.TEXT_TOPICS["topic_mix"].name: mix})
    return {
        **made,
        schema.TOPICS.name: described,
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
            item_vectors(store, refs, events, items),
            item_ids=items[schema.ITEM_ID.name].tolist(),
            encoder=str(encoder.iloc[0, 0]),
            config=SequenceConfig(
                state_size=settings.state_size, max_length=settings.history, batch_users=_batch_users(len(users))
            ),
            seed=settings.seed,
            device=settings.device,
            epochs=settings.sequence_epochs,
            progress=update,
        )
    with store.writing(SEQUENCE_MODEL) as folder:
        fitted.save(folder)
        parents = [refs[name] for name in (*INTAKE, schema.TEXT_VECTORS.name)]
        return {SEQUENCE_MODEL: store.seal(folder, SEQUENCE_MODEL, parents=parents, settings=inputs)}


def _batch_users(users: int) -> int:
    """Users in a training batch: few where there are few, so that an epoch is some sixteen steps at least."""
    return int(np.clip(users // STEPS, 8, 128))


def _interests(store: Store, settings: Settings, refs: Refs, as_of: str, inputs: Mapping[str, Any]) -> Refs:
    from tasks import interests

    when = parse_as_of(as_of)
    events, items = events_until(store, refs, when), newest_items(store, refs)
    texts = distinct_texts(events, items)
    tokens = words_of(texts)
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
