"""One planted fault breaks exactly its own rule; a clean row breaks none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tasks.columns import Table, to_arrow
from tasks.quality import Seen, rules_for
from tasks.schema import EVENTS, ITEMS, QUARANTINE

from .frames import AS_OF, batch_check, broken, chunk, run
from .test_prose import PROSE_RULES

LONG_ID = "x" * 129
EVENT_FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"event_id": None}, "missing_event_id", "event_id"),
    ({"event_id": LONG_ID}, "event_id_too_long", "event_id"),
    ({"user_id": None}, "missing_user_id", "user_id"),
    ({"user_id": " \t"}, "missing_user_id", "user_id"),
    ({"user_id": LONG_ID}, "user_id_too_long", "user_id"),
    ({"user_id": "u\x001"}, "encoding", "user_id"),
    ({"item_id": LONG_ID}, "item_id_too_long", "item_id"),
    ({"item_id": "elsewhere"}, "unknown_item", "item_id"),
    ({"item_id": None, "kind": "view", "text": None}, "missing_item_id", "item_id"),
    ({"kind": None}, "missing_kind", "kind"),
    ({"kind": "refund"}, "unknown_kind", "kind"),
    ({"kind": "rating", "rating": None}, "missing_rating", "rating"),
    ({"rating": 0.5}, "rating_scale", "rating"),
    ({"rating": 5.01}, "rating_scale", "rating"),
    ({"rating": float("inf")}, "rating_scale", "rating"),
    ({"text": None}, "missing_text", "text"),
    ({"text": " \u200b\n"}, "missing_text", "text"),
    ({"text": "word " * 200_000}, "text_too_long", "text"),
    ({"text": "Fine tone\x00 and feel of the neck."}, "encoding", "text"),
    ({"text": "Fine tone\x1b[2J and feel of the neck."}, "encoding", "text"),
    ({"text": "The caf\ufffd sells it cheaper, it seems."}, "encoding", "text"),
    ({"text": "The cafÃ© sells it cheaper, it seems."}, "encoding", "text"),
    ({"text": "A lone half \ud83d of a pair of surrogates."}, "encoding", "text"),
    ({"language": "fr"}, "language", "language"),
    ({"text": "Эта гитара звучит прекрасно и держит строй."}, "language", "language"),
    ({"text": "Ce produit est vraiment excellent, je le recommande à tous."}, "language", "language"),
    ({"event_time": None}, "missing_event_time", "event_time"),
    ({"event_time": AS_OF + timedelta(hours=24, seconds=1)}, "future_time", "event_time"),
    ({"event_time": AS_OF.replace(year=1989)}, "event_time_range", "event_time"),
    ({"rating": None, "problems": [("parse_rating", "rating", "no number")]}, "parse_rating", "rating"),
    ({"event_time": None, "problems": [("parse_time", "event_time", "unknown format")]}, "parse_time", "event_time"),
]
ITEM_FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"item_id": None}, "missing_item_id", "item_id"),
    ({"title": None}, "missing_title", "title"),
    ({"title": "t" * 1001}, "title_too_long", "title"),
    ({"title_zh": "旅" * 1001}, "title_zh_too_long", "title_zh"),
    ({"description": "d" * 20_001}, "description_too_long", "description"),
    ({"description_zh": "述" * 20_001}, "description_zh_too_long", "description_zh"),
    ({"brand": "b" * 201}, "brand_too_long", "brand"),
    ({"title_zh": "旅行锟斤拷"}, "encoding", "title_zh"),
    ({"categories": ["music", "guitars\x07"]}, "encoding", "categories"),
    ({"price": -0.01}, "price_range", "price"),
    ({"updated_at": AS_OF + timedelta(days=2)}, "future_time", "updated_at"),
    ({"updated_at": AS_OF.replace(year=1970)}, "updated_at_range", "updated_at"),
]
EVENT_CLEAN: list[dict[str, Any]] = [
    {},
    {"rating": None},
    {"rating": 1.0},
    {"rating": 5.0},
    {"kind": "chat", "text": "x" * 20_000, "language": "en"},
    {"kind": "search", "item_id": None, "text": "吉他", "rating": None},
    {"kind": "view", "text": None, "rating": None},
    {"kind": "rating", "text": "", "rating": 2.5},
    {"kind": "question", "text": "👍👍", "rating": None},
    {"event_time": AS_OF + timedelta(hours=24)},
    {"text": "<b>Great</b> &amp; loud\r\n\ttoo"},
]
ITEM_CLEAN: list[dict[str, Any]] = [
    {},
    {"categories": []},
    {"categories": None},
    {"price": 0.0},
    {"title_zh": None, "description": None, "price": None, "brand": None, "updated_at": None},
]


@pytest.mark.parametrize(
    ("fault", "rule", "column"), EVENT_FAULTS, ids=[f"{r}-{n}" for n, (_, r, _) in enumerate(EVENT_FAULTS)]
)
def test_an_event_with_one_fault_breaks_one_rule(fault: dict[str, Any], rule: str, column: str) -> None:
    assert broken([{}, fault, {}], known_items={"i1", LONG_ID}) == [(2, rule, column)]


@pytest.mark.parametrize(
    ("fault", "rule", "column"), ITEM_FAULTS, ids=[f"{r}-{n}" for n, (_, r, _) in enumerate(ITEM_FAULTS)]
)
def test_an_item_with_one_fault_breaks_one_rule(fault: dict[str, Any], rule: str, column: str) -> None:
    assert broken([{}, fault, {}], ITEMS) == [(2, rule, column)]


@pytest.mark.parametrize(("table", "rows"), [(EVENTS, EVENT_CLEAN), (ITEMS, ITEM_CLEAN)], ids=["events", "items"])
def test_clean_rows_are_accepted_in_the_form_of_their_table(table: Table, rows: list[dict[str, Any]]) -> None:
    accepted, quarantine, verdict = run(batch_check(table), chunk(*rows, table=table))
    assert quarantine.empty
    assert len(to_arrow(accepted, table)) == len(rows) == verdict.rows.accepted
    assert verdict.ledger["rows_failed"].sum() == 0


def test_every_rule_of_the_tables_is_planted_above() -> None:
    for table, faults in ((EVENTS, EVENT_FAULTS), (ITEMS, ITEM_FAULTS)):
        names = {r.name for r in rules_for(table, future_tolerance_hours=24)}
        elsewhere = {"unreadable", "duplicate_id", "exact_repeat", "item_id_too_long", "near_duplicate", *PROSE_RULES}
        assert names - elsewhere <= {rule for _, rule, _ in faults}


def test_accepted_text_is_normalised_hashed_and_given_a_language() -> None:
    rows = [
        {"text": "<i>Warm</i>  tone &amp; very\u200b light."},
        {"text": "音色很温暖。"},
        {"text": "ok", "language": "EN-us"},
    ]
    accepted, _, _ = run(batch_check(), chunk(*rows))
    assert list(accepted["text"]) == ["Warm tone & very light.", "音色很温暖。", "ok"]
    assert list(accepted["language"]) == ["en", "zh", "en"]
    assert accepted["text_hash"].str.fullmatch("[0-9a-f]{32}").all()
    assert accepted["text_hash"].is_unique


def test_a_row_that_breaks_three_rules_gives_three_lines_with_the_same_raw_row() -> None:
    _, quarantine, verdict = run(batch_check(), chunk({"user_id": None, "rating": 9.0, "text": None}))
    assert sorted(quarantine["rule"]) == ["missing_text", "missing_user_id", "rating_scale"]
    assert set(quarantine["row"]) == {json.dumps({"raw": 1})}
    assert verdict.rows.quarantined == 1


def test_a_row_that_the_source_could_not_take_apart_breaks_that_rule_alone() -> None:
    nothing = dict.fromkeys(("event_id", "user_id", "item_id", "kind", "rating", "text", "event_time"))
    rows = [{}, {**nothing, "problems": [("malformed_row", None, "it has 3 fields where the header has 7")]}]
    assert broken(rows) == [(2, "malformed_row", None)]


def test_what_the_source_reports_under_the_name_of_a_rule_counts_once() -> None:
    problem = ("rating_scale", "rating", "the scale 1-10 does not hold 11")
    _, quarantine, verdict = run(batch_check(), chunk({"rating": 9.0, "problems": [problem]}))
    assert list(quarantine["reason"]) == [problem[2]]
    assert verdict.ledger.set_index("rule")["rows_failed"]["rating_scale"] == 1


def test_a_raw_row_with_half_a_surrogate_pair_can_be_stored_and_read_back() -> None:
    frame = chunk({"user_id": None})
    frame["row"] = '{"text": "half \ud83d"}'
    _, quarantine, _ = run(batch_check(), frame)
    stored = to_arrow(quarantine, QUARANTINE)["row"].to_pylist()[0]
    assert json.loads(stored) == {"text": "half \ud83d"}


def test_reasons_never_quote_a_value() -> None:
    secret = "Sekret"
    faults = [
        {"kind": secret},
        {"language": secret},
        {"user_id": secret * 40},
        {"text": f"{secret}\x00 text"},
        {"item_id": secret},
    ]
    _, quarantine, verdict = run(batch_check(known_items={"i1"}, seen=Seen()), chunk(*faults))
    assert len(quarantine) == len(faults)
    assert not quarantine["reason"].str.contains(secret).any()
    assert secret not in json.dumps([verdict.suite, verdict.summary])
