"""One release in working order: from events that were pushed since, the rows that its readers should see.

Everything comes from the artifacts that the release's manifest names, so a push computes what the release's own jobs
would have computed: the same scorers, blend, items, LSTM and half-lives; only users move.

Memory: the item side of the scorers (EASE: 4 bytes × items²), item vectors (4 d bytes an item), the LSTM and the
encoder's weights; users stay on disk (`tasks.jobs.live.base`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks import schema
from tasks.errors import ReleaseError
from tasks.jobs.corpus import newest_items
from tasks.jobs.live.base import LIVE_BASE, Base, People
from tasks.jobs.live.keeping import SCORERS, kept_settings, load_scorers
from tasks.jobs.live.log import Logged
from tasks.jobs.scores import BLEND, by_language
from tasks.jobs.vectors import SEQUENCE_MODEL, load_sequence
from tasks.jobs.workspace import Refs
from tasks.settings import Settings
from tasks.store import Ref, Store

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.embeddings import Encoder, Histories, State
    from tasks.quality.online import OnlineCheck
    from tasks.releases.manifest import Manifest
    from tasks.scoring import Blend, ContentFeatures, ContentScorer, Facts, IdMap, Scorer

Frames = dict[str, pd.DataFrame]
"""Rows by name of served table."""
_USER, _ITEM, _HASH, _AS_OF = schema.USER_ID.name, schema.ITEM_ID.name, schema.TEXT_HASH.name, schema.AS_OF.name
_TIME, _TEXT, _VECTOR = schema.EVENTS["event_time"].name, schema.EVENTS["text"].name, schema.TEXT_VECTORS["vector"].name


@dataclass(frozen=True)
class LiveRelease:
    """What a push to one release needs at hand."""

    manifest: Manifest
    refs: Refs
    store: Store
    settings: Settings
    base: Base
    encoder: Encoder
    check: OnlineCheck
    sequence: Any
    """`tasks.embeddings.SequenceModel`"""
    represented: Tensor
    """(m, w) what stands for each item in the sequence model."""
    catalogue: IdMap
    about: ContentFeatures
    """Content of the items, in the order of `catalogue`."""
    item_ids: pd.Index
    """The items that have content, and so a vector."""
    item_vectors: NDArray[np.float32]
    """(number of `item_ids`, d)"""
    scorers: Mapping[str, Scorer]
    content: ContentScorer
    """Of the items; its users come and go."""
    blend: Blend
    facts: Facts

    @property
    def name(self) -> str:
        """Name of the release."""
        return self.manifest.name

    def pending(self, logged: Logged) -> Logged:
        """The events that this release was computed without and can take in.

        Those about an item that it does not know wait: they were pushed to a later release, and this one was gone
        back to.
        """
        if not len(logged.events):
            return logged
        known, _ = self.base.known.find(logged.events, schema.EVENTS)
        items = logged.events[_ITEM]
        foreign = items.notna().to_numpy() & (self.catalogue.find(items) < 0)
        return replace(logged, events=logged.events[~known & ~foreign])

    def vectors(self, logged: Logged) -> dict[str, NDArray[np.float32]]:
        """The vector of every text of `logged`; those that were kept in another space are made anew."""
        texts = logged.events.dropna(subset=_HASH).drop_duplicates(_HASH)
        lacking = texts[~texts[_HASH].isin(list(logged.vectors))]
        made = self.encoder.encode(lacking[_TEXT].tolist()) if len(lacking) else ()
        return {**logged.vectors, **dict(zip(lacking[_HASH], made, strict=True))}

    def state(self, people: People, events: pd.DataFrame, vectors: Mapping[str, NDArray[np.float32]]) -> State:
        """The LSTM's state of each of `people` after `events` too, in order of time.

        It steps on from where the release left each; one whose new event is older than what was read then is read
        anew from the beginning, because the state depends on the order.
        """
        stepped: State = self.sequence.step(
            people.state, self._histories(events, people.users, vectors), self.represented
        )
        first = events.groupby(_USER)[_TIME].min().reindex(people.users)
        latest = pd.to_datetime(people.long.latest, unit="us", utc=True)
        late = np.flatnonzero((first < latest).to_numpy())
        if len(late):
            users = [people.users[place] for place in late]
            both = pd.concat([people.events, events[people.events.columns]], ignore_index=True)
            both = both[both[_USER].isin(users)].sort_values(_TIME, kind="stable", ignore_index=True)
            anew = self.sequence.states(self._histories(both, users, {**self._kept(both), **vectors}))
            stepped.h[late], stepped.c[late], stepped.seconds[late] = anew.h, anew.c, anew.seconds
        return stepped

    def rows(self, users: Sequence[str], logged: Logged, parts: dict[str, float] | None = None) -> Frames:
        """Rows of vectors, evolution, activity and recommendations of `users` (unique), each with an event in `logged`.

        A row is as of the arrival of the user's last event. `parts` collects how many milliseconds `step` and `score`
        took.
        """
        from tasks import interests

        parts = {} if parts is None else parts
        with timed(parts, "step"):
            people, events = self.base.people(users), logged.events[logged.events[_USER].isin(users)]
            vectors = self.vectors(replace(logged, events=events))
            whole = pd.concat([people.events, events[people.events.columns]], ignore_index=True)
            as_of: datetime = whole[_TIME].max().to_pydatetime()
            state = self.state(people, events, vectors)
            tastes = self._tastes(people, events, vectors, as_of)
            model = self.refs[SEQUENCE_MODEL].version
            frames = {
                schema.USER_VECTORS.name: tastes,
                schema.USER_EVOLUTION.name: interests.user_evolution(state.h, users, tastes, model=model, as_of=as_of),
                schema.USER_ACTIVITY.name: interests.user_activity(whole, as_of=as_of),
            }
        with timed(parts, "score"):
            spoken = frames[schema.USER_ACTIVITY.name].set_index(_USER)["language"].dropna().to_dict()
            frames[schema.RECOMMENDATIONS.name] = self._recommended(people, whole, tastes, state, spoken, as_of)
        dated = self._dated(logged.arrived.loc[events.index])
        return {name: frame.assign(**{_AS_OF: frame[_USER].map(dated)}) for name, frame in frames.items()}

    def _dated(self, arrived: pd.DataFrame) -> pd.Series:
        """Event time of each user's rows: later than the release and than any row before, whatever the clocks say.

        The arrival of the last event, or the release's time where the database's clock is behind that, and a
        microsecond for each event that the log has ever had.
        """
        last = arrived.groupby(_USER)[["pushed_at", "seq"]].max()
        times = last["pushed_at"].dt.tz_convert("UTC").clip(lower=pd.Timestamp(self.manifest.as_of))
        return times + pd.to_timedelta(last["seq"], unit="us")

    def _tastes(
        self, people: People, events: pd.DataFrame, vectors: Mapping[str, NDArray[np.float32]], as_of: datetime
    ) -> pd.DataFrame:
        from tasks.interests.running import Space, carried_on, vectors_of

        said = np.array(list(vectors.values()), np.float32).reshape(-1, self.base.vector)
        space = Space(pd.Index(list(vectors), dtype=object), said, self.item_ids, self.item_vectors)
        rows = pd.Index(people.users).get_indexer(events[_USER])
        long, short = (
            carried_on(before, rows, events, space, half_life_days=days)
            for before, days in (
                (people.long, self.settings.long_half_life_days),
                (people.short, self.settings.short_half_life_days),
            )
        )
        return vectors_of(people.users, long, short, encoder=self.encoder.fingerprint, as_of=as_of)

    def _recommended(
        self, people: People, events: pd.DataFrame, tastes: pd.DataFrame, state: State,
        languages: Mapping[str, str], as_of: datetime,
    ) -> pd.DataFrame:  # fmt: skip
        from tasks import scoring
        from tasks.scoring.content import aligned

        who = scoring.IdMap(people.users, personal=True)
        ordered = events.sort_values(_TIME, kind="stable", ignore_index=True)
        history = scoring.Interactions.from_events(ordered, who, self.catalogue, as_of)
        at = who.find(tastes[_USER])
        unknown = np.full((len(who), self.base.vector), np.nan, np.float32)
        long, short = (
            aligned(tastes[name], at, len(who)) if len(tastes) else unknown for name in ("long_term", "short_term")
        )
        mine = scoring.ContentFeatures(self.encoder.fingerprint, long, short, people.topics)
        scorers = {
            **self.scorers,
            "content": self.content.for_users(mine),
            "sequence": scoring.SequenceScorer.from_states(state.h, self.represented.cpu().numpy()),
        }
        facts = replace(self.facts, user_topics=people.topics)
        return scoring.recommend(
            self.blend, scorers, history, np.arange(len(who)), who, self.catalogue, languages, facts, as_of,
            k=self.settings.recommendations,
        )  # fmt: skip

    def _histories(
        self, events: pd.DataFrame, users: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]
    ) -> Histories:
        from tasks.embeddings import build_histories

        matrix = np.array(list(vectors.values()), np.float32).reshape(-1, self.base.vector)
        return build_histories(
            events, self.catalogue.ids.tolist(), users, text_hashes=list(vectors), text_vectors=matrix
        )

    def _kept(self, events: pd.DataFrame) -> dict[str, NDArray[np.float32]]:
        """The vectors of the texts of `events` that the release has; reads the whole table of vectors, file by file."""
        hashes = events[_HASH].dropna().unique()
        names, matrix = self.store.read_matrix(
            self.refs[schema.TEXT_VECTORS.name], schema.TEXT_VECTORS, _VECTOR, hashes
        )
        return dict(zip(names, matrix, strict=True))


def open_release(store: Store, settings: Settings, manifest: Manifest, encoder: Encoder | None = None) -> LiveRelease:
    """Get one release ready, with `encoder` where it is the right one; seconds. Raises `ReleaseError` where it cannot.

    Artifacts that are missing raise `ArtifactError`; vectors of another encoder than the settings' `SpaceMismatch`.
    """
    from tasks import scoring
    from tasks.embeddings import check_space
    from tasks.interests.evidence import stacked
    from tasks.quality.online import OnlineCheck

    refs = {name: Ref(name, address.split("@")[1]) for name, address in manifest.refs.items()}
    if LIVE_BASE not in refs or SCORERS not in refs:
        raise ReleaseError(f"release {manifest.name} was made before events could be pushed; score and publish again")
    encoder = encoder or load_encoder(settings)
    folder = store.folder(refs[LIVE_BASE])
    changes: dict[str, dict[str, Any]] = {rule: dict(change.items()) for rule, change in settings.rules.items()}
    items = newest_items(store, refs)
    catalogue = scoring.IdMap(items[_ITEM])
    content = store.read_frame(refs[schema.ITEM_CONTENT.name], schema.ITEM_CONTENT)
    check_space(str(content["encoder"].iloc[0]), encoder.fingerprint)
    about = scoring.ContentFeatures.of_items(catalogue, content)
    sequence = load_sequence(store, settings, refs)
    scorers = load_scorers(store.folder(refs[SCORERS]))
    topics = store.read_frame(refs[schema.TOPICS.name], schema.TOPICS).sort_values("topic_id")
    facts = scoring.Facts(
        titles=by_language(items, "title"),
        topic_labels=by_language(topics, "label"),
        item_topics=about.topics,
        taste=scorers["collaborative"].item_factors,  # type: ignore[attr-defined]
        content=about.long_term,
    )
    return LiveRelease(
        manifest, refs, store, kept_settings(settings, folder), Base(folder), encoder,
        OnlineCheck(schema.EVENTS, known_items=pd.Index(sorted(items[_ITEM])),
                    future_tolerance_hours=settings.future_tolerance_hours, changes=changes),
        sequence, sequence.items().detach(), catalogue, about,
        pd.Index(content[_ITEM]), stacked(content[_VECTOR], schema.ITEM_CONTENT.name), scorers,
        scoring.ContentScorer(_nobody(about), about),
        scoring.Blend.from_json(store.read_json(refs[BLEND])), facts,
    )  # fmt: skip


def _nobody(items: ContentFeatures) -> ContentFeatures:
    """No users, in the space of `items`."""
    return replace(items, long_term=items.long_term[:0], short_term=items.short_term[:0], topics=items.topics[:0])


@contextmanager
def timed(parts: dict[str, float], name: str) -> Iterator[None]:
    """Add the milliseconds that the block takes to those of part `name`."""
    began = time.perf_counter()
    try:
        yield
    finally:
        parts[name] = parts.get(name, 0.0) + 1_000 * (time.perf_counter() - began)


def load_encoder(settings: Settings) -> Encoder:
    """The encoder that the settings name."""
    from tasks.embeddings import Encoder

    return Encoder.load(
        settings.encoder,
        device=settings.device,
        max_tokens=settings.encoder_max_tokens,
        batch_size=settings.encoder_batch,
    )
