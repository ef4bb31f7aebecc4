"""How people write: named axes, each from 0 to 1, in English and Chinese.

`AXES` names them in order. Every axis is one of two bounded forms. A *rate* of x per unit u saturates as x / (x + u·r),
which is 0.5 where x is r per unit and never quite 1. A *balance* of a against b is (1 + a) / (2 + a + b), which is 0.5
where nothing tells. Words are runs of letters; a Chinese character counts as 1 / 1.6 words, the mean length of a
Chinese word in running text. Counts are of cues, so an axis is a measure of surface, not of meaning.

length         words as a rate; 0.5 at 36, the median review
sentence       words per sentence as a rate; 0.5 at 15
formality      balance of formal cues (however, therefore, regarding; 因此, 此外, 您) against informal ones
               (contractions, lol, gonna, emoji, drawn-out letters; 啦, 哈哈)
subjectivity   first person and opinion cues (I, my, love; 我, 觉得, 喜欢) per word as a rate; 0.5 at one in ten
emotion        exclamation marks, emoji, intensifiers, shouted words per sentence as a rate; 0.5 at one a sentence
questions      sentences that ask over all sentences
richness       log distinct words / log words (Herdan's C, 1960), which depends on length less than their ratio does;
               Chinese characters stand for words; 0 for one word
detail         numbers per word as a rate; 0.5 at one in twenty
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

AXES = ("length", "sentence", "formality", "subjectivity", "emotion", "questions", "richness", "detail")

WORDS, SENTENCE_WORDS, SUBJECTIVE, EMOTIONAL, NUMERIC = 36.0, 15.0, 0.1, 1.0, 0.05
"""The rates at which an axis is 0.5: words, words a sentence, cues a word, cues a sentence, numbers a word."""
HAN_PER_WORD = 1.6

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LATIN_WORD = re.compile(rf"[^\W\d_{_HAN}]+(?:['’][^\W\d_{_HAN}]+)*")
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_SENTENCE = re.compile(r"[^\W_](?:[^.!?。！？…\n]|\.(?=\w))*")
"""From the first letter or digit to the next end; a dot inside a word or number is none."""
_QUESTION = re.compile(r"[?？]+|[吗呢](?=[。.!！\s]|$)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_EMOJI = r"[\U0001f300-\U0001faff\u2600-\u27bf]|[:;=]-?[)(DPp](?!\w)"
_FORMAL = re.compile(
    r"\b(?:however|therefore|moreover|furthermore|regarding|consequently|nevertheless|thus|hence|additionally|"
    r"sufficient|require[sd]?|purchased?|provides?|obtain(?:ed)?|appears?|overall)\b"
    r"|因此|此外|然而|并且|从而|综上|总体|建议|较为|贵(?=[店方公])|您",
    re.I,
)
_INFORMAL = re.compile(
    r"\b(?:lol|omg|gonna|wanna|gotta|kinda|sorta|yeah|yep|nope|ok|okay|stuff|guys?|cool|awesome|btw|wow|haha+|"
    r"u|ur|thx)\b"
    rf"|\w['’](?:s|t|re|ve|ll|d|m)\b|([^\W\d_{_HAN}])\1\1|啦|呀|哦|嘛|哈哈|嘿|呗|咯|超(?=[好级赞棒])|靠谱|给力|{_EMOJI}",
    re.I,
)
_SUBJECTIVE = re.compile(
    r"\b(?:i|me|my|mine|we|our|think|thought|feel|felt|believe|hope|wish|love[ds]?|lik(?:e|ed|es)|hate[ds]?|prefer|"
    r"great|good|bad|best|worst|nice|terrible|awful|amazing|perfect|beautiful|disappoint(?:ed|ing))\b"
    r"|我|咱|觉得|感觉|认为|希望|喜欢|讨厌|满意|失望|不错|很好|太差|完美|推荐",
    re.I,
)
_EMOTIONAL = re.compile(
    r"[!！]|\b(?:very|really|so|too|extremely|absolutely|totally|incredibly|super)\b|太|非常|特别|极其|超级|十分|真的"
    rf"|{_EMOJI}",
    re.I,
)
_SHOUTED = re.compile(r"\b[A-Z]{3,}\b")


def style_axes(texts: Sequence[str]) -> np.ndarray:
    """The axes of each text (n, a), float32 in [0, 1], in the order of `AXES`; see this module for each formula.

    Cues of both languages are looked for in every text, because people mix them. A text without a word or mark has 0
    everywhere but 0.5 for formality.
    """
    words, richness = _words(texts)
    sentences = _counts(_SENTENCE, texts)
    emotional = _counts(_EMOTIONAL, texts) + _counts(_SHOUTED, texts)
    axes = {
        "length": _rate(words, WORDS),
        "sentence": _rate(words, sentences * SENTENCE_WORDS),
        "formality": _balance(_counts(_FORMAL, texts), _counts(_INFORMAL, texts)),
        "subjectivity": _rate(_counts(_SUBJECTIVE, texts), words * SUBJECTIVE),
        "emotion": _rate(emotional, np.maximum(sentences, 1) * EMOTIONAL),
        "questions": np.minimum(_counts(_QUESTION, texts) / np.maximum(sentences, 1), 1),
        "richness": richness,
        "detail": _rate(_counts(_NUMBER, texts), np.maximum(words, 1) * NUMERIC),
    }
    return np.stack([axes[name] for name in AXES], axis=1).astype(np.float32)


def _words(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Number of words of each text (n,) and Herdan's C (n,)."""
    latin = [_LATIN_WORD.findall(text.lower()) for text in texts]
    han = [_HAN_CHARACTER.findall(text) for text in texts]
    words, characters = _lengths(latin), _lengths(han)
    total, distinct = words + characters, _lengths([set(w).union(c) for w, c in zip(latin, han, strict=True)])
    richness = np.log(np.maximum(distinct, 1)) / np.log(np.maximum(total, 2))
    return words + characters / HAN_PER_WORD, richness


def _lengths(collections: Sequence[Collection[str]]) -> np.ndarray:
    return np.fromiter(map(len, collections), dtype=np.float64, count=len(collections))


def _counts(pattern: re.Pattern[str], texts: Sequence[str]) -> np.ndarray:
    """How often the pattern occurs in each text (n,)."""
    return np.fromiter((len(pattern.findall(text)) for text in texts), dtype=np.float64, count=len(texts))


def _rate(found: np.ndarray, half: np.ndarray | float) -> np.ndarray:
    """found / (found + half): 0 where nothing is found, 0.5 where `half` is."""
    total = found + half
    return np.asarray(np.divide(found, total, out=np.zeros_like(found), where=total > 0))


def _balance(for_it: np.ndarray, against: np.ndarray) -> np.ndarray:
    """(1 + a) / (2 + a + b): above 0.5 where `for_it` is more than `against`."""
    return np.asarray((1 + for_it) / (2 + for_it + against))
