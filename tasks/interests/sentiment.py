"""How favourable a text is: a calibrated classifier learned from ratings, on the encoder's vectors and the words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.special import expit
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import normalize

from tasks.errors import ModelError, NotEnoughData

FAVOURABLE, UNFAVOURABLE = 4.0, 2.0
"""Ratings from which on a text is favourable, and up to which it is not; those between teach nothing."""
FEATURES = 1 << 17
"""Places that n-grams are hashed to."""
FOLDS = 5
MOST_TEXTS = 50_000
"""Texts learned from; more change little and cost memory."""
STRENGTH = 10.0
"""Inverse of the ridge penalty; held-out AUC on English reviews was .92 with 10 and .91 with 1."""
PREDICT_ROWS = 5_000
FORMAT = 1
_ARRAYS, _FACTS = "sentiment.safetensors", "sentiment.json"

_HASHER = HashingVectorizer(
    # English words, single Chinese characters, marks of mood: up to three in a row make "not very good" and "不好用"
    token_pattern=r"[^\W\d_\u3400-\u4dbf\u4e00-\u9fff]+(?:'[^\W\d_]+)?|[\u3400-\u4dbf\u4e00-\u9fff]|[!?！？]+",
    ngram_range=(1, 3),
    n_features=FEATURES,
    alternate_sign=False,
    norm=None,
    dtype=np.float32,
)


@dataclass(frozen=True, eq=False)
class SentimentModel:
    """A logistic regression over [vector; hashed TF-IDF of n-grams] with Platt's calibration."""

    idf: np.ndarray
    """Inverse document frequency of each hashed n-gram (f,), float32."""
    coefficients: np.ndarray
    """Of the vector and then of the n-grams (d + f,), float32."""
    intercept: float
    slope: float
    """Of the calibration: probability = σ(slope · score + offset)."""
    offset: float

    @property
    def width(self) -> int:
        """Length d of the vectors it reads."""
        return len(self.coefficients) - len(self.idf)

    def predict(self, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """Probability that each text is favourable (n,), float32, from vectors (n, d) and texts (n).

        Raises `ModelError` where vectors are not of the width that it learned from, or not as many as texts.
        """
        _refuse_misfit(vectors, texts, self.width)
        parts = [np.empty(0)]
        for start in range(0, len(texts), PREDICT_ROWS):
            stop = start + PREDICT_ROWS
            features = _features(vectors[start:stop], _HASHER.transform(texts[start:stop]), self.idf)
            parts.append(features @ self.coefficients.astype(np.float64) + self.intercept)
        return np.asarray(expit(self.slope * np.concatenate(parts) + self.offset), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write the model to `folder`: safetensors and JSON, nothing that runs when it is read."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"idf": self.idf, "coefficients": self.coefficients}, folder / _ARRAYS)
        facts = {"format": FORMAT, "intercept": self.intercept, "slope": self.slope, "offset": self.offset}
        (folder / _FACTS).write_text(json.dumps(facts))

    @classmethod
    def load(cls, folder: Path) -> SentimentModel:
        """The model that `save` wrote; raises `ModelError` where the folder is missing, damaged or foreign."""
        try:
            facts, arrays = json.loads((folder / _FACTS).read_text()), load_file(folder / _ARRAYS)
            model = cls(arrays["idf"], arrays["coefficients"], *(float(facts[k]) for k in _SCALARS))
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise ModelError(f"{folder} holds no sentiment model ({type(error).__name__}); fit it again") from error
        if facts.get("format") != FORMAT or model.idf.shape != (FEATURES,) or model.width < 0:
            raise ModelError(f"{folder}: the parts of the sentiment model do not fit each other; fit it again")
        return model


_SCALARS = ("intercept", "slope", "offset")


def fit_sentiment(vectors: np.ndarray, texts: Sequence[str], ratings: np.ndarray, *, seed: int) -> SentimentModel:
    """Learn to tell favourable texts (rated 4 or 5) from unfavourable ones (1 or 2) of vectors (n, d) and ratings (n,).

    The words stand beside the vector because an encoder may not know the language of a text; give vectors (n, 0) to
    use words alone. Classes weigh the same however rare one is; the probabilities are then calibrated to the true
    shares on scores of texts that a fold's model had not seen (Platt, 1999). A NaN rating is left out. Raises
    `NotEnoughData` where a class has fewer than five texts.
    """
    _refuse_misfit(vectors, texts, vectors.shape[1])
    rows, favourable = _labelled(np.asarray(ratings, dtype=np.float64), seed)
    counts = _HASHER.transform([texts[row] for row in rows])
    frequency = np.asarray((counts > 0).sum(axis=0)).ravel()
    idf = (np.log((1 + len(rows)) / (1 + frequency)) + 1).astype(np.float32)
    features = _features(vectors[rows], counts, idf)
    scores = np.empty(len(rows))
    for seen, unseen in _folds(favourable, seed):
        scores[unseen] = _regression(seed).fit(features[seen], favourable[seen]).decision_function(features[unseen])
    platt = LogisticRegression(C=1e6).fit(scores[:, None], favourable)
    model = _regression(seed).fit(features, favourable)
    return SentimentModel(
        idf, model.coef_[0].astype(np.float32), float(model.intercept_[0]), float(platt.coef_[0, 0]),
        float(platt.intercept_[0]),
    )  # fmt: skip


def _labelled(ratings: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that teach something (at most `MOST_TEXTS`) and whether each is favourable."""
    rows = np.flatnonzero((ratings >= FAVOURABLE) | (ratings <= UNFAVOURABLE))
    if len(rows) > MOST_TEXTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_TEXTS, replace=False))
    favourable = ratings[rows] >= FAVOURABLE
    counts = int(favourable.sum()), int((~favourable).sum())
    if min(counts) < FOLDS:
        raise NotEnoughData(
            f"sentiment: {counts[0]} texts are rated {FAVOURABLE:g} or more, {counts[1]} {UNFAVOURABLE:g} or less; "
            f"bring at least {FOLDS} of each"
        )
    return rows, favourable


def _folds(favourable: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    yield from folds.split(np.zeros(len(favourable)), favourable)


def _regression(seed: int) -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, class_weight="balanced", solver="liblinear", random_state=seed)


def _features(vectors: np.ndarray, counts: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    """[vector; TF-IDF] of each text (n, d + f), either half of unit length; counts damped to 1 + log."""
    words = counts.copy()
    words.data = 1 + np.log(words.data)
    words = normalize(words @ sparse.diags(idf))
    return sparse.hstack([sparse.csr_matrix(vectors), words], format="csr")


def _refuse_misfit(vectors: np.ndarray, texts: Sequence[str], width: int) -> None:
    """Raise `ModelError` where vectors and texts differ in number, or vectors have another width."""
    if len(vectors) != len(texts):
        raise ModelError(f"sentiment: {len(vectors)} vectors for {len(texts)} texts")
    if vectors.shape[1] != width:
        raise ModelError(f"sentiment learned from vectors of {width}, not of {vectors.shape[1]}; fit it again")
