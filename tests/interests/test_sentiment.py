"""Planted sentiment is learned in both languages, calibrated, and the same after a trip to disk."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tasks.errors import ModelError, NotEnoughData
from tasks.interests import SentimentModel, fit_sentiment

GOOD = {"en": ["lovely", "works well", "not bad"], "zh": ["很好用", "喜欢", "不错"]}
BAD = {"en": ["dreadful", "broke at once", "not good"], "zh": ["不好用", "失望", "太差"]}
FILLER = {"en": ["the cup", "it came", "a lid", "for my desk"], "zh": ["这个杯子", "送来", "盖子", "桌上"]}


def plant(seed: int, count: int, favourable: float = 0.85) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Vectors that know English only, texts, ratings and language."""
    rng = np.random.default_rng(seed)
    pleased, language = rng.random(count) < favourable, rng.choice(["en", "zh"], count)
    texts = [
        " ".join([*rng.choice(FILLER[code], 2), rng.choice((GOOD if good else BAD)[code])])
        for good, code in zip(pleased, language, strict=True)
    ]
    vectors = rng.normal(size=(count, 8))
    vectors[:, 0] += np.where(language == "en", np.where(pleased, 1.5, -1.5), 0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ratings = np.where(pleased, rng.choice([4, 5], count), rng.choice([1, 2], count)).astype(np.float32)
    return vectors.astype(np.float32), texts, ratings, language


@pytest.fixture(scope="module")
def model() -> SentimentModel:
    vectors, texts, ratings, _ = plant(0, 600)
    return fit_sentiment(vectors, texts, ratings, seed=0)


def test_planted_sentiment_is_ranked_in_each_language(model: SentimentModel) -> None:
    vectors, texts, ratings, language = plant(1, 400)
    probability = model.predict(vectors, texts)
    assert probability.dtype == np.float32
    for code in ("en", "zh"):
        rows = language == code
        assert roc_auc_score(ratings[rows] >= 4, probability[rows]) > 0.95


def test_probabilities_are_calibrated_though_classes_weigh_the_same() -> None:
    vectors, texts, ratings, _ = plant(2, 1500)
    rng = np.random.default_rng(3)
    noisy = np.where(rng.random(1500) < 0.15, 6 - ratings, ratings)  # 15 % of ratings say the opposite
    model = fit_sentiment(vectors[:1000], texts[:1000], noisy[:1000], seed=0)
    probability, truth = model.predict(vectors[1000:], texts[1000:]), noisy[1000:] >= 4
    assert probability.mean() == pytest.approx(truth.mean(), abs=0.05)
    sure = probability > 0.75
    assert probability[sure].mean() == pytest.approx(truth[sure].mean(), abs=0.08)


def test_three_stars_and_missing_ratings_teach_nothing() -> None:
    vectors, texts, ratings, _ = plant(0, 600)
    more = np.concatenate([ratings, [3, np.nan]])
    spoiled = fit_sentiment(np.vstack([vectors, vectors[:2]]), [*texts, "dreadful", "lovely"], more, seed=0)
    plain = fit_sentiment(vectors, texts, ratings, seed=0)
    assert np.array_equal(spoiled.coefficients, plain.coefficients)


def test_saved_and_loaded_it_predicts_exactly_the_same(model: SentimentModel, tmp_path: Path) -> None:
    vectors, texts, _, _ = plant(1, 50)
    model.save(tmp_path / "model")
    assert np.array_equal(
        SentimentModel.load(tmp_path / "model").predict(vectors, texts), model.predict(vectors, texts)
    )


def test_the_same_seed_gives_the_same_model(model: SentimentModel) -> None:
    vectors, texts, ratings, _ = plant(0, 600)
    again = fit_sentiment(vectors, texts, ratings, seed=0)
    assert np.array_equal(again.coefficients, model.coefficients)
    assert (again.slope, again.offset) == (model.slope, model.offset)


def test_a_batch_equals_one_by_one_and_nothing_gives_nothing(model: SentimentModel) -> None:
    vectors, texts, _, _ = plant(1, 20)
    texts[0] = ""
    alone = [model.predict(vectors[n : n + 1], [text])[0] for n, text in enumerate(texts)]
    np.testing.assert_allclose(model.predict(vectors, texts), alone, rtol=1e-6)
    assert model.predict(vectors[:0], []).shape == (0,)


@pytest.mark.parametrize("ratings", [[5.0] * 20, [1.0] * 20, [5.0] * 16 + [1.0] * 4, [3.0] * 20])
def test_a_missing_class_says_what_is_needed(ratings: list[float]) -> None:
    with pytest.raises(NotEnoughData, match="at least 5 of each"):
        fit_sentiment(np.ones((20, 2), dtype=np.float32), ["text"] * 20, np.array(ratings), seed=0)


def test_words_alone_are_enough_for_the_shape_and_another_width_is_refused(model: SentimentModel) -> None:
    _, texts, ratings, _ = plant(0, 100)
    words = fit_sentiment(np.empty((100, 0), dtype=np.float32), texts, ratings, seed=0)
    assert words.predict(np.empty((2, 0), dtype=np.float32), texts[:2]).shape == (2,)
    with pytest.raises(ModelError, match="vectors of 8, not of 3"):
        model.predict(np.ones((2, 3), dtype=np.float32), texts[:2])
    with pytest.raises(ModelError, match="1 vectors for 2 texts"):
        model.predict(np.ones((1, 8), dtype=np.float32), texts[:2])


def test_a_damaged_or_foreign_folder_is_refused(model: SentimentModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no sentiment model"):
        SentimentModel.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "sentiment.json").write_text("{}")
    with pytest.raises(ModelError, match="no sentiment model"):
        SentimentModel.load(tmp_path)
    (tmp_path / "sentiment.json").write_text("[]")
    with pytest.raises(ModelError, match="no sentiment model"):
        SentimentModel.load(tmp_path)


@pytest.mark.data
@pytest.mark.slow
def test_real_reviews_are_told_apart_better_than_by_naive_bayes() -> None:
    folder = Path(os.environ.get("PENCHANT_TEST_DATA", "../shared/data"))
    path = folder / "amazon_musical_instruments_5core.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"the data set {path.name} is not here; set PENCHANT_TEST_DATA to its folder")
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))
    texts, ratings = [rows[n]["reviewText"] for n in order], np.array([rows[n]["overall"] for n in order])
    cut = int(0.8 * len(rows))
    model = fit_sentiment(np.empty((cut, 0), dtype=np.float32), texts[:cut], ratings[:cut], seed=0)
    probability = model.predict(np.empty((len(rows) - cut, 0), dtype=np.float32), texts[cut:])
    judged = ratings[cut:] != 3
    assert roc_auc_score(ratings[cut:][judged] >= 4, probability[judged]) > 0.85  # naive Bayes: 0.749
