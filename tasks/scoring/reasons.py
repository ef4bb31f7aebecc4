"""Why an item is recommended: one sentence in the user's language, built from facts in the data and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import schema
from tasks.scoring.content import unit
from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Mask, Scores

TOPIC_SHARE = 0.1  # a topic is given as the reason where it makes up this share of both the user's and the item's text
RECENT = 50  # liked items looked at for the nearest one
SENTENCES = {
    "en": {
        "collaborative": "People who liked “{title}” also liked this.",
        "collaborative_alone": "People with a taste like yours liked this.",
        "content_topic": "Because you wrote about {topic}.",
        "content_item": "It is close to “{title}”.",
        "content_alone": "It fits what you wrote.",
        "sequence": "A likely next step after “{title}”.",
        "popularity": "Popular at the moment.",
        "unknown": "Popular at the moment; we do not know your taste yet.",
    },
    "zh": {
        "collaborative": "喜欢“{title}”的人也喜欢它。",
        "collaborative_alone": "和你口味相近的人喜欢它。",
        "content_topic": "因为你写到过{topic}。",
        "content_item": "它和“{title}”很接近。",
        "content_alone": "它符合你写过的内容。",
        "sequence": "在“{title}”之后，接下来很可能是它。",
        "popularity": "近来很受欢迎。",
        "unknown": "近来很受欢迎；我们还不了解你的喜好。",
    },
}


@dataclass(frozen=True)
class Facts:
    """What reasons may cite, by index of the id maps; `titles` and `topic_labels` by language.

    `titles[language]` (m,); `user_topics` (n, t) and `item_topics` (m, t) mixes with `topic_labels[language]` (t,);
    `taste` (m, f) and `content` (m, d) item vectors in which a near liked item is looked for. All but the titles may be
    left empty: then the plainer sentence is used.
    """

    titles: Mapping[str, NDArray[Any]]
    topic_labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    user_topics: Scores = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    item_topics: Scores = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    taste: Scores = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    content: Scores = field(default_factory=lambda: np.zeros((0, 0), np.float32))


def reasons(
    parts: Scores,
    silent: Mask,
    users: Indices,
    items: Indices,
    history: Interactions,
    languages: list[str],
    facts: Facts,
) -> list[list[str]]:
    """A sentence for each item of each user, the part that gave most deciding which.

    `parts` and `silent` (4, b, k) in the order of `schema.SCORERS`; `items` (b, k) with −1 where there is none;
    `languages` (b,) codes of `schema.LANGUAGES`.
    """
    given = np.where(silent, -np.inf, parts)
    winner: Indices = np.asarray(given.argmax(axis=0))
    alone: Mask = np.asarray(silent[:-1].all(axis=0))  # only popularity, the last, had something to say
    topic = _shared_topic(users, items, facts)
    liked = nearest_liked(users, items, history, facts.taste)
    close = nearest_liked(users, items, history, facts.content)
    latest = history.latest()[users]
    rows = []
    for row, language in enumerate(languages):
        say, titles = SENTENCES[language], facts.titles[language]
        labels = facts.topic_labels.get(language, np.empty(0, object))
        sentences = []
        for place in np.flatnonzero(items[row] >= 0):
            scorer = schema.SCORERS[winner[row, place]]
            if alone[row, place]:
                sentence = say["popularity" if latest[row] >= 0 else "unknown"]
            elif scorer == "collaborative":
                sentence = _titled(say, scorer, titles, liked[row, place])
            elif scorer == "content" and topic[row, place] >= 0:
                sentence = say["content_topic"].format(topic=labels[topic[row, place]])
            elif scorer == "content":
                sentence = _titled(say, "content_item", titles, close[row, place], "content_alone")
            elif scorer == "sequence":
                sentence = _titled(say, scorer, titles, latest[row], "collaborative_alone")
            else:
                sentence = say["popularity"]
            sentences.append(sentence)
        rows.append(sentences)
    return rows


def nearest_liked(users: Indices, items: Indices, history: Interactions, vectors: Scores) -> Indices:
    """The liked item of each user's latest `RECENT` that is nearest to each of `items` (b, k); −1 without one."""
    if not vectors.size or not items.size:
        return np.full(items.shape, -1, np.int64)
    liked = _latest_liked(history.of(users))
    used, rows = np.unique(np.maximum(np.append(liked.ravel(), items.ravel()), 0), return_inverse=True)
    directions = np.nan_to_num(unit(vectors[used]))
    mine, its = rows[: liked.size].reshape(liked.shape), rows[liked.size :].reshape(items.shape)
    near = np.einsum("brd,bkd->bkr", directions[mine], directions[its], optimize=True)
    near = np.where((liked >= 0)[:, None, :], near, -np.inf)
    best = near.argmax(axis=2)
    found = np.isfinite(near.max(axis=2)) & (near.max(axis=2) > 0) & (items >= 0)
    return np.where(found, np.take_along_axis(liked, best, 1), -1)


def _latest_liked(block: Interactions) -> Indices:
    """The latest liked items of each user (b, RECENT), −1 where there are fewer."""
    liked = np.full((block.n_users, RECENT), -1, np.int64)
    keep = (block.weights > 0) & (block.ages < RECENT)
    liked[block.user_of[keep], block.ages[keep]] = block.items[keep]
    return liked


def _shared_topic(users: Indices, items: Indices, facts: Facts) -> Indices:
    """The topic that user and item share most (b, k); −1 where neither has enough of one."""
    if not (facts.user_topics.size and facts.item_topics.size):
        return np.full(items.shape, -1, np.int64)
    mine, its = facts.user_topics[users][:, None, :], facts.item_topics[np.maximum(items, 0)]
    shared = np.nan_to_num(np.minimum(mine, its))
    best = shared.argmax(axis=2)
    return np.where(shared.max(axis=2, initial=0) >= TOPIC_SHARE, best, -1)


def _titled(say: Mapping[str, str], key: str, titles: NDArray[Any], item: int, otherwise: str = "") -> str:
    """The sentence `key` about `item`, or the one that needs no title where there is no such item."""
    return say[key].format(title=titles[item]) if item >= 0 else say[otherwise or f"{key}_alone"]
