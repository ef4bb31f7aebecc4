"""Content of items, by hand."""

import numpy as np
import pandas as pd
import pytest

from tasks import schema
from tasks.columns import to_arrow
from tasks.errors import LeakError, ModelError
from tasks.interests import item_content, item_texts

from .frames import AS_OF, catalogue, events, text_topics, text_vectors

ITEMS = catalogue(
    {"item_id": "cup", "title": "Cup", "title_zh": "杯", "description": "of tea"},
    {"item_id": "bat", "title": "Bat"},
)
OWN = item_texts(ITEMS).set_index(["item_id", "language"])["text_hash"]
EN, ZH, BAT = OWN["cup", "en"], OWN["cup", "zh"], OWN["bat", "en"]
TOPICS = text_topics({EN: [1, 0], ZH: [0.6, 0.4], BAT: [0, 1], "t1": [0.5, 0.5], "t2": [0, 1]})
VECTORS = text_vectors({EN: [1, 0], ZH: [0, 1], BAT: [0, -1], "t1": [1, 0], "t2": [-1, 0]})
TOKENS = {EN: ["cup", "tea"], ZH: ["杯"], BAT: ["bat"], "t1": ["cup", "good"], "t2": ["bat", "good"]}
FELT = pd.Series([0.8, 0.2], index=["t1", "t2"])


def content(said: pd.DataFrame, felt: pd.Series = FELT, topics: pd.DataFrame = TOPICS) -> pd.DataFrame:
    return item_content(
        ITEMS, said, topics, VECTORS, TOKENS, felt, as_of=AS_OF, popularity_half_life_days=30, keywords=2
    )  # fmt: skip


def test_an_items_own_text_is_one_text_a_language() -> None:
    texts = item_texts(ITEMS)
    assert texts[["item_id", "language", "text"]].to_numpy().tolist() == [
        ["cup", "en", "Cup. of tea"],
        ["bat", "en", "Bat"],
        ["cup", "zh", "杯"],
    ]


def test_own_text_weighs_five_and_each_text_about_it_one() -> None:
    said = events(
        {"user": "u", "kind": "review", "text": "t1", "item": "cup"},
        {"user": "u", "kind": "search", "text": "t2"},
    )
    frame = content(said).set_index("item_id")
    to_arrow(frame.reset_index(), schema.ITEM_CONTENT)
    mix = (2.5 * np.array([1, 0]) + 2.5 * np.array([0.6, 0.4]) + np.array([0.5, 0.5])) / 6
    np.testing.assert_allclose(frame.loc["cup", "topic_mix"], mix, rtol=1e-5)
    np.testing.assert_allclose(frame.loc["cup", "vector"], np.array([3.5, 2.5]) / np.hypot(3.5, 2.5), rtol=1e-5)
    np.testing.assert_allclose(frame.loc["bat", "vector"], [0, -1])
    assert frame.loc["cup", "sentiment"] == pytest.approx(0.8)
    assert frame.loc["bat", "sentiment"] == 0.5
    assert frame.loc["cup", "encoder"] == "enc"
    assert frame.loc["cup", "keywords"].tolist() == ["cup", "good"]


def test_popularity_is_a_decayed_share() -> None:
    said = events(
        {"user": "u", "kind": "view", "item": "cup"},
        {"user": "u", "kind": "view", "item": "bat", "days_ago": 30},
        {"user": "u", "kind": "view", "item": "gone"},
    )
    np.testing.assert_allclose(content(said)["popularity"], [2 / 3, 1 / 3], rtol=1e-5)
    np.testing.assert_allclose(content(events())["popularity"], [0, 0])


def test_without_a_sentiment_model_no_item_is_judged() -> None:
    said = events({"user": "u", "kind": "review", "text": "t1", "item": "cup"})
    nothing = pd.Series([], index=pd.Index([], dtype=object), dtype=np.float32)
    assert content(said, nothing)["sentiment"].tolist() == [0.5, 0.5]


def test_missing_item_texts_and_leaks_are_refused() -> None:
    with pytest.raises(ModelError, match="2 item texts"):
        content(events(), topics=TOPICS.iloc[1:2])
    with pytest.raises(LeakError):
        content(events({"user": "u", "kind": "view", "item": "cup", "days_ago": -1}))


def test_an_item_without_any_text_is_absent_and_no_items_are_no_rows() -> None:
    items = catalogue({"item_id": "cup", "title": "Cup", "title_zh": "杯", "description": "of tea"},
                      {"item_id": "blank", "title": " "})  # fmt: skip
    args = (TOPICS, VECTORS, TOKENS, FELT)
    frame = item_content(items, events(), *args, as_of=AS_OF, popularity_half_life_days=30, keywords=2)
    assert frame["item_id"].tolist() == ["cup"]
    none = item_content(items.iloc[:0], events(), *args, as_of=AS_OF, popularity_half_life_days=30, keywords=2)
    assert to_arrow(none, schema.ITEM_CONTENT).num_rows == 0
