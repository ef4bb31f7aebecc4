"""Which words are content, and where a sentence ends."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.text import sentences, singular, tokenise
from tasks.text.words import _segmenter, _stop_words


def test_english_content_words() -> None:
    text = "Don't buy John's 3rd mp3-players: the café’s cables (USB2) 42 https://a.example/b?c=d me@example.org"
    assert tokenise(text, "en") == ["buy", "john", "mp3", "player", "café", "cable", "usb2"]


def test_chinese_content_words_with_latin_names() -> None:
    words = tokenise("这款手机壳质量非常好，推荐购买iPhone的朋友。https://x.example/手机", "zh")
    assert words[:2] == ["手机", "壳"]
    assert {"质量", "推荐", "购买", "iphone", "朋友"} <= set(words)
    assert not {"这", "款", "非常", "的"} & set(words)


def test_a_language_without_a_list_keeps_its_words() -> None:
    assert tokenise("Die Gitarre ist gut", "de") == ["die", "gitarre", "ist", "gut"]
    assert tokenise("the strings", "de") == ["the", "strings"]


@pytest.mark.parametrize(
    ("plural", "one"),
    [("strings", "string"), ("batteries", "battery"), ("boxes", "box"), ("glasses", "glass"), ("cases", "case")]
    + [("movies", "movie"), ("shoes", "shoe"), ("women", "woman"), ("quizzes", "quiz"), ("photos", "photo")]
    + [(word, word) for word in ("bass", "lens", "series", "bonus", "analysis", "blues", "gas", "is", "s", "")],
)
def test_singulars(plural: str, one: str) -> None:
    assert singular(plural) == one


@settings(deadline=None, max_examples=50)
@given(st.text(), st.sampled_from(["en", "zh", "fr", None]))
def test_words_are_lower_case_letters_without_stop_words(text: str, language: str | None) -> None:
    words = tokenise(text, language)
    assert all(word == word.lower() and any(c.isalpha() for c in word) for word in words)
    if language == "en":
        assert not set(words) & (_stop_words("en") | _stop_words("zh"))


def test_the_segmenter_writes_no_cache_file_and_no_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.Logger, "handle", lambda _, record: seen.append(record))
    _segmenter.cache_clear()
    assert tokenise("手机很好", "zh") == ["手机", "好"]
    assert not list(tmp_path.iterdir())
    assert not seen
    assert _segmenter() is _segmenter()


def test_sentences_of_english() -> None:
    text = (
        "It works. I like it!As expected.I know. Mr. Smith's mic, e.g. the SM57, costs 3.50. See www.Foo.Com now.\nEnd"
    )
    assert sentences(text) == [
        "It works.",
        "I like it!",
        "As expected.",
        "I know.",
        "Mr. Smith's mic, e.g. the SM57, costs 3.50.",
        "See www.Foo.Com now.",
        "End",
    ]


def test_sentences_of_chinese() -> None:
    assert sentences("很好。值得买！真的吗？“是的。”好") == ["很好。", "值得买！", "真的吗？", "“是的。”", "好"]


@given(st.text())
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
