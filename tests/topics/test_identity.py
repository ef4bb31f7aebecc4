"""Topics keep their ids from fit to fit, and what comes and goes is written down."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tasks.topics import TopicModel, fit_topics, match_topics, pooled_documents, stable_topics
from tasks.topics.distance import grouped, jensen_shannon
from tasks.topics.vocabulary import Vocabulary

from .planted import make, split


def fitted(themes: list[int], seed: int) -> TopicModel:
    planted = make(seed, themes)
    documents = pooled_documents(planted.events, planted.items, tokeniser=split)
    return fit_topics(documents, n_topics=len(themes), passes=5, seed=seed)


def theme_of(model: TopicModel) -> dict[int, str]:
    """The planted theme of each topic id, read off its best word."""
    best = model.topic_words("en", 1)
    return {
        topic: words[0].removeprefix("en").split("n")[0] for topic, words in zip(model.topic_ids, best, strict=True)
    }


@pytest.fixture(scope="module")
def old() -> TopicModel:
    return fitted([0, 1, 2, 3, 4], seed=0)


def permuted(model: TopicModel, order: list[int]) -> TopicModel:
    return replace(model, weights=model.weights[order], alpha=model.alpha[order])


def test_permuted_topics_are_put_back(old: TopicModel) -> None:
    stable = stable_topics(old, permuted(old, [3, 0, 4, 1, 2]))
    assert stable.model.topic_ids == old.topic_ids
    assert np.array_equal(stable.model.weights, old.weights)
    assert np.array_equal(stable.model.alpha, old.alpha)
    assert (stable.ledger["fate"] == "kept").all()
    assert stable.ledger["distance"].max() < 1e-3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_refit_on_other_texts_keeps_every_id(old: TopicModel, seed: int) -> None:
    stable = stable_topics(old, fitted([4, 2, 0, 1, 3], seed))
    assert theme_of(stable.model) == theme_of(old)
    assert stable.model.next_id == old.next_id


def test_birth_and_death_are_reported_and_no_id_is_used_twice(old: TopicModel) -> None:
    stable = stable_topics(old, fitted([0, 1, 2, 3, 7], seed=4))
    gone = next(topic for topic, theme in theme_of(old).items() if theme == "4")
    fates = stable.ledger.set_index("topic_id")["fate"]
    assert fates[gone] == "died"
    assert fates[5] == "born"
    assert (fates.drop([gone, 5]) == "kept").all()
    assert stable.model.topic_ids == tuple(sorted({0, 1, 2, 3, 4, 5} - {gone}))
    assert theme_of(stable.model)[5] == "7"
    assert stable.model.next_id == 6
    back = stable_topics(stable.model, fitted([0, 1, 2, 3, 4], seed=5))
    assert 6 in back.model.topic_ids
    assert gone not in back.model.topic_ids


def test_halves_and_unions_of_topics_are_told_from_births_and_deaths() -> None:
    words = Vocabulary(tuple(f"w{n}" for n in range(40)))
    whole, other = np.full(40, 0.001), np.full(40, 0.001)
    whole[:20], other[20:] = 10, 10
    left, right = whole.copy(), whole.copy()
    left[12:20], right[:8] = 0.001, 0.001

    def of(*topics: np.ndarray) -> TopicModel:
        k = len(topics)
        weights = np.stack(topics).astype(np.float32)
        return TopicModel(words, weights, np.full(k, 1 / k, dtype=np.float32), tuple(range(k)), k, 100)

    apart = stable_topics(of(whole, other), of(left, right, other))
    assert sorted(apart.ledger["fate"]) == ["kept", "kept", "split"]
    assert apart.ledger.set_index("topic_id").loc[2, "nearest"] == 0
    together = stable_topics(of(left, right, other), of(whole, other))
    assert sorted(together.ledger["fate"]) == ["kept", "kept", "merged"]


def test_vocabularies_may_differ(old: TopicModel) -> None:
    order = np.arange(len(old.vocabulary.words))[::-1]
    turned = replace(
        old, vocabulary=Vocabulary(tuple(old.vocabulary.words[w] for w in order)), weights=old.weights[:, order]
    )
    match = match_topics(old, turned)
    assert match.new.tolist() == match.old.tolist() == list(range(old.n_topics))
    np.testing.assert_allclose(match.distances.diagonal(), 0, atol=1e-3)


def test_no_good_pair_is_given_up_for_two_bad_ones() -> None:
    words = Vocabulary(("a", "b", "c", "d"))

    def of(rows: list[list[float]]) -> TopicModel:
        k = len(rows)
        return TopicModel(words, np.array(rows, dtype=np.float32), np.ones(k, dtype=np.float32), tuple(range(k)), k, 9)

    match = match_topics(of([[1, 0, 0, 0], [0.5, 0.5, 0, 0]]), of([[1, 0, 0, 0], [0, 0, 0.5, 0.5]]))
    assert list(zip(match.old, match.new, strict=True)) == [(0, 0)]


distributions = arrays.arrays(np.float64, (3, 6), elements=st.floats(0, 1)).map(
    lambda rows: (rows + 1e-9) / (rows + 1e-9).sum(axis=1, keepdims=True)
)


@given(distributions, distributions)
@settings(deadline=None)
def test_the_distance_is_a_bounded_symmetric_metric(left: np.ndarray, right: np.ndarray) -> None:
    there, back = jensen_shannon(left, right), jensen_shannon(right, left)
    np.testing.assert_allclose(there, back.T, atol=1e-7)
    assert (there >= 0).all()
    assert (there <= 1).all()
    np.testing.assert_allclose(jensen_shannon(left, left).diagonal(), 0, atol=1e-7)
    within = jensen_shannon(right, right)
    assert (there[:, :, None] <= there[:, None, :] + within[None] + 1e-7).all()  # triangle


def test_distance_of_known_distributions() -> None:
    one, other, half = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])
    assert jensen_shannon(one, other)[0, 0] == pytest.approx(1)
    # (KL([1,0] | [.75,.25]) + KL([.5,.5] | [.75,.25])) / 2 = (log2(4/3) + (log2(2/3) + log2(2)) / 2) / 2
    assert jensen_shannon(one, half)[0, 0] == pytest.approx(
        ((np.log2(4 / 3) + np.log2(4 / 3) / 2) / 2) ** 0.5, abs=1e-9
    )


def test_halves_are_grouped_and_never_more_groups_are_left_than_asked_for() -> None:
    shares = np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0.4, 0.6, 0, 0, 0], [0, 0, 0, 0, 1]])
    assert grouped(shares, 0.75, 4).tolist() == [0, 1, 0, 2]
    assert len(set(grouped(shares, 0.75, 2).tolist())) == 2
    assert sorted(grouped(shares, 0.0, 4).tolist()) == [0, 1, 2, 3]
    assert grouped(shares[:1], 0.75, 4).tolist() == [0]
