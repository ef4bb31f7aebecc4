"""What people write on a day: reviews, comments, questions, searches and chat, in their language and temper."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sources.sample_shop import rates
from tasks.sources.sample_shop.happenings import CHAT, COMMENT, QUESTION, REVIEW, SEARCH, Happenings
from tasks.sources.sample_shop.visits import World
from tasks.sources.sample_shop.voices import Voice, drawn, strings, toned

Array = NDArray[Any]
_WORDS = 5
_HAPPY, _SAD, _CALM = ("😀", "👍", "❤️", "🎉", "😊"), ("😞", "👎", "😡", "💔", "🙄"), ("🤔", "🙂", "👀")


def texts(world: World, voices: tuple[Voice, ...], events: Happenings, day: int) -> tuple[Array, Array]:
    """What is written in each event (n,), None where nothing is, and the sentiment that is left to be told (n,).

    A comment that neither praises nor complains tells no sentiment, whatever its writer felt.
    """
    written = np.full(len(events), None, dtype=object)
    sentiment = events.sentiment.copy()
    for at, voice in enumerate(voices):
        speaks = world.people.language[events.user] == at
        rng = world.stream(_WORDS, day, at)
        for kind in (CHAT, SEARCH, REVIEW, COMMENT, QUESTION):
            rows = np.flatnonzero(speaks & (events.kind == kind))
            if len(rows):
                said, told = _said(world, voice, events, rows, kind, rng)
                written[rows] = _as_typed(said, sentiment[rows], rng)
                sentiment[rows[~told]] = np.nan
    return written, sentiment


def _said(
    world: World, voice: Voice, events: Happenings, rows: Array, kind: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The texts of events of one kind and language (rows,), and whether each tells the sentiment."""
    phrases, item, loud = voice.phrases, events.item[rows], world.people.loud[events.user[rows]]
    theme = world.catalogue.theme[item]
    told = np.full(len(rows), kind == REVIEW)
    if kind == REVIEW:
        said = _review(voice, item, theme, events.sentiment[rows], world.people.wordy[events.user[rows]], loud, rng)
    elif kind == COMMENT:
        plain = rng.random(len(rows)) < len(phrases.comment.by_tone[-1]) / len(phrases.comment.texts)
        patterns, told = toned(phrases.comment, events.sentiment[rows], plain, rng)
        said = voice.uttered(voice.sentences(patterns, item, theme, events.sentiment[rows], rng), loud, rng)
    elif kind == CHAT:
        said = voice.uttered(drawn(phrases.smalltalk, len(rows), rng), loud, rng)
    else:
        patterns = drawn((phrases.search if kind == SEARCH else phrases.question).texts, len(rows), rng)
        said = voice.sentences(patterns, item, theme, np.full(len(rows), 0.5), rng)
        said = said if kind == SEARCH else voice.uttered(said, loud, rng)
    return said, told


def _review(
    voice: Voice, item: Array, theme: Array, feeling: Array, wordy: Array, loud: Array, rng: np.random.Generator
) -> Array:
    """Reviews (n,): perhaps an opening, one to four sentences that lean towards the feeling, perhaps a closing."""

    def spoken(patterns: Array, rows: Array) -> Array:
        return voice.uttered(voice.sentences(patterns, item[rows], theme[rows], feeling[rows], rng), loud[rows], rng)

    n = len(item)
    text = strings([""] * n)
    opens, closes = (np.flatnonzero(rng.random(n) < rate) for rate in (rates.OPENING, rates.CLOSING))
    text[opens] = spoken(drawn(voice.phrases.opening.texts, len(opens), rng), opens)
    length = 1 + rng.binomial(rates.MOST_SENTENCES - 1, wordy)
    for place in range(length.max()):
        rows = np.flatnonzero(length > place)
        plain = (rng.random(len(rows)) < rates.NEUTRAL_SENTENCE) & (place > 0)
        patterns, _ = toned(voice.phrases.review, feeling[rows], plain, rng)
        text[rows] += voice.gap + spoken(patterns, rows)
    text[closes] += voice.gap + spoken(drawn(voice.phrases.closing.texts, len(closes), rng), closes)
    return strings([one.strip() for one in text])


def _as_typed(said: Array, sentiment: Array, rng: np.random.Generator) -> Array:
    """`said` (n,) with a slip of the fingers or an emoji here and there."""
    typed = said.copy()
    for row in np.flatnonzero(rng.random(len(said)) < rates.TYPO):
        typed[row] = _swapped(typed[row], int(rng.integers(max(len(typed[row]) - 1, 1))))
    for row in np.flatnonzero(rng.random(len(said)) < rates.EMOJI):
        feeling = sentiment[row]
        choice = _CALM if not abs(feeling - 0.5) > 0.1 else _HAPPY if feeling > 0.5 else _SAD
        typed[row] += " " + choice[rng.integers(len(choice))]
    return typed


def _swapped(text: str, at: int) -> str:
    """`text` with the letters at `at` and after it swapped."""
    pair = text[at : at + 2]
    return text[:at] + pair[::-1] + text[at + 2 :] if pair.isalpha() else text
