"""What a refresh reads: events up to a time, the newest state of each item, and every distinct text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from tasks.schema import EVENTS, ITEM_ID, ITEMS, TEXT_HASH
from tasks.store import Ref, Store

TEXT, LANGUAGE, TIME = EVENTS["text"].name, EVENTS["language"].name, EVENTS["event_time"].name


def events_until(store: Store, refs: Mapping[str, Ref], as_of: datetime) -> pd.DataFrame:
    """Accepted events (`schema.EVENTS`) up to `as_of`, in order of time; later ones wait for a later refresh.

    File order breaks ties, because that is the order in which the shop saw them.
    """
    events = store.read_frame(refs[EVENTS.name], EVENTS)
    known = events[events[TIME] <= pd.Timestamp(as_of)]
    return known.sort_values(TIME, kind="stable", ignore_index=True)


def newest_items(store: Store, refs: Mapping[str, Ref]) -> pd.DataFrame:
    """The latest accepted state of each item (`schema.ITEMS`), in order of `item_id`."""
    items = store.read_frame(refs[ITEMS.name], ITEMS)
    return items.drop_duplicates(ITEM_ID.name, keep="last").sort_values(ITEM_ID.name, ignore_index=True)


def distinct_texts(events: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Every text that people or the shop wrote, once: `text_hash`, `text`, `language`, in order of the hash."""
    from tasks.interests.items import item_texts

    columns = [TEXT_HASH.name, TEXT, LANGUAGE]
    written = events.loc[events[TEXT_HASH.name].notna(), columns]
    both = pd.concat([written, item_texts(items)[columns]], ignore_index=True)
    return both.drop_duplicates(TEXT_HASH.name).sort_values(TEXT_HASH.name, ignore_index=True)


def words_of(texts: pd.DataFrame) -> dict[str, list[str]]:
    """Content words of each of the `distinct_texts`, by text hash."""
    from tasks.text import tokenise

    columns = (texts[name] for name in (TEXT_HASH.name, TEXT, LANGUAGE))
    return {key: tokenise(text, language) for key, text, language in zip(*columns, strict=True)}
