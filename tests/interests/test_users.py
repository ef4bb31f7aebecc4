"""Blocks of a user's interests from frames small enough to reckon by hand."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import schema
from tasks.columns import to_arrow
from tasks.errors import LeakError, ModelError
from tasks.interests import (
    AXES,
    evidence,
    style_axes,
    user_activity,
    user_keywords,
    user_sentiment,
    user_style,
    user_topics,
)

from .frames import AS_OF, contents, events, text_topics, topics

MIXES = text_topics({"t1": [1, 0, 0], "t2": [0, 1, 0], "t3": [0.2, 0.2, 0.6]})
ITEMS = contents({"a": ([0, 0, 1], [1, 0]), "b": ([0, 1, 0], [0, 1])})
LABELS = topics(["tea", "bats", "pens"], ["茶", None, "笔"])


def test_a_topic_mix_is_the_decayed_mean_of_texts_and_items() -> None:
    said = events(
        {"user": "u", "kind": "chat", "text": "t1"},
        {"user": "u", "kind": "chat", "text": "t2", "days_ago": 7},
        {"user": "u", "kind": "purchase", "item": "a", "days_ago": 14},
    )
    frame = user_topics(said, MIXES, ITEMS, LABELS, as_of=AS_OF, half_life_days=7)
    to_arrow(frame, schema.USER_TOPICS)
    np.testing.assert_allclose(frame["topic_mix"][0], np.array([1, 0.5, 0.25]) / 1.75, rtol=1e-6)
    assert frame["top_topics"][0] == ["tea"]


def test_top_topics_are_named_in_the_language_a_user_writes_in() -> None:
    said = events(
        {"user": "u", "kind": "chat", "text": "t1", "language": "zh"},
        {"user": "u", "kind": "chat", "text": "t2", "language": "zh"},
        {"user": "v", "kind": "purchase", "item": "a"},
        {"user": "w", "kind": "view", "item": "gone"},
    )
    frame = user_topics(said, MIXES, ITEMS, LABELS, as_of=AS_OF, half_life_days=7).set_index("user_id")
    assert frame.loc["u", "top_topics"] == ["茶", "bats"]
    assert frame.loc["v", "top_topics"] == ["pens"]
    assert "w" not in frame.index


def test_sentiment_is_the_mean_and_topics_nobody_spoke_of_have_it() -> None:
    said = events(
        {"user": "u", "kind": "review", "text": "t1"},
        {"user": "u", "kind": "review", "text": "t2"},
        {"user": "u", "kind": "search", "text": "t3"},
        {"user": "v", "kind": "search", "text": "t3"},
    )
    felt = pd.Series([0.9, 0.1], index=["t1", "t2"])
    frame = user_sentiment(said, MIXES, felt, as_of=AS_OF, half_life_days=7)
    to_arrow(frame, schema.USER_SENTIMENT)
    assert frame["user_id"].tolist() == ["u"]
    assert frame["sentiment"][0] == pytest.approx(0.5)
    np.testing.assert_allclose(frame["topic_sentiment"][0], [0.7, 0.3, 0.5], rtol=1e-6)


def test_an_opinion_that_was_not_judged_is_an_error_and_no_model_at_all_is_not() -> None:
    said = events({"user": "u", "kind": "review", "text": "t1"})
    with pytest.raises(ModelError, match="1 texts"):
        user_sentiment(said, MIXES, pd.Series([0.5], index=["t2"]), as_of=AS_OF, half_life_days=7)
    nothing = pd.Series([], index=pd.Index([], dtype=object), dtype=np.float32)
    assert user_sentiment(said, MIXES, nothing, as_of=AS_OF, half_life_days=7).empty


def test_style_is_the_decayed_mean_of_axes() -> None:
    said = events(
        {"user": "u", "kind": "chat", "text": "Great!"},
        {"user": "u", "kind": "chat", "text": "Does it fit?", "days_ago": 7},
        {"user": "v", "kind": "view", "item": "a"},
    )
    frame = user_style(said, as_of=AS_OF, half_life_days=7)
    to_arrow(frame, schema.USER_STYLE)
    assert frame["user_id"].tolist() == ["u"]
    assert frame["axes"][0] == list(AXES)
    one, other = style_axes(["Great!", "Does it fit?"])
    np.testing.assert_allclose(frame["style"][0], (one + other / 2) / 1.5, rtol=1e-5)


def test_keywords_set_a_user_apart() -> None:
    tokens = {
        "t1": ["tea", "good"],
        "t2": ["bat", "good"],
        "t3": ["tea", "good"],
        "t4": ["bat", "good"],
        "t5": ["typo"],
    }
    said = events(
        {"user": "u", "kind": "chat", "text": "t1"},
        {"user": "u", "kind": "chat", "text": "t3"},
        {"user": "v", "kind": "chat", "text": "t2"},
        {"user": "v", "kind": "chat", "text": "t4"},
        {"user": "w", "kind": "chat", "text": "t5"},
    )
    frame = user_keywords(said, tokens, as_of=AS_OF, count=2)
    to_arrow(frame, schema.USER_KEYWORDS)
    assert [list(words) for words in frame["keywords"]] == [["tea", "good"], ["bat", "good"]]
    # tf = 1/2; 8 words of 3 writers; "tea" is said twice, "good" four times
    np.testing.assert_allclose(frame["weights"][0], [np.log1p(8 / 3 / 2) / 2, np.log1p(8 / 3 / 4) / 2], rtol=1e-5)


def test_activity_counts() -> None:
    said = events(
        {"user": "u", "kind": "chat", "text": "t1", "language": "zh", "days_ago": 2},
        {"user": "u", "kind": "chat", "text": "t2", "language": "zh"},
        {"user": "u", "kind": "chat", "text": "t3", "language": "en", "days_ago": 1},
        {"user": "v", "kind": "view", "item": "a", "days_ago": 3},
    )
    frame = user_activity(said, as_of=AS_OF).set_index("user_id")
    to_arrow(frame.reset_index(), schema.USER_ACTIVITY)
    assert frame.loc["u", ["events", "texts", "language"]].tolist() == [3, 3, "zh"]
    assert frame.loc["v", ["events", "texts", "language"]].tolist() == [1, 0, None]
    assert frame.loc["u", "last_event"] == AS_OF
    assert frame.loc["v", "last_event"] == AS_OF - timedelta(days=3)


BUILDERS = {
    schema.USER_TOPICS: lambda said: user_topics(said, MIXES, ITEMS, LABELS, as_of=AS_OF, half_life_days=7),
    schema.USER_SENTIMENT: lambda said: user_sentiment(
        said, MIXES, pd.Series([0.5, 0.7, 0.2], index=["t1", "t2", "t3"]), as_of=AS_OF, half_life_days=7
    ),
    schema.USER_STYLE: lambda said: user_style(said, as_of=AS_OF, half_life_days=7),
    schema.USER_KEYWORDS: lambda said: user_keywords(
        said, {"t1": ["a", "b"], "t2": ["a"], "t3": ["b"]}, as_of=AS_OF, count=3
    ),
    schema.USER_ACTIVITY: lambda said: user_activity(said, as_of=AS_OF),
}


@pytest.mark.parametrize("table", BUILDERS, ids=lambda table: table.name)
def test_nothing_in_nothing_out_and_the_future_is_refused(table: schema.Table) -> None:
    assert to_arrow(BUILDERS[table](events()), table).num_rows == 0
    with pytest.raises(LeakError):
        BUILDERS[table](events({"user": "u", "kind": "chat", "text": "t1", "days_ago": -1}))


rows = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from("uvwxyz"),
            "kind": st.sampled_from(schema.TEXT_KINDS),
            "text": st.sampled_from(["t1", "t2", "t3"]),
            "item": st.sampled_from(["a", "b", None]),
            "days_ago": st.floats(0, 12_000),
        }
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize("table", BUILDERS, ids=lambda table: table.name)
@given(rows)
@settings(max_examples=25, deadline=None)
def test_all_users_at_once_equal_one_user_at_a_time(table: schema.Table, said_rows: list[dict[str, object]]) -> None:
    said = events(*said_rows)
    whole = BUILDERS[table](said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "USER_ROWS", 1)
        single = BUILDERS[table](said)
    pd.testing.assert_frame_equal(whole, single, rtol=1e-6)
    assert to_arrow(whole, table).num_rows == len(whole)


@given(rows)
@settings(max_examples=25, deadline=None)
def test_topic_mixes_are_shares_however_old_the_events(said_rows: list[dict[str, object]]) -> None:
    frame = BUILDERS[schema.USER_TOPICS](events(*said_rows))
    mixes = np.stack(frame["topic_mix"])
    assert frame["user_id"].is_unique
    np.testing.assert_allclose(mixes.sum(axis=1), 1, rtol=1e-5)
    assert (mixes >= 0).all()
