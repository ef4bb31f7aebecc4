"""Damage is made here as the world makes it, by decoding with the wrong codec, and must be found; clean text is not."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.quality.damage import damaged

CLEAN = [
    "It's “loud” — very loud… 100 °C, £20, ½ price, naïve café, Ångström, SÃO PAULO, Zoë!",
    "he said at the café”—and left",
    "°°°°°°°° ×××××××× ········ »»»»»»»» ¡¡¡¡¡¡¡",
    "这把吉他的声音很好，《很》值得买……！【推荐】，温度25℃。",
    "旧锛子很好用，声音嘛——一般。",
    "👍🏽👨‍👩‍👧 ❤️ 5/5",
    "line\nbreak\ttab\x0bvertical\u2028separator\u00a0no-break",
    "Ελληνικά, русский, العربية, 日本語, 한국어, français: être à l'œuvre où ça déçoit",
    "",
]
ENGLISH = "The café’s “piñata” — naïve… costs £5"
CHINESE = "这把吉他的声音很好，值得买。"
DAMAGED = [
    ENGLISH.encode().decode("cp1252", "replace"),
    ENGLISH.encode().decode("latin-1"),
    CHINESE.encode().decode("latin-1"),
    CHINESE.encode().decode("cp1252", "ignore"),
    CHINESE.encode().decode("gbk", "replace"),
    CHINESE.encode("gb18030").decode("latin-1"),
    CHINESE.encode("gb18030").decode("cp1252", "ignore"),
    CHINESE.encode("gb18030").decode("utf-8", "replace"),
    "不好".encode("gb18030").decode("utf-8", "replace"),
    CHINESE.encode("gb18030").decode("utf-8", "replace").encode().decode("gbk", "replace"),
    "👍".encode().decode("cp1252", "replace"),
    "£5".encode().decode("latin-1"),
    "a\x00b",
    "a\x7fb",
    "a\u0080b",
    "a\uffffb",
]


def one(text: str) -> bool:
    return bool(damaged(pa.array([text], type=pa.large_string()))[0])


@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_is_left_alone(text: str) -> None:
    assert not one(text)


@pytest.mark.parametrize("text", DAMAGED)
def test_text_read_wrongly_is_found(text: str) -> None:
    assert one(text)


def test_null_is_not_damaged_and_rows_keep_their_places() -> None:
    texts = pa.array([None, DAMAGED[0], CLEAN[0], DAMAGED[5], None, "plain"], type=pa.large_string())
    assert damaged(texts).tolist() == [False, True, False, True, False, False]


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_is_never_damaged(text: str) -> None:
    assert not one(text)


@given(st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=3, max_size=40))
def test_chinese_of_utf8_read_as_latin1_is_always_found(text: str) -> None:
    assert one(text.encode().decode("latin-1"))
