"""Our suite against Great Expectations' stock expectations on the raw columns, and what it lets out."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import PenchantError
from tasks.quality import rules_for
from tasks.quality.expectations import Suite, _batch_definition
from tasks.quality.measures import outside
from tasks.schema import EVENTS, ITEMS, KINDS

from .frames import AS_OF, batch_check, chunk, run

STOCK = {
    "missing_user_id": gxe.ExpectColumnValuesToNotBeNull(column="user_id"),
    "missing_event_time": gxe.ExpectColumnValuesToNotBeNull(column="event_time"),
    "missing_kind": gxe.ExpectColumnValuesToNotBeNull(column="kind"),
    "user_id_too_long": gxe.ExpectColumnValueLengthsToBeBetween(column="user_id", max_value=128),
    "unknown_kind": gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=list(KINDS)),
    "unknown_item": gxe.ExpectColumnValuesToBeInSet(column="item_id", value_set=["i1", "i2"]),
    "rating_scale": gxe.ExpectColumnValuesToBeBetween(column="rating", min_value=1, max_value=5),
    "future_time": gxe.ExpectColumnValuesToBeBetween(column="event_time", max_value=AS_OF + timedelta(hours=24)),
    "event_time_range": gxe.ExpectColumnValuesToBeBetween(
        column="event_time", min_value=datetime(1990, 1, 1, tzinfo=UTC)
    ),
    "encoding": gxe.ExpectColumnValuesToNotMatchRegex(column="text", regex="\ufffd|\x00"),
}
EVENT_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.one_of(st.none(), st.text("ab", min_size=1, max_size=3), st.just("u" * 129)),
            "kind": st.one_of(st.none(), st.sampled_from(KINDS), st.just("refund")),
            "item_id": st.sampled_from([None, "i1", "i2", "i3"]),
            "rating": st.one_of(st.none(), st.floats(-10, 10, width=32), st.just(float("inf"))),
            "text": st.sampled_from([None, "Loud and clear.", "bad \ufffd", "nul \x00"]),
            "event_time": st.one_of(
                st.none(), st.datetimes(datetime(1980, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
            ),
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=12, deadline=None)
@given(EVENT_ROWS)
def test_the_suite_finds_what_stock_expectations_find_in_the_raw_columns(rows: list[dict[str, object]]) -> None:
    frame = chunk(*rows)
    _, quarantine, _ = run(batch_check(known_items={"i1", "i2"}), frame)
    suite = gx.ExpectationSuite("stock", expectations=list(STOCK.values()))
    batch = _batch_definition().get_batch(batch_parameters={"dataframe": frame})
    results = batch.validate(suite, result_format="COMPLETE").results
    for rule, result in zip(STOCK, sorted(results, key=_order), strict=True):
        stock = frame["position"].to_numpy()[result.result["unexpected_index_list"]]
        assert sorted(quarantine["position"][quarantine["rule"] == rule]) == sorted(stock), rule


def _order(result: object) -> int:
    """Place of the stock expectation that a result answers; GX gives results in an order of its own."""
    config = result.expectation_config  # type: ignore[attr-defined]
    kwargs = {k: v for k, v in config.kwargs.items() if k != "batch_id"}
    return next(
        place
        for place, stock in enumerate(STOCK.values())
        if stock.configuration.type == config.type and stock.configuration.kwargs == kwargs
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-3, 30, width=32) | st.just(float("nan")), min_size=1, max_size=20), st.data())
def test_the_suite_finds_what_the_bounds_say(values: list[float], data: st.DataObject) -> None:
    rules = rules_for(EVENTS, future_tolerance_hours=24)[:6]
    measured = {rule.key: np.array(data.draw(st.permutations(values))) for rule in rules}
    judged = Suite("s", rules).judge(measured)
    for rule in rules:
        assert judged[rule.key].tolist() == np.flatnonzero(outside(measured[rule.key], None, rule.maximum)).tolist()


def test_thousands_of_failures_are_all_named() -> None:
    rules = rules_for(EVENTS, future_tolerance_hours=24)[:1]
    assert len(Suite("s", rules).judge({rules[0].key: np.ones(5000, dtype=bool)})[rules[0].key]) == 5000


def test_what_great_expectations_could_not_judge_is_an_error_and_no_verdict() -> None:
    rules = rules_for(EVENTS, future_tolerance_hours=24)[:2]
    with pytest.raises(PenchantError, match="could not judge 'event_id_too_long event_id'"):
        Suite("s", rules).judge({rules[0].key: np.zeros(1)})


@pytest.mark.parametrize("table", [EVENTS, ITEMS], ids=["events", "items"])
def test_suite_and_summary_are_json_with_one_entry_per_rule(table: object) -> None:
    _, _, verdict = run(batch_check(table), chunk({}, table=table))  # type: ignore[arg-type]
    keys = [rule.key for rule in rules_for(table, future_tolerance_hours=24)]  # type: ignore[arg-type]
    assert len(set(keys)) == len(keys)
    suite, summary = json.loads(json.dumps([verdict.suite, verdict.summary]))
    assert [e["kwargs"]["column"] for e in suite["expectations"]] == keys
    assert [e["success"] for e in summary["expectations"]] == [True] * len(keys)
    assert summary["rows"] == {"in": 1, "accepted": 1, "quarantined": 0, "repeated": 0}


def test_the_summary_counts_and_holds_no_value() -> None:
    reported = [("parse_time", "event_time", "unknown format")]
    rows = [{"rating": 7.25}, {"rating": 7.25}, {"user_id": "Ada Lovelace"}, {"event_time": None, "problems": reported}]
    _, _, verdict = run(batch_check(), chunk(*rows))
    found = {e["rule"]: e for e in verdict.summary["expectations"]}
    assert (found["rating_scale"]["unexpected"], found["rating_scale"]["unexpected_percent"]) == (2, 50.0)
    assert found["rating_scale"]["success"] is False
    assert verdict.summary["success"] is False
    assert verdict.summary["reported"] == {"parse_time": 1}
    written = json.dumps([verdict.summary, verdict.suite])
    assert "7.25" not in written
    assert "Lovelace" not in written


def test_great_expectations_says_nothing_while_it_works(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        run(batch_check(), chunk({"rating": 9.0}, {}))
    assert not [record for record in caplog.records if record.name.startswith("great_expectations")]
    assert capfd.readouterr() == ("", "")


def test_two_checks_may_run_side_by_side() -> None:
    events, items = batch_check(), batch_check(ITEMS)
    for start in (1, 2):
        events.add(chunk({"rating": 9.0 if start == 1 else 3.0}, first=start))
        items.add(chunk({}, table=ITEMS, first=start))
    assert events.finish().rows.quarantined == 1
    assert items.finish().rows.accepted == 2


def test_one_reading_of_the_schema_makes_every_rule() -> None:
    names = {rule.name for table in (EVENTS, ITEMS) for rule in rules_for(table, future_tolerance_hours=24)}
    for table in (EVENTS, ITEMS):
        for column in table.columns:
            if column.max_length and column.name != "text_hash":
                assert f"{column.name}_too_long" in names
    assert pd.Series([rule.reason for rule in rules_for(EVENTS, future_tolerance_hours=24)]).notna().all()
