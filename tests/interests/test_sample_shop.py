"""On the sample shop, whose sentiment is planted: it is ranked in each language, for texts of other people and days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tasks.interests import fit_sentiment
from tasks.sources.sample_shop import write_shop
from tasks.text import detect_languages, normalise

pytestmark = pytest.mark.slow


def opinions(folder: Path, seed: int) -> pd.DataFrame:
    """Texts in which the sentiment was planted, with their stars where they have any."""
    write_shop(folder, users=600, days=40, seed=seed)
    events = pd.read_csv(folder / "events.csv").merge(pd.read_parquet(folder / "truth_events.parquet"), on="event_id")
    told = events.dropna(subset=["text", "sentiment"])
    text = told["text"].map(normalise)
    return told.assign(text=text, language=detect_languages(text.tolist()))


def test_planted_sentiment_is_ranked_in_each_language_by_words_alone(tmp_path: Path) -> None:
    learn, test = opinions(tmp_path / "learn", 0), opinions(tmp_path / "test", 7)
    nothing = np.empty((len(learn), 0), dtype=np.float32)
    model = fit_sentiment(nothing, learn["text"].tolist(), learn["rating"].to_numpy(), seed=0)
    test["favourable"] = model.predict(np.empty((len(test), 0), dtype=np.float32), test["text"].tolist())
    for language in ("en", "zh"):
        said = test[test["language"] == language]
        assert roc_auc_score(said["sentiment"] > 0.5, said["favourable"]) > 0.9
