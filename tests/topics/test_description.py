"""Topics as people read them."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from tasks import schema
from tasks.columns import to_arrow
from tasks.topics import TopicModel, describe_topics, topic_coherence
from tasks.topics.vocabulary import Vocabulary

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
WORDS = ("beans", "grinder", "milk", "racket", "咖啡", "球拍")


@pytest.fixture
def model() -> TopicModel:
    weights = np.array([[30, 20, 10, 0.01, 25, 0.01], [0.01, 0.01, 10, 40, 0.01, 30]], dtype=np.float32)
    return TopicModel(Vocabulary(WORDS), weights, np.array([0.3, 0.1], dtype=np.float32), (2, 7), 8, 10)


@pytest.fixture
def documents() -> list[list[str]]:
    return [["beans", "grinder", "咖啡"]] * 3 + [["racket", "球拍"]] * 1


def test_a_topic_is_named_by_its_best_words(model: TopicModel, documents: list[list[str]]) -> None:
    frame = describe_topics(model, documents, as_of=AS_OF)
    to_arrow(frame, schema.TOPICS)
    assert frame["topic_id"].tolist() == [2, 7]
    assert frame["label"].tolist() == ["beans · grinder · milk", "racket · milk"]
    assert frame["label_zh"].tolist() == ["咖啡", "球拍"]
    assert frame["words_zh"].tolist() == [["咖啡"], ["球拍"]]
    assert frame["share"].sum() == pytest.approx(1)
    assert frame["share"][0] > 0.7


def test_relevance_prefers_words_of_one_topic_over_words_of_all(model: TopicModel) -> None:
    weights = np.array([[50, 40, 1, 1, 1, 1], [50, 1, 40, 1, 1, 1], [50, 1, 1, 40, 1, 1]], dtype=np.float32)
    shared = TopicModel(model.vocabulary, weights, np.ones(3, dtype=np.float32), (0, 1, 2), 3, 10)
    assert [words[0] for words in shared.topic_words("en", relevance=0.6)] == ["grinder", "milk", "racket"]
    assert [words[0] for words in shared.topic_words("en", relevance=1.0)] == ["beans"] * 3


def test_npmi_of_known_counts(model: TopicModel) -> None:
    words = {"en": [["beans", "grinder"], ["beans", "racket"]], "zh": [["咖啡"], []]}
    texts = [["beans", "grinder"], ["beans", "grinder"], ["racket"], ["milk"]]
    always, never = topic_coherence(model, words, texts)
    assert always == pytest.approx(1)  # p(a,b) = p(a) = p(b) = 1/2
    assert never == pytest.approx(-1)
    half = topic_coherence(model, {"en": [["beans", "milk"], []]}, [["beans", "milk"], ["beans"], ["milk"], ["racket"]])
    # log(1/4 / (1/2 · 1/2)) / -log(1/4) = 0: independent; a topic without a pair has 0
    np.testing.assert_allclose(half, [0, 0], atol=1e-7)


def test_labels_last_while_the_meaning_does(model: TopicModel, documents: list[list[str]]) -> None:
    before = describe_topics(model, documents, as_of=AS_OF)
    before["label"] = ["milk · beans · grinder", "shuttle · court · racket"]
    after = describe_topics(model, documents, as_of=AS_OF, previous=before)
    assert after["label"].tolist() == ["milk · beans · grinder", "racket · milk"]


def test_a_new_topic_has_its_own_label(model: TopicModel, documents: list[list[str]]) -> None:
    before = describe_topics(model, documents, as_of=AS_OF).iloc[:1]
    after = describe_topics(model, documents, as_of=AS_OF, previous=before)
    pd.testing.assert_series_equal(after["label"], describe_topics(model, documents, as_of=AS_OF)["label"])


def test_a_topic_of_one_language_has_a_name_all_the_same(model: TopicModel) -> None:
    weights = np.array([[0.01, 0.01, 0.01, 0.01, 9, 9]], dtype=np.float32)
    chinese = TopicModel(model.vocabulary, weights, np.ones(1, dtype=np.float32), (0,), 1, 10)
    frame = describe_topics(chinese, [], as_of=AS_OF)
    assert frame["label"][0] == frame["label_zh"][0] == "咖啡 · 球拍"
    to_arrow(frame, schema.TOPICS)
