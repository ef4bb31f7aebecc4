"""On the sample shop, whose themes are planted: topics are found in both languages and keep their ids over time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment

from tasks.sources.sample_shop import write_shop
from tasks.text import detect_languages, normalise, text_hash, tokenise
from tasks.topics import TopicModel, fit_topics, pooled_documents, stable_topics

pytestmark = pytest.mark.slow
WANTED = 20
"""The default of `settings.topics`; the shop has 14 themes."""


class Shop:
    """Events with their planted theme, items and the words of texts."""

    def __init__(self, folder: Path) -> None:
        write_shop(folder, users=900, days=75, seed=1)
        with (folder / "items.jsonl").open(encoding="utf-8") as lines:
            self.items = pd.DataFrame(map(json.loads, lines))
        events = pd.read_csv(folder / "events.csv")
        events["event_time"] = pd.to_datetime(events["event_time"], utc=True)
        texts = events["text"].dropna().map(normalise)
        events["text"], events["text_hash"] = texts, texts.map(text_hash)
        events.loc[texts.index, "language"] = ["zh" if code == "zh" else "en" for code in detect_languages([*texts])]
        self.events = events.merge(pd.read_parquet(folder / "truth_events.parquet"), on="event_id")
        said = self.events.dropna(subset=["text"]).drop_duplicates("text_hash")
        self.tokens = {
            key: tokenise(text, code)
            for key, text, code in zip(said["text_hash"], said["text"], said["language"], strict=True)
        }
        self.said = said.dropna(subset=["theme"])
        self.day = (self.events["event_time"] - self.events["event_time"].min()).dt.days

    def fit(self, first: int, last: int, seed: int, without: str = "") -> TopicModel:
        """Topics of the days [first, last), a theme being left out where named."""
        theme = self.items["categories"].str[0]
        events = self.events[(self.day >= first) & (self.day < last) & (self.events["theme"] != without)]
        sold = self.items[theme != without]
        events = events[events["item_id"].isna() | events["item_id"].isin(sold["item_id"])]
        documents = pooled_documents(events, sold, tokens=self.tokens)
        return fit_topics(documents, n_topics=WANTED, passes=10, seed=seed)

    def found(self, model: TopicModel, language: str) -> pd.DataFrame:
        """Texts of one language by planted theme (rows) and their largest topic (columns)."""
        said = self.said[self.said["language"] == language]
        largest = model.infer([self.tokens[key] for key in said["text_hash"]]).argmax(axis=1)
        return pd.crosstab(said["theme"].to_numpy(), np.asarray(model.topic_ids)[largest])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_themes_are_found_one_topic_each_and_shared_by_both_languages(shop: Shop, seed: int) -> None:
    model = shop.fit(0, 75, seed)
    english, chinese = shop.found(model, "en"), shop.found(model, "zh")
    themes, topics = linear_sum_assignment(-english)
    match = dict(zip(english.index[themes], english.columns[topics], strict=True))
    for table in (english, chinese):
        right = sum(table.loc[theme, topic] for theme, topic in match.items())
        assert right / table.to_numpy().sum() > 0.9


def test_topics_keep_their_ids_from_refresh_to_refresh(shop: Shop) -> None:
    model = shop.fit(0, 45, seed=0)
    themes = shop.found(model, "en").idxmax()
    for refresh in range(1, 4):
        stable = stable_topics(model, shop.fit(10 * refresh, 45 + 10 * refresh, seed=refresh))
        model = stable.model
        now = shop.found(model, "en").idxmax()
        kept = [topic for topic in themes.index if now.get(topic) == themes[topic]]
        assert len(kept) >= 0.95 * len(themes)


def test_the_birth_and_the_death_of_a_theme_are_reported_when_they_happen(shop: Shop) -> None:
    model = shop.fit(0, 45, seed=0, without="tea")
    born = stable_topics(model, shop.fit(10, 55, seed=1))
    fates = born.ledger.set_index("topic_id")["fate"]
    tea = shop.found(born.model, "en").loc["tea"].idxmax()
    assert fates[fates == "born"].index.tolist() == [tea]
    died = stable_topics(born.model, shop.fit(20, 65, seed=2, without="camping"))
    fates = died.ledger.set_index("topic_id")["fate"]
    camping = shop.found(born.model, "en").loc["camping"].idxmax()
    assert fates[fates == "died"].index.tolist() == [camping]
    assert camping not in died.model.topic_ids
