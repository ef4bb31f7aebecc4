"""One language's way of filling a sentence: which words stand for an item, a theme, a feeling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sources.sample_shop import rates
from tasks.sources.sample_shop.catalogue import Catalogue
from tasks.sources.sample_shop.phrases import COMPLAINT, OTHER, PRAISE, Patterns, Phrases

Array = NDArray[Any]


@dataclass(frozen=True)
class Lists:
    """Lists of strings of different lengths, end to end, so that one can be drawn from many at once."""

    strings: Array
    start: Array
    count: Array

    @classmethod
    def of(cls, lists: Sequence[Array]) -> Lists:
        """`lists` end to end."""
        count = np.array([len(one) for one in lists])
        return cls(np.concatenate(lists), np.cumsum(count) - count, count)

    def draw(self, which: Array, rng: np.random.Generator, *, many: int = 1, skew: float = 1.0) -> Array:
        """`many` (1 or 2) different strings from each of the lists `which` (n,), as (many, n).

        skew: above 1, strings at the beginning of a list are drawn more often. Lists of one give it twice.
        """
        first = rng.random(len(which)) ** skew
        shift = rng.random(len(which)) ** skew
        count = self.count[which]
        at = (first * count).astype(np.int64)
        next_to = (at + 1 + (shift * (count - 1)).astype(np.int64)) % count
        return np.asarray(self.strings[self.start[which] + np.array([at, next_to][:many])])


@dataclass(frozen=True)
class Voice:
    """A language: its phrases, and the words of this catalogue in it; `gap` stands between two sentences."""

    phrases: Phrases
    titles: Array
    features: Lists
    words: Lists
    gap: str
    stop: str
    bang: str

    def sentences(self, patterns: Array, item: Array, theme: Array, feeling: Array, rng: np.random.Generator) -> Array:
        """`patterns` (n,) filled for items, themes and feelings (0 to 1) of the same length, as strings (n,)."""
        feature = self.features.draw(item, rng)[0]
        word, word2 = self.words.draw(theme, rng, many=2, skew=rates.WORD_SKEW)
        praise = graded(self.phrases.praise, 2 * feeling - 1, rng)
        complaint = graded(self.phrases.complaint, 2 * feeling, rng)
        neutral = drawn(self.phrases.neutral, len(item), rng)
        rows = zip(patterns, self.titles[item], feature, word, word2, praise, complaint, neutral, strict=True)
        filled = [
            p.format(item=i, feature=f, word=w, word2=w2, praise=good, complaint=bad, neutral=n)
            for p, i, f, w, w2, good, bad, n in rows
        ]
        return strings(filled)

    def uttered(self, texts: Array, loud: Array, rng: np.random.Generator) -> Array:
        """`texts` (n,) begun in capitals, whose full stops become exclamation marks with probability `loud` (n,)."""
        marks = (rng.random(len(texts)) < loud) * rng.integers(1, 3, len(texts))
        rows = zip((text[:1].upper() + text[1:] for text in texts), marks, strict=True)
        return strings([t[:-1] + self.bang * m if m and t.endswith(self.stop) else t for t, m in rows])


def voices(catalogue: Catalogue, phrases: Sequence[Phrases]) -> tuple[Voice, ...]:
    """A voice for each language, in the order of `schema.LANGUAGES`."""
    marks = ((" ", ".", "!"), ("", "。", "！"))
    return tuple(
        Voice(said, catalogue.titles[at], Lists.of(catalogue.features[at]), Lists.of(catalogue.words[at]), *marks[at])
        for at, said in enumerate(phrases)
    )


def graded(phrases: Array, level: Array, rng: np.random.Generator) -> Array:
    """A phrase for each `level` (n,): 0 the worst grade, 1 the best, with noise."""
    noisy = np.clip(level, 0, 1) + rates.GRADE_NOISE * rng.standard_normal(len(level))
    folded = 1 - np.abs(1 - np.abs(noisy) % 2)  # cut off instead, the two ends would be said all the time
    return np.asarray(phrases[np.minimum((folded * len(phrases)).astype(np.int64), len(phrases) - 1)])


def drawn(phrases: Array, n: int, rng: np.random.Generator) -> Array:
    """`n` phrases, each as likely as the next."""
    return np.asarray(phrases[rng.integers(len(phrases), size=n)])


def toned(patterns: Patterns, feeling: Array, plain: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Patterns whose tone fits `feeling` (n,), and whether each tells it; without a tone where `plain` (n,)."""
    pleased = rng.random(len(feeling)) < 1 / (1 + np.exp(-rates.POLARITY_SLOPE * (feeling - 0.5)))
    tone = np.where(plain, OTHER, np.where(pleased, PRAISE, COMPLAINT))
    counts = np.array([len(places) for places in patterns.by_tone])
    tone[counts[tone] == 0] = OTHER
    places = Lists.of(patterns.by_tone)
    at = places.start[tone] + (rng.random(len(tone)) * counts[tone]).astype(np.int64)
    return places.strings[at], tone != OTHER


def strings(values: list[str]) -> Array:
    """An array of strings (n,)."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
