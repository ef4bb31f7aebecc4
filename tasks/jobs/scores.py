"""From interests to recommendations: the backtest that chooses the blend and fills the evaluation card; the scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from tasks import schema
from tasks.jobs.corpus import TIME, events_until, newest_items
from tasks.jobs.live.keeping import keep_live
from tasks.jobs.state import INTAKE, TOPIC_MODEL, interests_at, sequence_at, topics_at
from tasks.jobs.vectors import histories, load_sequence
from tasks.jobs.workspace import Bag, Refs, bag_of, chosen, once, open_store, parse_as_of, progress, refs_of
from tasks.settings import Settings
from tasks.store import Ref, Store

if TYPE_CHECKING:
    from tasks.embeddings import State
    from tasks.scoring import Blend, ContentFeatures, Facts, IdMap, Interactions, Scorer

BLEND, CARD = "blend", "evaluation_card"
BLENDED = ("collaborative", "ease", "itemknn", "content", "sequence", "transition", "markov", "popularity")
"""Scorers of the blend; `tasks.scoring.recommend.PARTS` says which published part each counts under."""
MAIN = "hybrid"
METHODS = (MAIN, *BLENDED)
PROTOCOL = (
    "Global temporal split: everything is fitted on events before the cut; what a user wants from the cut on, among "
    "items new to them, is to be found in their top {k}. All items are ranked except those of the history. Blend "
    "weights are cross-fitted: each half of the users is measured with weights learned on the other half. Where a "
    "scorer alone is silent, popularity speaks. Intervals: 95 % bootstrap over users; tests: paired sign-flip "
    "permutation of the main method against each other one, two-sided."
)
"""How the card was measured; a figure without its protocol means nothing."""


def backtest(received: Mapping[str, Any]) -> Bag:
    """Run the same jobs as of an earlier time, learn the blend on half of the users and measure it on the other, twice.

    What happened in the last `holdout_days` is what is to be foretold. Gives references to the blend and the card.
    """
    settings = Settings()
    store, refs, as_of = open_store(settings), refs_of(received), received["as_of"]
    inputs = {
        **{name: str(refs[name]) for name in (*INTAKE, schema.TEXT_VECTORS.name, TOPIC_MODEL)},
        "as_of": as_of,
        "settings": settings.model_dump(mode="json", exclude={"home", "device", "shards", "keep_releases"}),
    }
    return bag_of(once(store, "backtest", inputs, lambda: _backtest(store, settings, refs, parse_as_of(as_of))))


def score(received: Mapping[str, Any], backtested: Mapping[str, Any]) -> Bag:
    """Recommend for every user, and for anyone unknown under `schema.EVERYONE`; gives the whole bag of references."""
    settings = Settings()
    store, as_of = open_store(settings), received["as_of"]
    refs = {**refs_of(received), **refs_of(backtested)}
    blocks = [t.name for t in (*schema.USER_BLOCKS, schema.ITEM_CONTENT, schema.TOPICS)]
    inputs = {
        **{name: str(refs[name]) for name in (*INTAKE, *blocks, BLEND)},
        "as_of": as_of,
        **chosen(settings, "factors", "ease_regularization", "popularity_half_life_days", "recommendations", "seed"),
    }
    made = once(store, "score", inputs, lambda: _score(store, settings, refs, parse_as_of(as_of)))
    return bag_of({**refs, **made}, as_of=as_of)


@dataclass(frozen=True)
class _Bench:
    """All that scoring needs at one time: id maps, histories and fitted scorers."""

    users: IdMap
    items: IdMap
    history: Interactions
    scorers: Mapping[str, Scorer]
    people: ContentFeatures
    state: State


def _bench(
    store: Store, settings: Settings, refs: Refs, events: pd.DataFrame, items: pd.DataFrame, as_of: datetime,
    more_users: Sequence[str] = (),
) -> _Bench:  # fmt: skip
    """Scorers fitted on `events`, for their users and `more_users`, of whom nothing is known."""
    from tasks import scoring

    known = np.sort(events[schema.USER_ID.name].unique())
    users = scoring.IdMap([*known, *sorted(set(more_users) - set(known))], personal=True)
    catalogue = scoring.IdMap(items[schema.ITEM_ID.name])
    history = scoring.Interactions.from_events(events, users, catalogue, as_of)
    frame = {table: store.read_frame(refs[table.name], table) for table in _CONTENT}
    people = scoring.ContentFeatures.of_users(users, frame[schema.USER_VECTORS], frame[schema.USER_TOPICS])
    content = scoring.ContentScorer(people, scoring.ContentFeatures.of_items(catalogue, frame[schema.ITEM_CONTENT]))
    model = load_sequence(store, settings, refs)
    state = model.states(histories(store, refs, events, items, users.ids.tolist()))
    scorers: list[Scorer] = [
        scoring.CollaborativeScorer(factors=settings.factors, seed=settings.seed),
        scoring.EASEScorer(settings.ease_regularization),
        scoring.ItemKNNScorer(),
        content,
        scoring.SequenceScorer(lambda who, _: model.scores(state.h[who])),
        scoring.TransitionScorer(),
        scoring.MarkovScorer(),
        scoring.PopularityScorer(settings.popularity_half_life_days),
    ]
    with progress("fit scorers", len(scorers)) as update:
        for scorer in scorers:
            scorer.fit(history)
            update(1)
    return _Bench(users, catalogue, history, {scorer.name: scorer for scorer in scorers}, people, state)


_CONTENT = (schema.USER_VECTORS, schema.USER_TOPICS, schema.ITEM_CONTENT)


def _backtest(store: Store, settings: Settings, refs: Refs, as_of: datetime) -> Refs:
    from tasks import evaluation, scoring

    cut = as_of - timedelta(days=settings.holdout_days)
    past = cut - timedelta(microseconds=1)  # an event at the cut itself is to be foretold, not known
    earlier = {name: refs[name] for name in (*INTAKE, schema.TEXT_VECTORS.name)}
    earlier |= topics_at(store, settings, earlier, past.isoformat(), None)
    earlier |= sequence_at(store, settings, earlier, past.isoformat())
    earlier |= interests_at(store, settings, earlier, past.isoformat())
    events, items = events_until(store, refs, as_of), newest_items(store, refs)
    before, wanted = evaluation.temporal(events, cut)
    evaluation.refuse_leak(before[TIME], cut, "backtest")
    bench = _bench(store, settings, earlier, before, items, past, wanted[schema.USER_ID.name].unique())
    targets = _matrix(wanted, bench)
    half = evaluation.halves(bench.users.ids)
    wanting = np.diff(targets.indptr) > 0
    k = settings.recommendations
    blends, who = [], []
    lists: dict[str, list[np.ndarray]] = {name: [] for name in METHODS}
    for learned, measured in ((~half, half & wanting), (half, ~half & wanting)):
        seen = scoring.evidence(bench.scorers, BLENDED, np.flatnonzero(learned), bench.history, targets)
        blends.append(scoring.learn(BLENDED, seen))
        rows = np.flatnonzero(measured)
        for name in METHODS:
            lists[name].append(_lists(blends[-1] if name == MAIN else _alone(name), bench, rows, k))
        who.append(rows)
    rows = np.concatenate(who)
    everyone = scoring.evidence(bench.scorers, BLENDED, np.arange(len(bench.users)), bench.history, targets)
    blend = scoring.learn(BLENDED, everyone)
    vectors = scoring.ContentFeatures.of_items(
        bench.items, store.read_frame(earlier[schema.ITEM_CONTENT.name], schema.ITEM_CONTENT)
    ).long_term
    card = evaluation.card(
        {name: np.concatenate(parts) for name, parts in lists.items()},
        targets[rows], bench.history.counts(), cut=cut, as_of=as_of, seed=settings.seed, k=k, vectors=vectors,
        protocol=PROTOCOL,
        facts={"events_before": len(before), "users_before": int(before[schema.USER_ID.name].nunique())},
    )  # fmt: skip
    parents = list(earlier.values())
    return {
        BLEND: store.put_json(BLEND, blend.to_json(), parents=parents),
        CARD: store.put_json(CARD, card, parents=parents),
    }


def _score(store: Store, settings: Settings, refs: Refs, as_of: datetime) -> Refs:
    from tasks import scoring

    events, items = events_until(store, refs, as_of), newest_items(store, refs)
    bench = _bench(store, settings, refs, events, items, as_of, [schema.EVERYONE])
    blend = scoring.Blend.from_json(store.read_json(refs[BLEND]))
    activity = store.read_frame(refs[schema.USER_ACTIVITY.name], schema.USER_ACTIVITY)
    languages = activity.dropna(subset="language").set_index(schema.USER_ID.name)["language"].to_dict()
    facts = _facts(store, refs, bench, items)
    who = np.arange(len(bench.users))
    parts: list[Ref] = []
    with progress("recommend", len(who)) as update:
        for frame in scoring.stream(
            blend, bench.scorers, bench.history, who, bench.users, bench.items, languages, facts, as_of,
            k=settings.recommendations,
        ):  # fmt: skip
            parts.append(store.put_frame(frame, schema.RECOMMENDATIONS))
            update(len(frame))
    shown = store.put_union(schema.RECOMMENDATIONS, parts, parents=list(refs.values()))
    kept = keep_live(store, settings, refs, events, bench.users, bench.state, bench.people, bench.scorers)
    return {schema.RECOMMENDATIONS.name: shown, **kept}


def _facts(store: Store, refs: Refs, bench: _Bench, items: pd.DataFrame) -> Facts:
    """What reasons may cite."""
    from tasks import scoring

    content = store.read_frame(refs[schema.ITEM_CONTENT.name], schema.ITEM_CONTENT)
    features = scoring.ContentFeatures.of_items(bench.items, content)
    topics = store.read_frame(refs[schema.TOPICS.name], schema.TOPICS)
    ordered = items.set_index(schema.ITEM_ID.name).loc[bench.items.ids]
    collaborative = bench.scorers["collaborative"]
    return scoring.Facts(
        titles=by_language(ordered, "title"),
        topic_labels=by_language(topics.sort_values("topic_id"), "label"),
        user_topics=bench.people.topics,
        item_topics=features.topics,
        taste=collaborative.item_factors,  # type: ignore[attr-defined]
        content=features.long_term,
    )


def by_language(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """Values of `column` in each language; those of the first language where another has none."""
    first = frame[column]
    rest = {code: frame[f"{column}_{code}"].fillna(first).to_numpy() for code in schema.LANGUAGES[1:]}
    return {schema.LANGUAGES[0]: first.to_numpy(), **rest}


def _alone(name: str) -> Blend:
    """One scorer by itself; where it is silent popularity speaks, so that a baseline is not beaten for being silent."""
    from tasks.scoring import Blend

    return Blend.of([name], np.ones(1)) if name == "popularity" else Blend.of([name, "popularity"], np.array([1.0, 0]))


def _lists(blend: Blend, bench: _Bench, who: np.ndarray, k: int) -> np.ndarray:
    """Top `k` items (u, k) of the users `who`, −1 where there are fewer."""
    from tasks.scoring import top

    return np.concatenate([block.items for block in top(blend, bench.scorers, bench.history, who, k)])


def _matrix(wanted: pd.DataFrame, bench: _Bench) -> sparse.csr_matrix:
    """Wanted pairs as a matrix (users, items)."""
    rows, columns = bench.users.index(wanted[schema.USER_ID.name]), bench.items.index(wanted[schema.ITEM_ID.name])
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(bench.users), len(bench.items)))
