"""How values are read: times, ratings, prices, kinds, lists and texts."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.schema import EVENTS, ITEMS
from tasks.sources.block import Block
from tasks.sources.chunk import to_chunk
from tasks.sources.mapping import Field, Section
from tasks.sources.numbers import to_prices, to_ratings
from tasks.sources.strings import to_texts
from tasks.sources.times import to_times


def times(values: list[Any], **field: Any) -> tuple[list[str | None], list[list[bool]]]:
    found, problems = to_times(values, Field(("t",), **field), ("NULL",), "event_time")
    assert str(found.dtype) == "datetime64[us, UTC]"
    assert {rule for rule, _, _ in problems} <= {"parse_time", "parse_text"}
    return [None if pd.isna(t) else t.isoformat() for t in found], [rows.tolist() for _, rows, _ in problems]


def test_iso_times_with_and_without_a_zone() -> None:
    values = ["2024-02-29", "2024-02-29T12:00:00Z", "2024-02-29 12:00:00.123456+08:00", "20240229", " 2024-02-29T01 "]
    found, problems = times(values)
    assert found == [
        "2024-02-29T00:00:00+00:00",
        "2024-02-29T12:00:00+00:00",
        "2024-02-29T04:00:00.123456+00:00",
        "2024-02-29T00:00:00+00:00",
        "2024-02-29T01:00:00+00:00",
    ]
    assert problems == []


def test_a_zone_is_meant_where_none_is_named() -> None:
    found, _ = times(["2024-01-01T08:00:00", "2024-01-01T08:00:00Z", "2024-01-01"], timezone="Asia/Shanghai")
    assert found == ["2024-01-01T00:00:00+00:00", "2024-01-01T08:00:00+00:00", "2023-12-31T16:00:00+00:00"]


def test_doubled_and_skipped_hours_have_one_meaning() -> None:
    found, problems = times(["2024-11-03T01:30:00", "2024-03-10T02:30:00"], timezone="America/New_York")
    assert found == ["2024-11-03T05:30:00+00:00", "2024-03-10T07:00:00+00:00"]
    assert problems == []


def test_seconds_milliseconds_and_named_formats() -> None:
    assert times([1393545600, "1393545600", 1393545600.5], formats=("unix_s",))[0] == [
        "2014-02-28T00:00:00+00:00",
        "2014-02-28T00:00:00+00:00",
        "2014-02-28T00:00:00.500000+00:00",
    ]
    assert times([1588687728923], formats=("unix_ms",))[0] == ["2020-05-05T14:08:48.923000+00:00"]
    mixed = times(["28/02/2014", "02 28, 2014", "2014-02-28"], formats=("%d/%m/%Y", "%m %d, %Y", "iso"))
    assert mixed == (["2014-02-28T00:00:00+00:00"] * 3, [])


def test_absent_times_are_no_problem_and_unreadable_ones_are() -> None:
    found, problems = times([None, "", " ", "NULL", "soon", "now", "today", "2024-13-01", "nan", True, [1], {}])
    assert found == [None] * 12
    assert np.any(problems, axis=0).tolist() == [False] * 4 + [True] * 8


def test_a_number_of_seconds_is_told_from_nonsense() -> None:
    _, problems = to_times([1393545600000, "soon"], Field(("t",)), (), "event_time")
    assert ["unix_ms" in reason for _, _, reason in problems] == [True, False]
    _, problems = to_times([1393545600000, "soon"], Field(("t",), formats=("unix_s",)), (), "event_time")
    assert ["unix_ms" in reason for _, _, reason in problems] == [True, False]


def test_absurd_numbers_are_unreadable_times() -> None:
    values = [1e300, -1e300, float("inf"), 10**400, 1393545600000000]
    assert times(values, formats=("unix_s",))[0] == [None] * 5


def test_moments_from_a_database_are_taken_as_they_are() -> None:
    shanghai = timezone(timedelta(hours=8))
    values = [datetime(2024, 1, 1, 8, tzinfo=shanghai), datetime(2024, 1, 1), date(2024, 1, 1), None]
    found, problems = times(values, formats=("unix_s",))
    assert found == ["2024-01-01T00:00:00+00:00"] * 3 + [None]
    assert problems == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)), min_size=1))
def test_iso_and_unix_times_come_back(moments: list[datetime]) -> None:
    expected = [moment.isoformat() for moment in moments]
    assert times([moment.isoformat() for moment in moments])[0] == expected
    seconds = [int((m - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1) for m in moments]
    whole = [(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=s)).isoformat() for s in seconds]
    assert times(seconds, formats=("unix_s",))[0] == whole


def ratings(values: list[Any], scale: tuple[float, float] | None = None) -> tuple[list[float], dict[str, list[int]]]:
    found, problems = to_ratings(values, Field(("r",), scale=scale), ("-",), "rating")
    assert found.dtype == np.float32
    return found.tolist(), {rule: np.flatnonzero(rows).tolist() for rule, rows, _ in problems}


def test_ratings_are_brought_to_one_to_five() -> None:
    assert ratings([0, "5", 10.0, Decimal("2.5")], (0, 10))[0] == [1, 3, 5, 2]
    assert ratings([0.5, 5], (0.5, 5))[0] == [1, 5]
    assert ratings([1, 4, "5.0"])[0] == [1, 4, 5]


def test_ratings_that_are_none() -> None:
    found, problems = ratings([None, "", "-", float("nan"), "4/5", "★★★", True, 0, 6, "inf", 10**400])
    assert np.isnan(found).all()
    assert problems == {"parse_rating": [4, 5, 6], "rating_scale": [7, 8, 9], "parse_text": [10]}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 7), min_size=1), st.floats(0.5, 100))
def test_scaling_keeps_the_order_and_the_ends(values: list[float], span: float) -> None:
    low, high = -3.0, -3.0 + max(span, 10)
    found = np.array(ratings(list(values), (low, high))[0])
    assert ((found >= 1) & (found <= 5)).all()
    assert (np.diff(found[np.argsort(values)]) >= 0).all()


def test_prices_with_and_without_currency() -> None:
    found, problems = to_prices(["$12.99", "1,299.00", "€5", "12 USD", 3, None, "7.5"], (), "price")
    assert found.tolist()[:5] == [12.99, 1299.0, 5.0, 12.0, 3.0]
    assert np.isnan(found[5])
    assert problems == []
    found, problems = to_prices(["$1.00 - $2.00", "from 14.99 to", "free", ".a { color: red }", "inf"], (), "price")
    assert found.isna().all()
    assert [rule for rule, _, _ in problems] == ["parse_price"]


def test_texts_from_whatever_there_is() -> None:
    texts = to_texts([1, 2.0, 2.5, True, "x ", None, float("nan"), " ", "NULL", Decimal("1.50")], ("NULL",), "user_id")
    assert texts.array.to_pylist() == ["1", "2", "2.5", "true", "x", None, None, None, None, "1.50"]
    assert texts.problems == []


def test_damaged_texts_are_null_and_told() -> None:
    texts = to_texts(["fine", "bad \udce9", "nul \x00", ["a"], {}, 10**50], (), "user_id")
    assert texts.array.to_pylist() == ["fine", None, None, None, None, None]
    told = {(rule, tuple(np.flatnonzero(rows))) for rule, rows, _ in texts.problems}
    assert told == {("encoding", (1,)), ("encoding", (2,)), ("parse_text", (3, 4, 5))}


def test_paragraphs_are_joined_where_prose_is_wanted() -> None:
    assert to_texts([["a", None, "b"], []], (), "description", " ").array.to_pylist() == ["a b", None]


def chunk(values: dict[str, list[Any]], fields: dict[str, Field], table: Any = EVENTS) -> pd.DataFrame:
    rows = [json.dumps(i) for i in range(len(next(iter(values.values()))))]
    return to_chunk(Block("here", rows, values), Section(fields), table, after=10)


def test_a_chunk_has_the_columns_of_the_contract_in_order() -> None:
    frame = chunk({"u": ["a"]}, {"user_id": Field(("u",))})
    given_ = [n for n in EVENTS.names if n not in ("text_hash", "batch_id")]
    assert list(frame.columns) == ["position", "row", *given_, "problems"]
    assert frame["position"].tolist() == [11]
    assert frame.attrs["source"] == "here"
    assert frame["problems"].tolist() == [[]]


def test_kinds_are_mapped_and_unknown_ones_told_without_their_value() -> None:
    frame = chunk({"k": ["buy", "view", "Review", "secret", None]}, {"kind": Field(("k",), kinds={"buy": "purchase"})})
    assert frame["kind"].tolist() == ["purchase", "view", "review", None, None]
    ((rule, column, reason),) = frame["problems"][3]
    assert (rule, column) == ("unknown_kind", "kind")
    assert "secret" not in reason
    assert frame["problems"][4] == []


def test_languages_are_cut_to_their_code() -> None:
    frame = chunk({"l": ["en-US", "ZH_Hans", "fr", ""]}, {"language": Field(("l",))})
    assert frame["language"].tolist() == ["en", "zh", "fr", None]


def test_categories_from_lists_paths_and_text() -> None:
    values = [["a", "b"], [["a", "b"], ["a", "c"]], "a|b | a", None, "", 5, ["x\udce9"]]
    frame = chunk({"c": values}, {"categories": Field(("c",), separator="|")}, ITEMS)
    assert frame["categories"].tolist() == [["a", "b"], ["a", "b", "c"], ["a", "b"], [], [], [], []]
    assert [[p[0] for p in found] for found in frame["problems"]] == [[]] * 5 + [["parse_list"], ["encoding"]]


def test_unparsable_values_can_be_done_without() -> None:
    frame = chunk({"p": ["free"]}, {"price": Field(("p",), unparsable="null")}, ITEMS)
    assert frame["price"].isna().all()
    assert frame["problems"].tolist() == [[]]


def test_joined_columns_leave_out_what_is_absent() -> None:
    frame = chunk({"a": ["x", None, ""], "b": ["y", "y", None]}, {"text": Field(("a", "b"), join=" / ")})
    assert frame["text"].tolist() == ["x / y", "y", None]


def test_ids_are_made_from_the_content_where_there_is_none() -> None:
    fields = {"user_id": Field(("u",)), "event_time": Field(("t",)), "event_id": Field(("i",))}
    same = ["2024-01-01", "2024-01-01T00:00:00Z"]
    frame = chunk({"u": ["a", "a", "b", "a"], "t": [*same, *same], "i": [None, None, None, "own"]}, fields)
    made = frame["event_id"].tolist()
    assert made[0] == made[1]  # the same moment, however it was written
    assert len(set(made)) == 3
    assert made[3] == "own"
    assert len(made[0]) == 32
    later = to_chunk(
        Block("there", ["{}"], {"u": ["a"], "t": ["2024-01-01"], "i": [None]}), Section(fields), EVENTS, after=0
    )
    assert later["event_id"].tolist() == [made[0]]  # the same in any company, file and place


@pytest.mark.parametrize("swap", [("user_id", "item_id"), ("user_id", "text"), ("item_id", "text")])
def test_ids_tell_columns_apart(swap: tuple[str, str]) -> None:
    fields = {name: Field((name,)) for name in swap}
    frame = chunk({swap[0]: ["a", None, "a"], swap[1]: [None, "a", "a"]}, fields)
    assert frame["event_id"].nunique() == 3
