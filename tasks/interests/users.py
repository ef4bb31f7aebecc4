"""The blocks of a user's interests: one frame per block of `schema.USER_BLOCKS`, from events and per-text results.

Every block leaves out users of whom it knows nothing; none is filled with zeros or noise. All take `as_of` and raise
`LeakError` for a later event, and work on 10,000 users at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from tasks.columns import empty
from tasks.interests.evidence import (
    block_frame,
    decay,
    in_blocks,
    item_links,
    refuse_future,
    stacked,
    text_links,
    weighted_means,
)
from tasks.interests.keywords import WordCounts, keyword_lists
from tasks.interests.style import AXES, style_axes
from tasks.schema import (
    EVENTS,
    ITEM_CONTENT,
    LANGUAGES,
    TEXT_HASH,
    TEXT_TOPICS,
    TOPICS,
    USER_ACTIVITY,
    USER_ID,
    USER_KEYWORDS,
    USER_SENTIMENT,
    USER_STYLE,
    USER_TOPICS,
)

OPINIONS = {"review": 1.0, "comment": 1.0, "chat": 1.0}
"""Kinds that say how pleased somebody is; a question or a search phrase asks and does not judge."""
TOPIC_PRIOR = 1.0
"""Texts' worth of a user's mean sentiment that each topic's sentiment starts from; one text on a topic weighs half."""
TOP_TOPICS = 3

_HASH, _TEXT, _TIME, _LANGUAGE = TEXT_HASH.name, EVENTS["text"].name, EVENTS["event_time"].name, EVENTS["language"].name
_USER, _MIX, _ITEM = USER_ID.name, TEXT_TOPICS["topic_mix"].name, ITEM_CONTENT["item_id"].name


def user_topics(
    events: pd.DataFrame,
    text_topics: pd.DataFrame,
    item_content: pd.DataFrame,
    topics: pd.DataFrame,
    *,
    as_of: datetime,
    half_life_days: float,
) -> pd.DataFrame:
    """What each user writes and cares about (`schema.USER_TOPICS`).

    The mix is the decayed mean over the user's own texts and the items acted upon (`evidence.ITEM_WEIGHTS`). The top
    topics are at most three, each above an even share, named in the language that the user writes in most.
    """
    texts, items = pd.Index(text_topics[_HASH]), pd.Index(item_content[_ITEM])
    said, about = stacked(text_topics[_MIX], TEXT_TOPICS.name), stacked(item_content[_MIX], ITEM_CONTENT.name)
    labels = _labels(topics)
    parts = []
    for users, rows, block in in_blocks(events, as_of):
        weights, size = decay(rows, block[_TIME], half_life_days), len(users)
        kept, mix = weighted_means(
            (text_links(rows, block, texts, weights, size=size), said),
            (item_links(rows, block, items, weights, size=size), about),
        )
        mix /= mix.sum(axis=1, keepdims=True)
        names = _top_topics(mix, labels[_main_language(rows, block, size)[kept]])
        parts.append({_USER: users[kept], _MIX: list(mix.astype(np.float32)), USER_TOPICS["top_topics"].name: names})
    return block_frame(USER_TOPICS, parts, as_of)


def user_sentiment(
    events: pd.DataFrame,
    text_topics: pd.DataFrame,
    text_sentiment: pd.Series,
    *,
    as_of: datetime,
    half_life_days: float,
) -> pd.DataFrame:
    """How pleased each user sounds, in all and per topic (`schema.USER_SENTIMENT`).

    `text_sentiment` is the probability that a text is favourable, by text hash. Per topic it is the mean over texts
    weighted by the topic's share in them, drawn to the user's mean by one text's worth: a topic of which nothing was
    said has the mean. Users who gave no opinion are absent, and so is everybody where `text_sentiment` is empty
    because there was nothing to learn it from; otherwise every text of `OPINIONS` needs one (`ModelError`).
    """
    if not len(text_sentiment):
        refuse_future(events, as_of)
        return empty(USER_SENTIMENT)
    texts = pd.Index(text_topics[_HASH])
    mixes = stacked(text_topics[_MIX], TEXT_TOPICS.name).astype(np.float64)
    favourable = text_sentiment.reindex(texts).to_numpy(dtype=np.float64, na_value=np.nan)
    judged = texts[~np.isnan(favourable)]
    mixes, favourable = mixes[~np.isnan(favourable)], favourable[~np.isnan(favourable)][:, None]
    parts = []
    for users, rows, block in in_blocks(events, as_of):
        weights = decay(rows, block[_TIME], half_life_days)
        links = text_links(rows, block, judged, weights, kinds=OPINIONS, size=len(users))
        kept, mean = weighted_means((links, favourable))
        mean = mean.reshape(-1, 1)
        mass, pleased = links[kept] @ mixes, links[kept] @ (mixes * favourable)
        per_topic = (pleased + TOPIC_PRIOR * mean) / (mass + TOPIC_PRIOR)
        parts.append(
            {
                _USER: users[kept],
                USER_SENTIMENT["sentiment"].name: mean.ravel().astype(np.float32),
                USER_SENTIMENT["topic_sentiment"].name: list(per_topic.astype(np.float32)),
            }
        )
    return block_frame(USER_SENTIMENT, parts, as_of)


def user_style(events: pd.DataFrame, *, as_of: datetime, half_life_days: float) -> pd.DataFrame:
    """How each user writes (`schema.USER_STYLE`): the decayed mean of `style_axes` over the user's texts."""
    parts = []
    for users, rows, block in in_blocks(events, as_of):
        texts = block.loc[block[_HASH].notna()].drop_duplicates(_HASH)
        axes = style_axes(texts[_TEXT].tolist())
        weights = decay(rows, block[_TIME], half_life_days)
        kept, style = weighted_means((text_links(rows, block, pd.Index(texts[_HASH]), weights, size=len(users)), axes))
        parts.append(
            {
                _USER: users[kept],
                USER_STYLE["style"].name: list(style.astype(np.float32)),
                USER_STYLE["axes"].name: [list(AXES)] * len(kept),
            }
        )
    return block_frame(USER_STYLE, parts, as_of)


def user_keywords(
    events: pd.DataFrame, tokens: Mapping[str, Sequence[str]], *, as_of: datetime, count: int
) -> pd.DataFrame:
    """The `count` words that set each user apart (`schema.USER_KEYWORDS`), by class-based TF-IDF.

    `tokens` are the words of each text by text hash. A user's class is all that the user wrote; users of whose words
    none is used by two texts are absent.
    """
    known = WordCounts(tokens)
    said = events.loc[events[_HASH].notna(), [_USER, _HASH]]
    times_said = said[_HASH].value_counts().reindex(known.texts, fill_value=0).to_numpy()
    frequency, writers = known.counts.T @ times_said, max(said[_USER].nunique(), 1)
    parts = []
    for users, rows, block in in_blocks(events, as_of):
        links = text_links(rows, block, known.texts, np.ones(len(rows)), size=len(users))
        counts = (links @ known.counts).tocsr()
        kept = np.flatnonzero(np.diff(counts.indptr))
        words, weights = keyword_lists(counts[kept], frequency, frequency.sum() / writers, known.words, count)
        parts.append(
            {_USER: users[kept], USER_KEYWORDS["keywords"].name: words, USER_KEYWORDS["weights"].name: weights}
        )
    return block_frame(USER_KEYWORDS, parts, as_of)


def user_activity(events: pd.DataFrame, *, as_of: datetime) -> pd.DataFrame:
    """How much is known of each user (`schema.USER_ACTIVITY`)."""
    parts = []
    for users, rows, block in in_blocks(events, as_of):
        size = len(users)
        language = np.array([*LANGUAGES, None], dtype=object)[_main_language(rows, block, size)]
        texts = np.bincount(rows, weights=block[_HASH].notna(), minlength=size).astype(np.int64)
        parts.append(
            {
                _USER: users,
                USER_ACTIVITY["events"].name: np.bincount(rows, minlength=size),
                USER_ACTIVITY["texts"].name: texts,
                USER_ACTIVITY["language"].name: language,
                USER_ACTIVITY["last_event"].name: block[_TIME].groupby(rows).max().array,
            }
        )
    return block_frame(USER_ACTIVITY, parts, as_of)


def _labels(topics: pd.DataFrame) -> np.ndarray:
    """Topic labels by language and topic in the order of ids (languages + 1, k); English where there is no other."""
    ordered = topics.sort_values(TOPICS["topic_id"].name)
    english = ordered[TOPICS["label"].name]
    chinese = ordered[TOPICS["label_zh"].name].fillna(english)
    return np.array([english, chinese, english], dtype=object)


def _main_language(rows: np.ndarray, events: pd.DataFrame, size: int) -> np.ndarray:
    """Place in `LANGUAGES` of the language each user writes in most (size,); past the end for who wrote nothing."""
    place = pd.Index(LANGUAGES).get_indexer(events[_LANGUAGE].where(events[_HASH].notna()))
    counts = np.zeros((size, len(LANGUAGES) + 1))
    np.add.at(counts, (rows[place >= 0], place[place >= 0]), 1)
    counts[:, -1] = 0.5
    result: np.ndarray = counts.argmax(axis=1)
    return result


def _top_topics(mix: np.ndarray, labels: np.ndarray) -> list[list[str]]:
    """Labels of the largest topics of each row (r, k), those above an even share; the largest in any case."""
    order = np.argsort(-mix, axis=1, kind="stable")[:, :TOP_TOPICS]
    shares, names = np.take_along_axis(mix, order, axis=1), np.take_along_axis(labels, order, axis=1)
    counts = np.maximum((shares > 1 / max(mix.shape[1], 1)).sum(axis=1), 1)
    return [row[:count].tolist() for row, count in zip(names, counts, strict=True)]
