"""That the language of short and long texts is told rightly, and the same in any company."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from tasks.text import detect_language, detect_languages
from tasks.text.language import LATIN, _scores

KNOWN = [
    ("Works great, easy to set up and the price is right.", "en"),
    ("ok", "en"),
    ("good 👍", "en"),
    ("VERY GOOD PRODUCT", "en"),
    ("Nice.", "en"),
    ("guitar strap", "en"),
    ("I love my 小米 phone a lot", "en"),
    ("Très bon produit, je recommande vivement", "fr"),
    ("Sehr gutes Produkt, ich bin zufrieden", "de"),
    ("Muy buen producto, lo recomiendo", "es"),
    ("Heel goed product, snelle levering", "nl"),
    ("手机壳很好用", "zh"),
    ("iPhone 13 手机壳", "zh"),
    ("OK 好评", "zh"),
    ("物流很快の推荐商品", "zh"),
    ("寿司が好きです", "ja"),
    ("이 제품은 좋아요", "ko"),
    ("Отличный товар, рекомендую", "ru"),
    ("منتج رائع جدا", "ar"),
    ("ελληνικά", "el"),
    ("好 https://shop.example/very/long/latin/link/with/words", "zh"),
]


@pytest.mark.parametrize(("text", "language"), KNOWN)
def test_known_texts(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("text", ["", "   ", "5/5", "!!!", "👍👍", "https://a.example/b", "me@example.org", "２０２４"])
def test_nothing_to_judge(text: str) -> None:
    assert detect_language(text) is None


def test_many_at_once_are_judged_as_one_by_one() -> None:
    texts = [text for text, _ in KNOWN] * 3
    assert detect_languages(texts) == [detect_language(text) for text in texts]
    assert detect_languages([]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), max_size=20))
def test_any_text_gets_a_two_letter_code_or_none(texts: list[str]) -> None:
    assert all(code is None or (len(code) == 2 and code.isalpha()) for code in detect_languages(texts))


def test_the_walk_over_many_texts_scores_as_the_package_does() -> None:
    texts = [text for text, language in KNOWN if language in LATIN and len(text) > 4]  # too short: no evidence
    package = LanguageIdentifier.from_model_file(MODEL_FILE)
    package.set_languages(LATIN)
    expected = [[dict(package.rank(text))[code] for code in LATIN] for text in texts]
    np.testing.assert_allclose(_scores(texts, LATIN), expected, rtol=1e-3, atol=0.05)


@pytest.mark.data
def test_english_reviews_are_rarely_mistaken() -> None:
    folder = Path(os.environ.get("PENCHANT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = folder / "amazon_musical_instruments_5core.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in {folder}; set PENCHANT_TEST_DATA to the folder that holds it")
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    texts = [row["reviewText"] for row in rows if row["reviewText"].strip()]
    headlines = [row["summary"] for row in rows if any(c.isalpha() for c in row["summary"])]
    assert np.mean([code == "en" for code in detect_languages(texts)]) > 0.999
    assert np.mean([code == "en" for code in detect_languages([text[:30] for text in texts])]) > 0.995
    assert np.mean([code == "en" for code in detect_languages(headlines)]) > 0.98
