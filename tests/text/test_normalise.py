"""What normalised text looks like, and that it can be normalised again without harm."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text import normalise, text_hash

UGLY = [
    ("  two  spaces\t\ttabs ", "two spaces tabs"),
    ("one\r\ntwo\rthree\n\n\nfour \n five", "one\ntwo\nthree\nfour\nfive"),
    ("e\u0301", "é"),
    ("zero\u200bwidth\ufeff and\x00 bell\x07", "zerowidth and bell"),
    ("a &lt; b &amp;&amp; c", "a < b && c"),
    ("&amp;#34;quoted&amp;#34;", '"quoted"'),
    ("&amp;lt;br&amp;gt;twice escaped", "twice escaped"),
    ("<p>First</p><p>Second<br/>line</p>", "First\nSecond\nline"),
    ("<b>H</b>ello <span class='x'>you</span>", "Hello you"),
    ("<b\u200b>hidden</b>", "hidden"),
    ("<A HREF='https://a.example'>shop</A ><br />", "shop"),
    ("if a <b and c> d", "if a <b and c> d"),
    ("<!-- a <b>comment</b> -->after", "after"),
    ("<script>alert('x > y')</script>safe<STYLE>p {}</STYLE>", "safe"),
    ("I <3 it, 2 < 3 > 1, AT&T, R&D; <me@example.org>", "I <3 it, 2 < 3 > 1, AT&T, R&D; <me@example.org>"),
    ("see https://a.example/?x=1&copy=2&amp;y=3, ok?!", "see https://a.example/?x=1&copy=2&y=3, ok?!"),
    ("half \ud83d a pair", "half a pair"),
    ("很\u3000好！", "很 好！"),
    ("", ""),
    ("\u200b\n \t", ""),
]


@pytest.mark.parametrize(("raw", "expected"), UGLY)
def test_ugly_text_becomes_readable(raw: str, expected: str) -> None:
    assert normalise(raw) == expected


PIECES = (
    *("<b>", "</p>", "<br", ">", "<", "&", "amp;", "lt;", "&gt;", "&#38;", "#60;", "<!--", "-->", "<script>"),
    *("</script>", "e", "x", "好", " ", "\u200b", "\x00", "\r\n", "\u037e", "\u0338", "\u0301", "\ud800"),
)
MARKUP = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@given(st.one_of(st.text(), MARKUP))
def test_normalising_twice_changes_nothing(raw: str) -> None:
    once = normalise(raw)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
    assert "  " not in once
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in once if c != "\n")
    once.encode()


@given(st.text(alphabet=st.characters(categories=["L", "N"]), max_size=50))
def test_letters_and_digits_are_kept(raw: str) -> None:
    assert normalise(raw) == unicodedata.normalize("NFC", raw)


HOSTILE = [
    "<!--" * 50_000,
    "-->" + "<!--" * 50_000,
    "<script " * 50_000 + "</script>",
    "<" * 50_000 + "b>" * 50_000,
    "&" + "amp;" * 50_000 + "lt;b>",
    "&#38;" * 50_000,
    "<a " * 50_000,
    "<a x=" + " " * 200_000 + "<b" + " " * 200_000,
    "x" * 1_000_000,
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_costs_little_and_stays_stable(raw: str) -> None:
    began = time.process_time()
    once = normalise(raw)
    assert time.process_time() - began < 3  # quadratic work would take minutes
    assert normalise(once) == once


def test_hash_is_128_bit_and_told_by_the_text_alone() -> None:
    assert text_hash("") == "cae66941d9efbd404e4d88758ea67670"  # BLAKE2b-128 of nothing
    assert len(text_hash("好")) == 32
    assert text_hash("a") != text_hash("b")
    assert text_hash(normalise("e\u0301  x")) == text_hash(normalise("é x"))
