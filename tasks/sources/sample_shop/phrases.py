"""What people say in the sample shop: phrases and sentence patterns, read from `phrases.yaml`."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import SourceError
from tasks.schema import LANGUAGES
from tasks.sources.sample_shop import rates
from tasks.sources.sample_shop.catalogue import Entry, load_yaml, need

Array = NDArray[Any]
PHRASES = "phrases.yaml"
SLOTS = ("item", "feature", "word", "word2", "praise", "complaint", "neutral")
"""What a pattern may leave open, written `{item}`; `{word2}` is another theme word than `{word}`."""
PRAISE, COMPLAINT, OTHER = range(3)
"""Tone of a pattern, from the slots it has; both or neither of praise and complaint make OTHER."""
_GRADED, _PLAIN = ("praise", "complaint"), ("neutral", "smalltalk")
_PATTERNS = ("opening", "closing", "question", "search", "comment", "review")
_SLOT = re.compile(r"\{\w*\}|\s")
_ENDS = (".!?…:", "。！？…～~!?.：")


@dataclass(frozen=True)
class Patterns:
    """Sentences with slots: all of them, and those of each tone, a pattern as often as it weighs (`ON_SUBJECT`)."""

    texts: Array
    by_tone: tuple[Array, ...]


@dataclass(frozen=True)
class Phrases:
    """Everything said in one language. Graded phrases stand from the worst grade to the best."""

    praise: Array
    complaint: Array
    neutral: Array
    smalltalk: Array
    opening: Patterns
    closing: Patterns
    question: Patterns
    search: Patterns
    comment: Patterns
    review: Patterns


def load_phrases(folder: Path) -> tuple[Phrases, ...]:
    """The phrases of each language, in the order of `schema.LANGUAGES`; raises `SourceError` naming what is wrong."""
    loaded: dict[str, Entry] = load_yaml(folder / PHRASES, dict)
    need(loaded, LANGUAGES, f"{PHRASES}:")
    return tuple(_phrases(loaded[code], code, _ENDS[at]) for at, code in enumerate(LANGUAGES))


def _phrases(entry: Entry, code: str, ends: str) -> Phrases:
    need(entry, (*_GRADED, *_PLAIN, *_PATTERNS), f"{PHRASES}: language {code},")
    graded = {name: _by_grade(entry[name], f"{PHRASES}: {code} {name}") for name in _GRADED}
    plain = {name: np.array([_plain(p) for p in entry[name]], dtype=object) for name in _PLAIN}
    plain["smalltalk"] = _ended(plain["smalltalk"], ends)
    patterns: dict[str, Patterns] = {}
    for name in _PATTERNS:
        texts = np.array([_plain(p) for p in entry[name]], dtype=object)
        patterns[name] = _patterns(texts if name == "search" else _ended(texts, ends), f"{PHRASES}: {code} {name}")
    for tone in (PRAISE, COMPLAINT, OTHER):
        if not len(patterns["review"].by_tone[tone]):
            raise SourceError(f"{PHRASES}: {code} review needs patterns with praise, with complaint and with neither")
    return Phrases(**graded, **plain, **patterns)  # type: ignore[arg-type]  # mypy cannot tell the names apart


def _by_grade(entries: list[Entry], what: str) -> Array:
    for entry in entries:
        need(entry, ("text", "grade"), what)
    return np.array([str(e["text"]) for e in sorted(entries, key=lambda e: float(e["grade"]))], dtype=object)


def _patterns(texts: Array, what: str) -> Patterns:
    """The patterns by tone; raises `SourceError` where one has a slot nobody knows."""
    tones, weights = [], []
    for at, text in enumerate(texts):
        try:
            slots = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        except ValueError:
            raise SourceError(f"{what} {at + 1}: a brace is not closed") from None
        if unknown := sorted(slots - set(SLOTS)):
            raise SourceError(f"{what} {at + 1}: unknown slots {unknown}; the slots are {', '.join(SLOTS)}")
        weights.append(_weight(text, slots))
        polar = slots & set(_GRADED)
        tones.append(OTHER if len(polar) != 1 else PRAISE if polar == {"praise"} else COMPLAINT)
    weighed, tone_of = np.repeat(texts, weights), np.repeat(tones, weights)
    return Patterns(weighed, tuple(weighed[tone_of == tone] for tone in (PRAISE, COMPLAINT, OTHER)))


def _weight(text: str, slots: set[str]) -> int:
    subject = rates.ON_SUBJECT if slots & {"word", "word2"} else 1
    return subject if _SLOT.sub("", text) else subject * rates.BARE


def _plain(entry: str | Entry) -> str:
    """A phrase may be written bare, or as an entry with a text."""
    return str(entry["text"] if isinstance(entry, dict) else entry).strip()


def _ended(texts: Array, ends: str) -> Array:
    """Sentences that end in no punctuation get the first mark of their language."""
    return np.array([text if text[-1] in ends + '）)”"' else text + ends[0] for text in texts], dtype=object)
