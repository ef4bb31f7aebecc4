"""The short cut must never differ from the way round."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.quality.damage import damaged
from tasks.quality.strings import inert, read_lists, read_strings
from tasks.text import normalise

CHARACTERS = st.one_of(
    st.characters(min_codepoint=32, max_codepoint=126),
    st.sampled_from(" <&;\n\t\u00a0\u00ad\u0301\u200b\u200d\u2028\u3000\u302a\ufe0f\uff06\uff1c÷×éÅ—…。👍🏽"),
    st.characters(codec="utf-8"),
)


@given(st.text(CHARACTERS, max_size=12))
@example("e\u0301")
@example("&lt;b&gt;")
@example("a  b")
@example(" a")
def test_text_that_passes_as_inert_is_in_its_form_already(text: str) -> None:
    texts = pa.array([text], type=pa.large_string())
    if inert(texts)[0]:
        assert normalise(text) == text
        assert not damaged(texts)[0]
    found = read_strings(texts, prose=True, limit=100)
    assert found.clean.to_pylist() == [normalise(text) or None]
    assert found.changed[0] or found.clean.to_pylist() == [text]
    assert found.damage.tolist() == damaged(texts).tolist()


def test_ordinary_text_takes_the_short_cut() -> None:
    ordinary = ["It's “warm” — and loud, 100%…", "这把吉他（很好），值得！", "👍🏽 5/5", None]
    assert inert(pa.array(ordinary, type=pa.large_string())).all()


def test_null_and_text_over_the_limit_stay_as_they_are() -> None:
    texts = pa.array(["a  b", None, "a  b  c", "good", " "], type=pa.large_string())
    found = read_strings(texts, prose=True, limit=4)
    assert found.clean.to_pylist() == ["a b", None, "a  b  c", "good", None]
    assert read_strings(texts, prose=False, limit=4).clean.to_pylist() == ["a  b", None, "a  b  c", "good", None]


def test_lists_are_damaged_where_an_entry_is() -> None:
    lists = pa.array([["a", "b"], None, [], ["c", "d\x00", "e"], ["f"]], type=pa.list_(pa.string()))
    found = read_lists(lists)
    assert found.damage.tolist() == [False, False, False, True, False]
    assert found.clean.to_pylist()[1] == []
