"""Batches: nothing lost, the same verdict in one piece and in chunks, and refusals that change nothing."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.columns import empty, to_arrow
from tasks.errors import BatchRefused, ConservationError, SettingsError
from tasks.quality import BatchCheck, Rows, Seen
from tasks.quality.seen import hashes
from tasks.schema import EVENTS, ITEMS, LEDGER, QUARANTINE

from .frames import batch_check, chunk, judge, run

TEXTS = ["It is loud and clear.", "It  is loud and clear.", "声音很大，很清楚。", "bad \ufffd text", None]
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "event_id": st.sampled_from(["a", "b", "c"]),
            "user_id": st.sampled_from(["u1", None]),
            "text": st.sampled_from(TEXTS),
            "rating": st.sampled_from([1.0, 5.0, 9.0, None]),
            "problems": st.sampled_from([[], [("parse_rating", "rating", "no number")]]),
        },
    ),
    min_size=1,
    max_size=12,
)


def before(*rows: dict[str, Any], table: Any = EVENTS) -> Seen:
    accepted, _, _ = run(batch_check(table, batch_id="b0"), chunk(*rows, table=table))
    return Seen.of([accepted], table)


EARLIER = before({"event_id": "a"}, {"event_id": "z"})


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, cuts=st.sets(st.integers(1, 11), min_size=1, max_size=2))
def test_chunks_give_the_verdict_of_one_piece_and_nothing_is_lost(rows: list[dict[str, Any]], cuts: set[int]) -> None:
    seen = EARLIER
    frame = chunk(*rows)
    pieces = [p.reset_index(drop=True) for p in np.split(frame, sorted(c for c in cuts if c < len(frame)))]
    whole, parts = run(batch_check(seen=seen), frame), run(batch_check(seen=seen), *pieces)
    for one, other in zip(whole[:2], parts[:2], strict=True):
        pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_frame_equal(whole[2].ledger, parts[2].ledger)
    assert whole[2].summary == parts[2].summary

    accepted, quarantine, verdict = whole
    assert len(frame) == len(accepted) + quarantine["position"].nunique() + verdict.rows.repeated
    assert accepted["event_id"].is_unique
    assert not quarantine.duplicated(list(QUARANTINE.key)).any()
    assert not set(accepted["event_id"]) & {"a", "z"} - {None}
    by_rule = verdict.ledger.set_index("rule")["rows_failed"]
    assert quarantine["rule"].value_counts().to_dict() == {
        rule: count for rule, count in by_rule.items() if count and rule not in ("rows", "exact_repeat")
    }
    for table, filled in ((EVENTS, accepted), (QUARANTINE, quarantine), (LEDGER, verdict.ledger)):
        to_arrow(filled, table)
        assert filled.empty or filled.dtypes.equals(empty(table).dtypes)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "user_id": st.text(st.characters(), max_size=3),
                "text": st.one_of(st.none(), st.text(st.characters(), max_size=20)),
                "kind": st.sampled_from(["review", "view", "?"]),
                "language": st.one_of(st.none(), st.sampled_from(["en", "zh-TW", "", "\ud83d"])),
                "row": st.text(st.characters(), max_size=5),
            }
        ),
        max_size=8,
    )
)
def test_no_string_is_too_strange_to_be_parted_and_stored(rows: list[dict[str, Any]]) -> None:
    frame = chunk({}, *rows)
    frame["row"] = ["{}", *(row["row"] for row in rows)]
    accepted, quarantine, verdict = run(batch_check(), frame)
    to_arrow(accepted, EVENTS)
    to_arrow(quarantine, QUARANTINE)
    assert verdict.rows.entered == len(rows) + 1


def test_repeats_are_counted_and_conflicts_are_quarantined() -> None:
    rows = [{"event_id": "a"}, {"event_id": "a"}, {"event_id": "a", "rating": 1.0}, {"event_id": "b"}]
    accepted, quarantine, verdict = run(batch_check(), chunk(*rows))
    assert list(accepted["event_id"]) == ["a", "b"]
    assert list(quarantine[["position", "rule"]].iloc[0]) == [3, "duplicate_id"]
    assert verdict.rows == Rows(entered=4, accepted=2, quarantined=1, repeated=1)


def test_a_bad_row_does_not_own_its_id() -> None:
    accepted, quarantine, _ = run(batch_check(), chunk({"event_id": "a", "rating": 9.0}, {"event_id": "a"}))
    assert list(accepted["rating"]) == [4.0]
    assert list(quarantine["rule"]) == ["rating_scale"]


def test_a_batch_that_comes_again_is_all_repeats() -> None:
    rows = [{}, {"text": "<b>Loud</b> and clear, both of them.", "rating": None}, {"kind": "view", "text": None}]
    _, quarantine, verdict = run(batch_check(seen=before(*rows)), chunk(*rows))
    assert quarantine.empty
    assert verdict.rows == Rows(entered=3, repeated=3)


def test_an_accepted_event_cannot_change_later() -> None:
    _, quarantine, _ = run(batch_check(seen=before({"event_id": "a"})), chunk({"event_id": "a", "rating": 1.0}))
    assert list(quarantine["rule"]) == ["duplicate_id"]


def test_a_catalogue_may_change_from_batch_to_batch_and_back_but_not_within_one() -> None:
    old, new = {"item_id": "a"}, {"item_id": "a", "price": 99.0}
    accepted, quarantine, verdict = run(
        batch_check(ITEMS, seen=before(old, table=ITEMS)), chunk(new, new, old, table=ITEMS)
    )
    assert list(accepted["price"]) == [99.0]
    assert list(quarantine[["position", "rule"]].iloc[0]) == [3, "duplicate_id"]
    assert verdict.rows.repeated == 1

    seen = before(old, table=ITEMS)
    seen.add(*hashes(accepted, ITEMS))
    assert run(batch_check(ITEMS, seen=seen), chunk(old, table=ITEMS))[2].rows.accepted == 1
    assert run(batch_check(ITEMS, seen=seen), chunk(new, table=ITEMS))[2].rows.repeated == 1


def test_seen_is_left_as_it_is() -> None:
    seen = before({"event_id": "a"})
    run(batch_check(seen=seen), chunk({"event_id": "b"}))
    assert len(seen) == 1


@pytest.mark.parametrize("chunks", [[], [chunk()]], ids=["no chunk", "a chunk of no rows"])
def test_an_empty_batch_is_refused(chunks: list[pd.DataFrame]) -> None:
    with pytest.raises(BatchRefused, match="is empty"):
        run_all(batch_check(), chunks)


def run_all(check: BatchCheck, chunks: list[pd.DataFrame]) -> None:
    for frame in chunks:
        check.add(frame)
    check.finish()


def test_one_row_is_a_batch() -> None:
    assert run(batch_check(), chunk({}))[2].rows == Rows(entered=1, accepted=1)


def test_too_large_a_share_of_bad_rows_refuses_the_batch_and_says_which_rules() -> None:
    rows = [{"rating": 9.0}, {"user_id": None}, {"user_id": None}, {}, {}]
    check = batch_check(max_quarantine_share=0.5)
    check.add(chunk(*rows))
    with pytest.raises(
        BatchRefused, match=r"3 of 5 rows broke a rule \(missing_user_id 2, rating_scale 1\)"
    ) as refusal:
        check.finish()
    assert isinstance(pickle.loads(pickle.dumps(refusal.value)), BatchRefused)
    assert check.ledger().set_index("rule")["rows_failed"]["rows"] == 3
    assert run(batch_check(max_quarantine_share=0.6), chunk(*rows))[2].rows.accepted == 2


def test_a_rule_made_critical_refuses_the_batch_for_one_row() -> None:
    with pytest.raises(BatchRefused, match=r"a critical rule \(unknown_item\) was broken"):
        run(
            batch_check(known_items={"i1"}, changes={"unknown_item": {"severity": "critical"}}),
            chunk({}, {"item_id": "i2"}),
        )


def test_a_rule_made_info_is_noted_and_lets_the_row_through() -> None:
    check = batch_check(changes={"encoding": {"severity": "info"}})
    accepted, quarantine, verdict = run(check, chunk({"text": "It sounds \ufffd good to me."}))
    assert len(accepted) == 1
    assert quarantine.empty
    assert verdict.ledger.set_index("rule")["rows_failed"]["encoding"] == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"encodng": {"severity": "info"}}, "no rule 'encodng'; the rules are .*encoding"),
        ({"encoding": {"severity": "fatal"}}, "none of"),
        ({"missing_user_id": {"severity": "info"}}, "schema promises"),
        ({"too_short": {"maximum": 3}}, "'too_short' has no maximum; it holds the number of words"),
        ({"too_short": {"minimum": "two"}}, "minimum is no number"),
        ({"too_short": {"minimum": float("nan")}}, "minimum is no number"),
        ({"too_short": {"least": 2}}, "has no 'least'"),
        ({"rating_scale": {"maximum": 10}}, "maximum goes beyond 5, which the schema promises"),
        ({"price_range": {"minimum": -1}}, "minimum goes beyond 0"),
    ],
)
def test_changes_of_rules_that_make_no_sense_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        batch_check(changes=changes)


def test_bounds_and_severities_can_be_changed_and_those_of_other_rules_are_passed_over() -> None:
    changes = {
        "too_short": {"severity": "warning", "minimum": 3},
        "rating_scale": {"maximum": 4},
        "price_range": {"minimum": 1},
        "batch_rows": {"maximum": 2},
    }
    rows = [{"text": "Loud."}, {"text": "Loud and clear."}, {"rating": 5.0}]
    _, quarantine, verdict = run(batch_check(changes=changes), chunk(*rows))
    assert list(zip(quarantine["position"], quarantine["rule"], strict=True)) == [(1, "too_short"), (3, "rating_scale")]
    bounds = {e["rule"]: (e["severity"], e["minimum"]) for e in verdict.summary["expectations"]}
    assert bounds["too_short"] == ("warning", 3)


def test_an_end_of_the_interval_without_time_zone_is_refused() -> None:
    with pytest.raises(SettingsError, match="no time zone"):
        batch_check(as_of=datetime(2026, 3, 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="user_id"), r"missing columns \['user_id'\]"),
        (lambda f: f.assign(extra=1), r"unknown columns \['extra'\]"),
        (lambda f: f.assign(rating=["four"]), "column 'rating' is not float32"),
        (lambda f: f.assign(user_id=[7]), "column 'user_id' is not string"),
        (lambda f: f.assign(event_time=["yesterday"]), "column 'event_time' is not timestamp"),
        (lambda f: f.assign(event_time=pd.to_datetime(["2026-01-01"])), "without a time zone"),
        (lambda f: f.assign(position=["one"]), "'position' is not int64"),
        (lambda f: pd.concat([f, f]), "'position' does not increase"),
        (lambda f: pd.concat([f, f[["text"]]], axis=1), "a column comes twice"),
    ],
)
def test_wrong_columns_or_types_refuse_the_batch_without_quoting_a_value(change: Any, says: str) -> None:
    with pytest.raises(BatchRefused, match=says) as refusal:
        batch_check().add(change(chunk({})))
    assert "four" not in str(refusal.value)
    assert "yesterday" not in str(refusal.value)


def test_positions_must_increase_from_chunk_to_chunk() -> None:
    check = batch_check()
    check.add(chunk({}, {}))
    with pytest.raises(BatchRefused, match="does not increase"):
        check.add(chunk({}, first=2))


@pytest.mark.parametrize("lost", ["candidates", "quarantine"])
def test_a_lost_row_stops_the_run(lost: str) -> None:
    check = batch_check()
    judged = judge().judge(chunk({"rating": 9.0}, {}))
    cut = {"candidates": judged.candidates.iloc[1:], "marks": judged.marks.iloc[1:]}
    check.settle(replace(judged, **(cut if lost == "candidates" else {"quarantine": judged.quarantine.iloc[1:]})))
    with pytest.raises(ConservationError, match="does not add up"):
        check.finish()


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", object])
def test_the_kind_of_string_column_makes_no_difference(dtype: Any) -> None:
    rows = [{}, {"item_id": None, "kind": "search"}, {"user_id": None}]
    frame = chunk(*rows)
    other = frame.astype(dict.fromkeys(("event_id", "user_id", "item_id", "kind", "text", "language"), dtype))
    for one, two in zip(run(batch_check(), frame)[:2], run(batch_check(), other)[:2], strict=True):
        pd.testing.assert_frame_equal(one, two)


def test_times_in_nanoseconds_give_the_hashes_of_microseconds() -> None:
    seen = before({"event_id": "a"})
    frame = chunk({"event_id": "a"}).astype({"event_time": "datetime64[ns, UTC]", "rating": "float64"})
    assert run(batch_check(seen=seen), frame)[2].rows.repeated == 1
