"""A small bilingual shop with planted themes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.schema import EVENTS, ITEMS

THEMES, WORDS = 5, 12


@dataclass(frozen=True)
class Planted:
    """Items and events of a shop, and what they were made from."""

    items: pd.DataFrame
    events: pd.DataFrame
    theme_of_item: dict[str, int]

    @property
    def documents(self) -> list[list[str]]:
        return [text.split() for text in self.events["text"]]

    @property
    def themes(self) -> np.ndarray:
        return self.events["item_id"].map(self.theme_of_item).to_numpy()

    @property
    def chinese(self) -> np.ndarray:
        return (self.events["language"] == "zh").to_numpy()


def split(text: str, language: str) -> list[str]:
    """A tokeniser for planted text, whose words stand apart."""
    return text.split()


def theme_words(theme: int, language: str) -> list[str]:
    return [f"{'en' if language == 'en' else '字'}{theme}n{number}" for number in range(WORDS)]


def make(seed: int, themes: list[int] | None = None, texts: int = 800) -> Planted:
    """Items about one theme each, named in both languages; texts in one, with words that everybody uses."""
    rng, themes = np.random.default_rng(seed), themes if themes is not None else list(range(THEMES))

    def said(theme: int, language: str, words: int, chatter: float) -> str:
        own = rng.choice(theme_words(theme, language), words)
        common = rng.choice([f"{'any' if language == 'en' else '常'}{n}" for n in range(6)], words)
        return " ".join(np.where(rng.random(words) < chatter, common, own))

    of_item = {f"i{n}": themes[n % len(themes)] for n in range(8 * len(themes))}
    items = pd.DataFrame(
        {
            ITEMS["item_id"].name: list(of_item),
            ITEMS["title"].name: [said(t, "en", 4, 0.0) for t in of_item.values()],
            ITEMS["title_zh"].name: [said(t, "zh", 4, 0.0) for t in of_item.values()],
            ITEMS["description"].name: [said(t, "en", 10, 0.2) for t in of_item.values()],
            ITEMS["description_zh"].name: [said(t, "zh", 10, 0.2) for t in of_item.values()],
        }
    )
    about = rng.choice(list(of_item), texts)
    language = np.where(rng.random(texts) < 0.5, "en", "zh")
    events = pd.DataFrame(
        {
            EVENTS["event_id"].name: [f"e{n}" for n in range(texts)],
            EVENTS["user_id"].name: [
                f"u{of_item[i]}-{n % 9}-{code}" for n, (i, code) in enumerate(zip(about, language, strict=True))
            ],
            EVENTS["item_id"].name: about,
            EVENTS["kind"].name: "review",
            EVENTS["text"].name: [said(of_item[i], code, 9, 0.4) for i, code in zip(about, language, strict=True)],
            EVENTS["text_hash"].name: [f"h{n}" for n in range(texts)],
            EVENTS["language"].name: language,
            EVENTS["event_time"].name: pd.date_range("2024-01-01", periods=texts, freq="h", tz="UTC"),
        }
    )
    return Planted(items, events, of_item)
