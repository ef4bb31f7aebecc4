"""The methods that the ranking benchmark compares, and the settings each may be tried with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ranking_inputs import Corpus
from tasks import schema
from tasks.embeddings.histories import NONE, Histories
from tasks.embeddings.sequence import SequenceConfig, SequenceModel
from tasks.embeddings.training import batch_users, fit_sequence
from tasks.scoring import (
    CollaborativeScorer,
    ContentFeatures,
    ContentScorer,
    EASEScorer,
    Interactions,
    ItemKNNScorer,
    MarkovScorer,
    PopularityScorer,
    Scorer,
    SequenceScorer,
    TransitionScorer,
)

RECENCY = (1.0, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True)
class Method:
    """How a scorer is made and fitted with each of `fits`, and which attributes of the fitted one may then be set.

    The settings of `fits` are tried in their order until the time for tuning is spent; `after` cost no fit.
    """

    make: Callable[..., Scorer]
    fits: tuple[Mapping[str, Any], ...] = ({},)
    after: tuple[Mapping[str, Any], ...] = ({},)


def grid(**choices: tuple[Any, ...]) -> tuple[Mapping[str, Any], ...]:
    """All combinations of the choices, the last named varying fastest."""
    return tuple(dict(zip(choices, values, strict=True)) for values in product(*choices.values()))


def methods(corpus: Corpus, lstm: Learning, seed: int) -> dict[str, Method]:
    """The methods that this corpus allows: content only where there is text or an attribute."""
    found = {
        "popularity": Method(PopularityScorer),
        "markov": Method(MarkovScorer),
        "itemknn": Method(
            ItemKNNScorer, grid(shrinkage=(20.0, 50.0, 5.0, 0.0), neighbours=(None, 200)), grid(decay=RECENCY)
        ),
        "ease": Method(EASEScorer, grid(regularization=(150.0, 500.0, 50.0)), grid(decay=RECENCY)),
        "ials": Method(
            lambda **given: CollaborativeScorer(seed=seed, name="ials", **given),
            grid(factors=(128, 64), regularization=(1.0, 10.0, 0.1), alpha=(8.0, 1.0)),
            grid(recency=RECENCY),
        ),
        "transition": Method(
            lambda **given: TransitionScorer(attributes=corpus.attributes, **given),
            _transitions(corpus),
            grid(recency=RECENCY),
        ),
        "sequence": Method(lambda **given: _Sequence(corpus, lstm, given, seed), tuple(lstm.settings)),
    }
    if corpus.vectors is not None or corpus.attributes is not None:
        features = _content(corpus)
        nobody = np.broadcast_to(np.float32(np.nan), (corpus.train.n_users, features.shape[1]))
        sides = ContentFeatures("items", nobody, nobody), ContentFeatures("items", features, features)
        found["content"] = Method(
            lambda: ContentScorer(*sides, short_share=0, topic_share=0), after=grid(decay=RECENCY)
        )
    return found


def _transitions(corpus: Corpus) -> tuple[Mapping[str, Any], ...]:
    """Settings of the transition scorer, those that did well elsewhere first."""
    shares = (1.0, 0.0) if corpus.attributes is not None else (0.0,)
    return tuple(
        {"decay": decay, "ahead": ahead, "regularization": strength, "attribute_share": share}
        for (decay, ahead), strength, share in product(((0.5, 0.5), (0.7, 0.7), (0.3, 0.5)), (50.0, 150.0), shares)
    )


def _content(corpus: Corpus) -> np.ndarray:
    """What is known of each item's text and attributes side by side (m, d); NaN where neither."""
    blocks = [corpus.vectors] if corpus.vectors is not None else []
    if corpus.attributes is not None:
        blocks.append(corpus.attributes.toarray())
    unknown = np.all([np.isnan(b).any(axis=1) | ~b.any(axis=1) for b in blocks], axis=0)
    features = np.hstack([np.nan_to_num(b) for b in blocks])
    features[unknown] = np.nan
    return features


@dataclass(frozen=True)
class Learning:
    """How the LSTM is trained, and which of its `settings` are tried, in their order until the time is spent.

    `tried` are the users whose validation items tell after each epoch how good it is. `models` are trained, each from
    a seed of its own, and their log-probabilities averaged. With a folder `keep` the best model so far lies there, and
    a later run takes it from there: a run cut short goes on with what it had reached.
    """

    device: str
    epochs: int
    tried: np.ndarray
    settings: Sequence[Mapping[str, Any]] = ({},)
    models: int = 1
    keep: Path | None = None


@dataclass
class _Sequence:
    """The LSTM as a scorer; the states of each set of histories are computed once."""

    corpus: Corpus
    how: Learning
    given: Mapping[str, Any]
    seed: int
    name: str = "sequence"
    scorer: SequenceScorer | None = None
    states: dict[tuple[int, int], tuple[Interactions, np.ndarray]] = field(default_factory=dict)

    def fit(self, interactions: Interactions) -> _Sequence:
        """Train on `interactions`, or take the models that an earlier run kept."""
        histories = as_histories(interactions)
        usual = {"batch_users": batch_users(histories, SequenceConfig.max_length)}
        config = SequenceConfig(**(usual | dict(self.given)))
        models = [self._model(histories, config, self.seed + place) for place in range(self.how.models)]
        self.states.clear()

        def logits(users: np.ndarray, history: Interactions) -> np.ndarray:
            said = (model.scores(self._states(place, model, history)[users]) for place, model in enumerate(models))
            return np.asarray(sum(said) / len(models), dtype=np.float32)

        self.scorer = SequenceScorer(logits)
        return self

    def scores(self, users: np.ndarray, history: Interactions) -> np.ndarray:
        """Log-probabilities of the next item (b, m)."""
        assert self.scorer is not None, "fit before asking for scores"
        return self.scorer.scores(users, history)

    def _states(self, place: int, model: SequenceModel, history: Interactions) -> np.ndarray:
        if (place, id(history)) not in self.states:
            self.states[place, id(history)] = history, model.states(as_histories(history)).h
        return self.states[place, id(history)][1]

    def _model(self, histories: Histories, config: SequenceConfig, seed: int) -> SequenceModel:
        folder = self.how.keep / self._name(histories, config, seed) if self.how.keep else None
        if folder is not None and folder.is_dir():
            return SequenceModel.load(folder, device=self.how.device)
        answers = np.full(len(histories), NONE, np.int64)
        answers[self.how.tried] = self.corpus.validation[self.how.tried]
        return fit_sequence(
            histories,
            self._vectors(),
            item_ids=self.corpus.items.ids.tolist(),
            encoder=self.corpus.encoder or "attributes",
            config=config,
            seed=seed,
            device=self.how.device,
            epochs=self.how.epochs,
            answers=answers,
            better=None if folder is None else lambda model: model.save(folder),
        )

    def _vectors(self) -> np.ndarray:
        """What is known of the items (m, d), zeros where nothing is."""
        if self.corpus.vectors is None and self.corpus.attributes is None:
            return np.zeros((len(self.corpus.items), 1), np.float32)
        return np.nan_to_num(_content(self.corpus))

    def _name(self, histories: Histories, config: SequenceConfig, seed: int) -> str:
        """A name for the model that this data, these settings and this seed give."""
        said = hashlib.sha256(json.dumps([asdict(config), seed], sort_keys=True).encode())
        for array in (histories.offsets, histories.items.astype(np.int64), self._vectors()):
            said.update(np.ascontiguousarray(array).tobytes())
        return f"{self.name}-{said.hexdigest()[:16]}"


def as_histories(interactions: Interactions) -> Histories:
    """The same histories in the form that the sequence model reads; only the order is known."""
    events = len(interactions.items)
    return Histories(
        offsets=interactions.indptr,
        items=interactions.items.astype(np.int32),
        seconds=np.zeros(events, np.int64),
        kinds=np.full(events, schema.KINDS.index("purchase"), np.int16),
        ratings=np.full(events, np.nan, np.float32),
        texts=np.full(events, NONE, np.int32),
    )
