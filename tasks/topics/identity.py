"""Topics keep their identity: each new fit is matched to the last, and ids are carried over, given or retired."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from tasks.topics.distance import SAME, jensen_shannon
from tasks.topics.model import TopicModel

Fate = Literal["kept", "born", "split", "died", "merged"]


@dataclass(frozen=True)
class TopicMatch:
    """Which topic of a new model is which topic of an old one, by row."""

    old: np.ndarray
    """Rows of the old model that found themselves again (m,)."""
    new: np.ndarray
    """The row of the new model that each of them became (m,)."""
    distances: np.ndarray
    """Jensen–Shannon distance of every old row to every new row (k_old, k_new)."""


def match_topics(old: TopicModel, new: TopicModel, *, most_distance: float = SAME) -> TopicMatch:
    """The one-to-one match of topics with the least sum of distances (Hungarian method: Kuhn, 1955).

    Distances are Jensen–Shannon distances between topic-word distributions over the union of both vocabularies, a
    metric in [0, 1] (Endres and Schindelin, 2003). A pair further apart than `most_distance` is no match, and no good
    pair is given up to bring two bad ones closer.
    """
    distances = topic_distances(old, new)
    rows, columns = linear_sum_assignment(np.minimum(distances, most_distance))
    good = distances[rows, columns] < most_distance
    return TopicMatch(rows[good], columns[good], distances)


def topic_distances(old: TopicModel, new: TopicModel) -> np.ndarray:
    """Jensen–Shannon distance (base 2) of every topic of `old` to every topic of `new` (k_old, k_new), in [0, 1]."""
    union = old.vocabulary.grown(new.vocabulary.words)
    left, right = _over(union.column, old), _over(union.column, new)
    return jensen_shannon(left, right)


def stable_topics(previous: TopicModel, fitted: TopicModel, *, most_distance: float = SAME) -> StableTopics:
    """`fitted` with the ids of `previous` wherever a topic is the same, and the ledger of what became of each topic.

    A topic that matches keeps its id. A new one gets an id that was never used: it was *born*, or *split* off where
    it is still within `most_distance` of an old topic that lives on. An old one without a match *died*, or *merged*
    where a new topic within that distance is another one's continuation. Rows are put in the order of ids.
    """
    match = match_topics(previous, fitted, most_distance=most_distance)
    ids = np.full(fitted.n_topics, -1, dtype=np.int64)
    ids[match.new] = np.asarray(previous.topic_ids)[match.old]
    fresh = np.flatnonzero(ids < 0)
    ids[fresh] = previous.next_id + np.arange(len(fresh))
    order = np.argsort(ids, kind="stable")
    model = replace(
        fitted, weights=fitted.weights[order], alpha=fitted.alpha[order], topic_ids=tuple(ids[order].tolist()),
        next_id=previous.next_id + len(fresh),
    )  # fmt: skip
    return StableTopics(model, _ledger(np.asarray(previous.topic_ids), ids, match, most_distance))


@dataclass(frozen=True)
class StableTopics:
    """A fitted model under lasting ids, and what became of each topic."""

    model: TopicModel
    ledger: pd.DataFrame
    """One row per topic old or new, by id: `topic_id`, `fate` (kept, born, split, died, merged), `distance` to itself
    in the other model or to the nearest topic there, and `nearest`, the id of that topic."""


def _ledger(old_ids: np.ndarray, new_ids: np.ndarray, match: TopicMatch, most_distance: float) -> pd.DataFrame:
    """One row per topic of either model; see `StableTopics.ledger`."""
    came = np.setdiff1d(np.arange(len(new_ids)), match.new)
    went = np.setdiff1d(np.arange(len(old_ids)), match.old)
    parents, heirs = match.distances[:, came].argmin(axis=0), match.distances[went].argmin(axis=1)
    near_parent, near_heir = match.distances[parents, came], match.distances[went, heirs]
    parts = (
        (
            old_ids[match.old],
            np.full(len(match.old), "kept"),
            match.distances[match.old, match.new],
            old_ids[match.old],
        ),
        (new_ids[came], np.where(near_parent < most_distance, "split", "born"), near_parent, old_ids[parents]),
        (old_ids[went], np.where(near_heir < most_distance, "merged", "died"), near_heir, new_ids[heirs]),
    )
    topic_id, fate, distance, nearest = (np.concatenate(column) for column in zip(*parts, strict=True))
    columns = {"topic_id": topic_id, "fate": fate, "distance": distance.astype(np.float32), "nearest": nearest}
    return pd.DataFrame(columns).sort_values("topic_id", ignore_index=True)


def _over(column: dict[str, int], model: TopicModel) -> np.ndarray:
    """Topic-word distributions over a larger vocabulary (k, v'), zero for words that the model does not know."""
    shares = np.zeros((model.n_topics, len(column)))
    shares[:, [column[word] for word in model.vocabulary.words]] = model.word_shares
    return shares
