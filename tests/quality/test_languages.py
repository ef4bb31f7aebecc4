"""What the row says, what the text shows, what the script allows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tasks.quality.languages import UNKNOWN, languages

CASES = [
    ("It sounds warm and stays in tune for weeks.", None, "en"),
    ("音色温暖，可以用好几个星期。", None, "zh"),
    ("ok", None, "en"),
    ("muy bueno", None, "en"),
    ("好", None, "zh"),
    ("好 OK", None, "zh"),
    ("5/5 !!!", None, None),
    ("👍", None, None),
    (None, None, None),
    ("да", None, UNKNOWN),
    ("すごい", None, UNKNOWN),
    ("Das ist wirklich ein sehr gutes Instrument für Anfänger.", None, "de"),
    ("whatever it says", "zh-Hans_CN", "zh"),
    ("whatever it says", " EN ", "en"),
    ("whatever it says", "fr", "fr"),
    (None, "en", "en"),
]


@pytest.mark.parametrize(("text", "given", "expected"), CASES)
def test_a_text_alone(text: str | None, given: str | None, expected: str | None) -> None:
    found = languages(pa.array([text], type=pa.large_string()), pa.array([given], type=pa.large_string()))
    assert found.to_pylist() == [expected]


def test_texts_together_give_what_they_give_alone() -> None:
    texts, given, expected = (list(column) for column in zip(*CASES, strict=True))
    assert (
        languages(pa.array(texts, type=pa.large_string()), pa.array(given, type=pa.large_string())).to_pylist()
        == expected
    )
