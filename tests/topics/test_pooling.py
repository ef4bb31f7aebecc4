"""What topics are fitted on: items' bilingual text with what was written about them."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tasks.topics import pooled_documents
from tasks.topics.vocabulary import Vocabulary, build_vocabulary

from .planted import make, split

ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b"],
        "title": ["cup", "bat"],
        "title_zh": ["杯", None],
        "description": [None, "wood"],
        "description_zh": [None, None],
    }
)


def events(rows: list[tuple[str | None, str | None, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(len(rows))],
            "item_id": [row[0] for row in rows],
            "text": [row[1] for row in rows],
            "text_hash": [row[1] and f"h-{row[1]}" for row in rows],
            "language": [row[2] for row in rows],
            "event_time": pd.date_range("2024-01-01", periods=len(rows), tz="UTC"),
        }
    )


def test_texts_of_an_item_are_pooled_behind_its_bilingual_name() -> None:
    said = events(
        [("a", "nice", "en"), (None, "search", "en"), ("a", "好", "zh"), ("a", "late", "en"), ("a", None, "en")]
    )
    pooled = pooled_documents(said, ITEMS, tokeniser=split, texts_per_document=2, item_weight=2)
    assert pooled == [
        ["cup", "杯", "cup", "杯", "nice", "好"],
        ["cup", "杯", "cup", "杯", "late"],
        ["bat", "wood", "bat", "wood"],
        ["search"],
    ]


def test_a_text_that_comes_twice_about_an_item_counts_once() -> None:
    said = events([("a", "nice", "en"), ("a", "nice", "en"), ("gone", "nice", "en")])
    pooled = pooled_documents(said, ITEMS.iloc[:1], tokeniser=split, item_weight=1)
    assert pooled == [["cup", "杯", "nice"], ["nice"]]


def test_words_that_were_made_already_are_used() -> None:
    pooled = pooled_documents(events([("a", "nice", "en")]), ITEMS.iloc[:0], tokens={"h-nice": ["given"]})
    assert pooled == [["given"]]


def test_no_events_and_no_items_are_no_documents() -> None:
    assert pooled_documents(events([]), ITEMS.iloc[:0], tokeniser=split) == []


@given(st.integers(1, 60))
def test_at_most_so_many_texts_are_taken(most: int) -> None:
    planted = make(0, texts=40)
    pooled = pooled_documents(planted.events, planted.items.iloc[:0], tokeniser=split, most_texts=most)
    assert sum(map(len, pooled)) == 9 * min(most, 40)


def test_the_dictionary_leaves_out_the_rare_and_the_common() -> None:
    documents = [["all", "some"], ["all", "some"], ["all"], ["all", "once"]]
    assert build_vocabulary(documents, no_below=2, no_above=0.5).words == ("some",)
    assert build_vocabulary(documents, no_below=1, no_above=1.0, most=2).words == ("all", "some")


def test_counts_pass_over_unknown_words() -> None:
    vocabulary = Vocabulary(("a", "咖啡"))
    assert vocabulary.counts([["a", "x", "a"], [], ["咖啡"]]).toarray().tolist() == [[2, 0], [0, 0], [0, 1]]
    assert vocabulary.languages.tolist() == ["en", "zh"]
    assert vocabulary.counts([]).shape == (0, 2)
