"""What is planted in the sample shop can be learned from its rows, and not by the plainest means alone."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tasks.sources.sample_shop import write_shop

HELD_OUT_DAYS = 7


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder, users=600, days=60, seed=1)
    events = pd.read_csv(folder / "events.csv", dtype=str, keep_default_na=False)
    events = events.merge(pd.read_parquet(folder / "truth_events.parquet"), on="event_id")
    users = pd.read_parquet(folder / "truth_users.parquet")
    return events, users, json.loads((folder / "truth.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sentiment_is_learned_but_not_spelled_out(shop, language):
    events, users, _ = shop
    reviews = events[events["kind"] == "review"].merge(users[["user_id", "language"]], on="user_id", suffixes=("", "_"))
    reviews = reviews[reviews["language_"] == language]
    pleased, late = reviews["sentiment"].to_numpy() > 0.5, np.arange(len(reviews)) > 0.7 * len(reviews)
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True).fit(reviews["text"][~late])
    model = LogisticRegression(C=5, max_iter=500).fit(words.transform(reviews["text"][~late]), pleased[~late])
    auc = roc_auc_score(pleased[late], model.predict_proba(words.transform(reviews["text"][late]))[:, 1])
    assert 0.92 < auc < 0.992


@pytest.fixture(scope="module")
def ranked(shop):
    """NDCG@10 per user on new items of the last week, by plain ways to rank, (users,) each."""
    events, users, truth = shop
    acted = events[events["item_id"] != ""].sort_values(["user_id", "event_time"], kind="stable")
    item = acted["item_id"].map({name: at for at, name in enumerate(truth["item_themes"])}).to_numpy()
    user = acted["user_id"].map({name: at for at, name in enumerate(users["user_id"])}).to_numpy()
    cut = pd.Timestamp(truth["as_of"]) - pd.Timedelta(days=HELD_OUT_DAYS)
    past = (pd.to_datetime(acted["event_time"]) < cut).to_numpy()
    had, later = (np.zeros((len(users), len(truth["item_themes"])), dtype=bool) for _ in range(2))
    had[user[past], item[past]] = later[user[~past], item[~past]] = True
    later &= ~had

    popularity = np.bincount(item[past], minlength=had.shape[1]).astype(float)
    together = had.T.astype(float) @ had
    np.fill_diagonal(together, 0)
    count = np.maximum(had.sum(0), 1)
    last = np.full(len(users), -1)
    last[user[past]] = item[past]
    onward = np.zeros_like(together)
    goes_on = (user[past][1:] == user[past][:-1]) & (item[past][1:] != item[past][:-1])
    np.add.at(onward, (item[past][:-1][goes_on], item[past][1:][goes_on]), 1)
    theme = np.array([truth["themes"].index(name) for name in truth["item_themes"].values()])
    by_theme = np.bincount(theme, popularity)
    scores = {
        "popularity": np.tile(popularity, (len(users), 1)),
        "neighbours": had @ (together / np.sqrt(np.outer(count, count))),
        "markov": onward[last] / (onward[last].sum(1, keepdims=True) + 1) + 1e-9 * popularity,
        "truth": np.stack(users["themes_after"])[:, theme] * popularity / by_theme[theme],
    }
    whom = np.flatnonzero(later.any(1) & had.any(1))
    return {name: ndcg(np.where(had, -np.inf, score)[whom], later[whom]) for name, score in scores.items()}


def ndcg(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """NDCG@10 (n,) of scores (n, items) against what was wanted (n, items)."""
    gains = 1 / np.log2(np.arange(2, 12))
    hits = np.take_along_axis(wanted, np.argsort(-scores, axis=1, kind="stable")[:, :10], axis=1)
    return (hits * gains).sum(1) / np.cumsum(gains)[np.minimum(wanted.sum(1), 10) - 1]


def test_order_and_company_tell_more_than_popularity(ranked):
    assert len(ranked["truth"]) > 150
    for better, worse, by in (
        ("markov", "popularity", 0.1),
        ("neighbours", "popularity", 0.15),
        ("truth", "neighbours", 0.0),
        ("truth", "markov", 0.05),
    ):
        assert (ranked[better] - ranked[worse]).mean() > by, (better, worse)
