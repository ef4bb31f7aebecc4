"""Style axes: bounded for any text, and pointing the right way in both languages."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.interests import AXES, style_axes


@given(st.lists(st.text(max_size=200), max_size=5))
@settings(deadline=None)
def test_axes_are_bounded_for_any_text(texts: list[str]) -> None:
    axes = style_axes(texts)
    assert axes.shape == (len(texts), len(AXES))
    assert axes.dtype == np.float32
    assert (axes >= 0).all()
    assert (axes <= 1).all()


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_batch_equals_one_by_one(texts: list[str]) -> None:
    np.testing.assert_array_equal(style_axes(texts), np.concatenate([style_axes([text]) for text in texts]))


@pytest.mark.parametrize(
    ("axis", "less", "more"),
    [
        ("length", "Good.", "It came on time and works as the page said it would."),
        ("length", "很好。", "送货很快，包装也很好，用了一个星期没有问题。"),
        ("sentence", "It came. It works. Fine.", "It came on the day it should and it works well in my kitchen."),
        (
            "formality",
            "lol gonna love it, it's cool",
            "However, the device provides sufficient power; therefore I purchased it.",
        ),
        ("formality", "哈哈超赞啦", "因此建议购买，总体较为满意。"),
        ("subjectivity", "The box holds four cups.", "I think it is great and I love it."),
        ("subjectivity", "盒子里有四个杯子。", "我觉得很好，我很喜欢。"),
        ("emotion", "It works.", "It is SO very good!!! 😀"),
        ("emotion", "可以用。", "太好了！非常棒！"),
        ("questions", "It fits.", "Does it fit?"),
        ("questions", "合适。", "这个合适吗"),
        ("richness", "good good good good", "four quite different words"),
        ("detail", "It is long.", "It is 30 cm by 2.5 cm."),
    ],
)
def test_an_axis_rises_with_what_it_is_named_for(axis: str, less: str, more: str) -> None:
    low, high = style_axes([less, more])[:, AXES.index(axis)]
    assert high > low


def test_axes_of_known_texts() -> None:
    axes = dict(zip(AXES, style_axes(["Does this fit? It has 2 sizes!"])[0], strict=True))
    assert axes["length"] == pytest.approx(6 / (6 + 36))
    assert axes["sentence"] == pytest.approx(6 / (6 + 2 * 15))
    assert axes["formality"] == 0.5
    assert axes["subjectivity"] == 0
    assert axes["emotion"] == pytest.approx(1 / 3)
    assert axes["questions"] == 0.5
    assert axes["richness"] == 1
    assert axes["detail"] == pytest.approx(1 / (1 + 6 * 0.05))


def test_an_empty_text_says_nothing() -> None:
    assert style_axes([""]).tolist() == [[0, 0, 0.5, 0, 0, 0, 0, 0]]
    assert style_axes([]).shape == (0, len(AXES))


@pytest.mark.parametrize("run", ["-", "a", "!", "a.", "'", "a'", "啦", ":-", "1,", "\n", "A"])
def test_hostile_text_costs_no_more_than_its_length(run: str) -> None:
    text = run * 20_000
    start = time.perf_counter()
    assert (style_axes([text]) <= 1).all()
    assert time.perf_counter() - start < 1
