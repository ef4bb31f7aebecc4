"""Planted topics are found in both languages, and a model is what it was when it comes back from disk."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import ModelError, NotEnoughData
from tasks.topics import TopicModel, fit_topics, pooled_documents

from .planted import THEMES, Planted, make, split


@pytest.fixture(scope="module")
def planted() -> Planted:
    return make(0)


@pytest.fixture(scope="module")
def pooled(planted: Planted) -> list[list[str]]:
    return pooled_documents(planted.events, planted.items, tokeniser=split)


@pytest.fixture(scope="module")
def model(pooled: list[list[str]]) -> TopicModel:
    return fit_topics(pooled, n_topics=THEMES, passes=5, seed=0)


def matched(model: TopicModel, planted: Planted, rows: np.ndarray) -> float:
    """Share of texts whose largest topic is the one that most English texts of their theme have."""
    top = model.infer(planted.documents).argmax(axis=1)
    of_theme = [np.bincount(top[(planted.themes == t) & ~planted.chinese]).argmax() for t in range(THEMES)]
    assert len(set(of_theme)) == THEMES
    return float((top[rows] == np.asarray(of_theme)[planted.themes[rows]]).mean())


def test_planted_topics_are_found_and_shared_by_both_languages(model: TopicModel, planted: Planted) -> None:
    assert matched(model, planted, ~planted.chinese) > 0.95
    assert matched(model, planted, planted.chinese) > 0.95


def test_asking_for_too_many_topics_does_not_split_themes(pooled: list[list[str]], planted: Planted) -> None:
    model = fit_topics(pooled, n_topics=2 * THEMES, passes=5, seed=1)
    assert model.n_topics == THEMES
    assert matched(model, planted, planted.chinese) > 0.95


def test_top_words_are_those_of_the_planted_theme(model: TopicModel, planted: Planted) -> None:
    for language, mark in (("en", "en"), ("zh", "字")):
        for words in model.topic_words(language):
            assert len(words) == 10
            assert len({word.removeprefix(mark).split("n")[0] for word in words}) == 1
            assert all(word.startswith(mark) for word in words)


def test_the_same_seed_gives_the_same_model(model: TopicModel, pooled: list[list[str]]) -> None:
    again = fit_topics(pooled, n_topics=THEMES, passes=5, seed=0)
    assert np.array_equal(again.weights, model.weights)
    assert np.array_equal(again.alpha, model.alpha)


def test_a_loaded_model_infers_exactly_the_same(model: TopicModel, planted: Planted, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = TopicModel.load(tmp_path / "model")
    assert np.array_equal(loaded.infer(planted.documents[:50]), model.infer(planted.documents[:50]))
    assert (loaded.topic_ids, loaded.next_id) == (model.topic_ids, model.next_id)
    assert not list((tmp_path / "model").glob("*.pkl"))


def test_a_batch_equals_one_by_one(model: TopicModel, planted: Planted) -> None:
    texts = [*planted.documents[:30], [], ["never-seen"]]
    alone = np.concatenate([model.infer([text]) for text in texts])
    np.testing.assert_allclose(model.infer(texts), alone, atol=1e-6)


def test_mixes_are_shares_and_an_unreadable_text_has_the_prior(model: TopicModel, planted: Planted) -> None:
    mixes = model.infer([*planted.documents[:100], [], ["never-seen"]])
    assert mixes.dtype == np.float32
    assert (mixes >= 0).all()
    np.testing.assert_allclose(mixes.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(mixes[-2:], np.tile(model.alpha / model.alpha.sum(), (2, 1)), rtol=1e-5)


def test_nothing_in_nothing_out(model: TopicModel) -> None:
    assert model.infer([]).shape == (0, THEMES)


def test_progress_counts_the_passes(pooled: list[list[str]]) -> None:
    steps: list[int] = []
    fit_topics(pooled, n_topics=THEMES, passes=4, seed=0, progress=steps.append)
    assert steps == [1] * 4


def test_an_update_keeps_ids_and_learns_words_it_did_not_know(model: TopicModel, planted: Planted) -> None:
    fresh = [[*text, "novelty"] for text, theme in zip(planted.documents, planted.themes, strict=True) if theme == 0]
    taught = model.update(fresh, seed=0, passes=3)
    assert taught.topic_ids == model.topic_ids
    assert taught.vocabulary.words[: len(model.vocabulary.words)] == model.vocabulary.words
    before = model.infer(fresh).mean(axis=0).argmax()
    assert taught.infer([["novelty"]]).argmax() == before
    assert model.update([], seed=0) is model


@pytest.mark.parametrize("documents", [[], [["one", "two"]], [[f"w{n}"] for n in range(50)]])
def test_too_little_text_says_what_is_needed(documents: list[list[str]]) -> None:
    with pytest.raises(NotEnoughData, match="bring at least 5 documents"):
        fit_topics(documents, n_topics=5, passes=1, seed=0)


def test_a_damaged_or_foreign_folder_is_refused(model: TopicModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no topic model"):
        TopicModel.load(tmp_path)
    model.save(tmp_path)
    facts = json.loads((tmp_path / "topics.json").read_text())
    (tmp_path / "topics.json").write_text(json.dumps({**facts, "words": facts["words"][:-1]}))
    with pytest.raises(ModelError, match="do not fit"):
        TopicModel.load(tmp_path)
    (tmp_path / "topics.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match="no topic model"):
        TopicModel.load(tmp_path)
