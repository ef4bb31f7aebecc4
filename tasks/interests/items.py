"""What an item is about: its own text, what people wrote about it, how it was liked and how much it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from scipy import sparse

from tasks.columns import empty
from tasks.errors import ModelError
from tasks.interests.evidence import (
    block_frame,
    decay,
    one_encoder,
    refuse_future,
    stacked,
    text_links,
    weighted_means,
)
from tasks.interests.keywords import WordCounts, keyword_lists
from tasks.interests.users import OPINIONS
from tasks.interests.vectors import unit
from tasks.schema import EVENTS, ITEM_CONTENT, ITEM_ID, ITEMS, TEXT_HASH, TEXT_TOPICS, TEXT_VECTORS
from tasks.text import normalise, text_hash

OWN_TEXT = 5.0
"""How many texts of other people an item's own text weighs as much as: a new item is what the shop says, a much
discussed one what people say."""

_ITEM, _HASH, _TIME, _TITLE = ITEM_ID.name, TEXT_HASH.name, EVENTS["event_time"].name, ITEMS["title"].name
_TEXT, _LANGUAGE = EVENTS["text"].name, EVENTS["language"].name
_OWN = (("en", ("title", "description")), ("zh", ("title_zh", "description_zh")))


def item_texts(items: pd.DataFrame) -> pd.DataFrame:
    """Each item's own text in each language that the shop gives: `item_id`, `text`, `language`, `text_hash`.

    Title and description are joined and normalised. Encode and infer these like any other text: `item_content` looks
    for them by hash.
    """
    parts = []
    for language, (title, description) in _OWN:
        text = items[ITEMS[title].name].fillna("").str.cat(items[ITEMS[description].name].fillna(""), sep=". ")
        parts.append(pd.DataFrame({_ITEM: items[_ITEM], _TEXT: text.str.strip(". "), _LANGUAGE: language}))
    texts = pd.concat(parts, ignore_index=True)
    texts[_TEXT] = texts[_TEXT].map(normalise)
    spoken = (texts[_TEXT] != "") & (texts[_TEXT] != texts[_ITEM])  # an id that stands for a title says nothing
    texts = texts.loc[spoken].reset_index(drop=True)
    return texts.assign(**{_HASH: texts[_TEXT].map(text_hash)})


def item_content(
    items: pd.DataFrame,
    events: pd.DataFrame,
    text_topics: pd.DataFrame,
    text_vectors: pd.DataFrame,
    tokens: Mapping[str, Sequence[str]],
    text_sentiment: pd.Series,
    *,
    as_of: datetime,
    popularity_half_life_days: float,
    keywords: int,
) -> pd.DataFrame:
    """What each item is about (`schema.ITEM_CONTENT`), one row per item that has any text at all.

    Topic mix and vector are means over the item's own text (`item_texts`, in all languages together worth
    `OWN_TEXT`) and the texts about it; keywords are class-based TF-IDF over the same texts. `text_topics`,
    `text_vectors` and `tokens` (words by text hash) must hold the texts of items as well as of people; `ModelError`
    says how many are missing. `text_sentiment` is by text hash; an item nobody judged has 0.5, as has
    every item where it is empty. Popularity is the
    item's share of all events on items, each counting 2^(−age / half-life). `LeakError` for an event after `as_of`.
    """
    refuse_future(events, as_of)
    said = _Said(items, events)
    mixed, mix = said.mean(text_topics, text_topics[TEXT_TOPICS["topic_mix"].name])
    pointed, vector = said.mean(text_vectors, text_vectors[TEXT_VECTORS["vector"].name])
    vector, directed = unit(vector)
    kept = np.intersect1d(mixed, pointed[directed])
    if not len(kept):
        return empty(ITEM_CONTENT)
    mix, vector = mix[np.searchsorted(mixed, kept)], vector[np.searchsorted(pointed, kept)]
    part = {
        _ITEM: items[_ITEM].to_numpy()[kept],
        _TITLE: items[_TITLE].to_numpy()[kept],
        ITEM_CONTENT["categories"].name: items[ITEMS["categories"].name].to_numpy()[kept],
        ITEM_CONTENT["topic_mix"].name: list((mix / mix.sum(axis=1, keepdims=True)).astype(np.float32)),
        ITEM_CONTENT["vector"].name: list(vector.astype(np.float32)),
        ITEM_CONTENT["encoder"].name: one_encoder(text_vectors[TEXT_VECTORS["encoder"].name]),
        ITEM_CONTENT["keywords"].name: _keywords(said, tokens, kept, keywords),
        ITEM_CONTENT["sentiment"].name: said.liking(text_sentiment)[kept],
        ITEM_CONTENT["popularity"].name: said.popularity(popularity_half_life_days)[kept],
    }
    return block_frame(ITEM_CONTENT, [part], as_of)


class _Said:
    """Events about the items of a catalogue, and links from items to the texts about them."""

    def __init__(self, items: pd.DataFrame, events: pd.DataFrame) -> None:
        index = pd.Index(items[_ITEM])
        rows = index.get_indexer(events[_ITEM])
        self.size, self.rows, self.events = len(items), rows[rows >= 0], events.loc[rows >= 0]
        self.own = item_texts(items)
        self.own_rows = index.get_indexer(self.own[_ITEM])

    def links(self, texts: pd.Index) -> sparse.csr_matrix:
        """Weight of each text in each item (items, texts): own text `OWN_TEXT` in all, others' texts 1 each."""
        columns = texts.get_indexer(self.own[_HASH])
        if (columns < 0).any():
            raise ModelError(
                f"{int((columns < 0).sum())} item texts were not processed; do so with `item_texts(items)`"
            )
        share = OWN_TEXT / np.bincount(self.own_rows, minlength=self.size)[self.own_rows]
        own = sparse.csr_matrix((share, (self.own_rows, columns)), shape=(self.size, len(texts)))
        return (own + text_links(self.rows, self.events, texts, np.ones(len(self.rows)), size=self.size)).tocsr()

    def mean(self, frame: pd.DataFrame, values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Items that have a text (r,) and the weighted mean over their texts of a list column (r, d)."""
        return weighted_means((self.links(pd.Index(frame[_HASH])), stacked(values, str(values.name))))

    def liking(self, text_sentiment: pd.Series) -> np.ndarray:
        """Mean probability (items,) that a text about the item is favourable, 0.5 where nobody judged; float32."""
        result = np.full(self.size, 0.5, dtype=np.float32)
        if len(text_sentiment):
            texts, ones = pd.Index(text_sentiment.index), np.ones(len(self.rows))
            judged = text_links(self.rows, self.events, texts, ones, kinds=OPINIONS, size=self.size)
            kept, mean = weighted_means((judged, text_sentiment.to_numpy(dtype=np.float64)[:, None]))
            result[kept] = mean.ravel()
        return result

    def popularity(self, half_life_days: float) -> np.ndarray:
        """Time-decayed share of all events on items (items,), float32."""
        weights = decay(np.zeros(len(self.rows), dtype=np.int64), self.events[_TIME], half_life_days)
        result: np.ndarray = np.bincount(self.rows, weights=weights, minlength=self.size) / max(weights.sum(), 1e-12)
        return result.astype(np.float32)


def _keywords(said: _Said, tokens: Mapping[str, Sequence[str]], kept: np.ndarray, count: int) -> list[np.ndarray]:
    """The `count` words that set each item apart, best first."""
    known = WordCounts(tokens)
    counts = (said.links(known.texts) @ known.counts).tocsr()
    frequency = np.asarray(counts.sum(axis=0)).ravel()
    return keyword_lists(counts[kept], frequency, frequency.sum() / max(said.size, 1), known.words, count)[0]
