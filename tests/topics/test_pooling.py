"""What topics are fitted on: items' bilingual text with what was written about them."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.topics import pooled_documents
from tasks.topics.vocabulary import Vocabulary, build_vocabulary

from .planted import make, split

RARE = [f"rare{n}" for n in range(400)]
ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b"],
        "title": ["cup", "bat"],
        "title_zh": ["杯", None],
        "description": [None, "wood"],
        "description_zh": [None, None],
    }
)


def events(rows: list[tuple[str, str | None, str, str | None, str]]) -> pd.DataFrame:
    """Events from (user, item, kind, text, language), an hour apart."""
    return pd.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(len(rows))],
            "user_id": [row[0] for row in rows],
            "item_id": [row[1] for row in rows],
            "kind": [row[2] for row in rows],
            "text": [row[3] for row in rows],
            "text_hash": [row[3] and f"h-{row[3]}" for row in rows],
            "language": [row[4] for row in rows],
            "event_time": pd.date_range("2024-01-01", periods=len(rows), freq="h", tz="UTC"),
        }
    )


def test_texts_of_an_item_are_pooled_behind_its_bilingual_name_and_people_beside_what_they_acted_on() -> None:
    said = events(
        [
            ("u", "a", "review", "nice", "en"),
            ("u", None, "search", "phrase", "en"),
            ("v", "a", "comment", "好", "zh"),
            ("v", "a", "comment", "late", "en"),
            ("v", "b", "view", None, "en"),
            ("w", "b", "purchase", None, "en"),
        ]
    )
    pooled = pooled_documents(said, ITEMS, tokeniser=split, texts_per_document=2)
    of_items = [["cup", "杯", "cup", "杯", "nice", "好"], ["cup", "杯", "cup", "杯", "late"], ["bat", "wood"] * 2]
    of_people = [["nice", "phrase", "cup", "杯"], ["好", "late", "cup", "杯"], ["bat", "wood"]]
    assert pooled == of_items * 3 + of_people


def test_a_text_that_comes_twice_about_an_item_or_from_a_person_counts_once() -> None:
    said = events([("u", "a", "review", "nice", "en")] * 2 + [("u", "gone", "review", "nice", "en")])
    pooled = pooled_documents(said, ITEMS.iloc[:1], tokeniser=split)
    assert pooled == [["cup", "杯", "cup", "杯", "nice"], ["nice"]] * 3 + [["nice", "cup", "杯"]]


def test_words_that_were_made_already_are_used() -> None:
    said = events([("u", "a", "review", "nice", "en")])
    assert pooled_documents(said, ITEMS.iloc[:0], tokens={"h-nice": ["given"]}) == [["given"]] * 4


def test_people_do_not_outnumber_items_where_there_are_very_many() -> None:
    said = events([(f"u{n:04}", None, "chat", f"t{n}", "en") for n in range(1_500)])
    assert len(pooled_documents(said, ITEMS, tokeniser=split)) == 2 * 3 + 1_000


def test_no_events_and_no_items_are_no_documents() -> None:
    assert pooled_documents(events([]), ITEMS.iloc[:0], tokeniser=split) == []


@given(st.integers(1, 60))
@settings(deadline=None)
def test_at_most_so_many_texts_are_taken(most: int) -> None:
    planted = make(0, texts=40)
    everything = planted.events.assign(user_id="u")
    pooled = pooled_documents(everything, planted.items.iloc[:0], tokeniser=split, most_texts=most)
    assert sum(map(len, pooled[:-1])) == 3 * 9 * min(most, 40)


def test_the_dictionary_leaves_out_the_rare_and_the_common() -> None:
    documents = [["all", "some"], ["all", "some"], ["all"], ["all", "once"]]
    assert build_vocabulary(documents, no_below=2, no_above=0.5, evenness=9).words == ("some",)
    assert build_vocabulary(documents, no_below=1, no_above=1.0, evenness=9, most=2).words == ("all", "some")


def test_the_dictionary_leaves_out_what_is_spread_as_if_by_chance() -> None:
    rng = np.random.default_rng(0)
    documents = [["said"] * (n % 2) + ["theme"] * (3 * (n < 20)) + list(rng.choice(RARE, 10)) for n in range(100)]
    words = build_vocabulary(documents, no_below=1, no_above=1.0).words
    assert "theme" in words  # in bursts: 20 documents, where 45 are expected by chance
    assert "said" not in words  # in 50 documents, where 39 are expected
    assert set(RARE) & set(words)


def test_counts_pass_over_unknown_words() -> None:
    vocabulary = Vocabulary(("a", "咖啡"))
    assert vocabulary.counts([["a", "x", "a"], [], ["咖啡"]]).toarray().tolist() == [[2, 0], [0, 0], [0, 1]]
    assert vocabulary.languages.tolist() == ["en", "zh"]
    assert vocabulary.counts([]).shape == (0, 2)
