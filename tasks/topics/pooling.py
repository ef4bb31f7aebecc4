"""Documents to fit topics on: each item's bilingual text pooled with what people wrote about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from tasks.schema import EVENTS, ITEMS
from tasks.text import tokenise

Tokeniser = Callable[[str, str], list[str]]

_ITEM, _TEXT, _HASH = EVENTS["item_id"].name, EVENTS["text"].name, EVENTS["text_hash"].name
_TIME, _LANGUAGE, _EVENT = EVENTS["event_time"].name, EVENTS["language"].name, EVENTS["event_id"].name
_ITEM_TEXT = (("title", "en"), ("description", "en"), ("title_zh", "zh"), ("description_zh", "zh"))


def pooled_documents(
    events: pd.DataFrame,
    items: pd.DataFrame,
    *,
    tokens: Mapping[str, Sequence[str]] | None = None,
    tokeniser: Tokeniser = tokenise,
    texts_per_document: int = 8,
    item_weight: int = 2,
    most_texts: int = 100_000,
) -> list[list[str]]:
    """Token lists (n) to fit topics on, made from texts (`schema.EVENTS`) and items (`schema.ITEMS`).

    How English and Chinese come to share topics: LDA puts words into one topic because they stand in the same
    documents, and no text is in both languages. So the texts written about an item, in either language, are pooled in
    order of time, `texts_per_document` at a time, and every such document begins with the item's own title and
    description in every language the shop gives, repeated `item_weight` times: a document of English reviews still
    holds the Chinese name of what they are about. Pooling also makes short texts long enough to learn from (Hong and
    Davison: Empirical Study of Topic Modeling in Twitter, 2010), and puts what is said of everything ("great",
    "不错") into so many documents that the dictionary leaves it out.

    An item that nobody wrote about is a document by itself; a text about no item (a search phrase, a chat line)
    stands alone; a text that comes twice about one item counts once. Where there are more than `most_texts` texts,
    an even sample in order of item and time is taken, which bounds memory. `tokens` are the words of texts by hash,
    for a caller who has them already; without it `tokeniser` makes them.
    """
    texts = _sampled(_distinct(events), most_texts)
    words = _words(texts, tokens, tokeniser)
    about = texts[_ITEM].notna().to_numpy()
    own = {item: name * item_weight for item, name in item_tokens(items, tokeniser).items()}
    alone = [list(said) for said, pooled in zip(words, about, strict=True) if not pooled]
    kept = [said for said, pooled in zip(words, about, strict=True) if pooled]
    pooled = _pool(texts.loc[about, _ITEM].to_numpy(), kept, own, texts_per_document)
    return [document for document in (*pooled, *alone) if document]


def item_tokens(items: pd.DataFrame, tokeniser: Tokeniser = tokenise) -> dict[str, list[str]]:
    """The words of each item's own titles and descriptions, English before Chinese, by item id."""
    words: list[list[str]] = [[] for _ in range(len(items))]
    for column, language in _ITEM_TEXT:
        for at, text in enumerate(items[ITEMS[column].name]):
            if isinstance(text, str):
                words[at] += tokeniser(text, language)
    return dict(zip(items[_ITEM], words, strict=True))


def _distinct(events: pd.DataFrame) -> pd.DataFrame:
    """Events that carry a text, each text once per item, in order of item and time; those about no item last."""
    said = events.loc[events[_TEXT].notna(), [_ITEM, _TEXT, _HASH, _TIME, _LANGUAGE, _EVENT]]
    said = said.sort_values([_ITEM, _TIME, _EVENT], kind="stable").drop_duplicates([_ITEM, _HASH])
    return said.fillna({_LANGUAGE: "en"})


def _sampled(texts: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows, evenly spread."""
    if len(texts) <= most:
        return texts
    return texts.iloc[np.linspace(0, len(texts) - 1, most).astype(np.int64)]


def _words(
    texts: pd.DataFrame, tokens: Mapping[str, Sequence[str]] | None, tokeniser: Tokeniser
) -> list[Sequence[str]]:
    """The words of each text."""
    if tokens is not None:
        return [tokens[key] for key in texts[_HASH]]
    return [tokeniser(text, language) for text, language in zip(texts[_TEXT], texts[_LANGUAGE], strict=True)]


def _pool(
    item_of: np.ndarray, tokens: Sequence[Sequence[str]], own: dict[str, list[str]], per_document: int
) -> list[list[str]]:
    """One document per item and `per_document` texts of it; `item_of` is sorted, so an item's texts stand together."""
    starts = np.flatnonzero(np.r_[True, item_of[1:] != item_of[:-1]]) if len(item_of) else np.empty(0, np.int64)
    ends = np.r_[starts, len(item_of)][1:].astype(np.int64)
    documents = [
        own.get(item_of[first], []) + list(chain.from_iterable(tokens[at : min(at + per_document, last)]))
        for first, last in zip(starts, ends, strict=True)
        for at in range(first, last, per_document)
    ]
    discussed = set(item_of[starts])
    return documents + [name for item, name in own.items() if item not in discussed]
