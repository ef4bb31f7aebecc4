"""The check of single events gives the verdict of the batch's check, rule for rule."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tasks.quality import Seen
from tasks.quality.online import Known, OnlineCheck
from tasks.schema import EVENTS
from tasks.sources import load_mapping, read_rows
from tests.quality.frames import AS_OF, EVENT, batch_check, chunk

ITEMS = ("i1", "i2")
ROWS = (
    {},
    {"text": "  spaces\u3000and <b>tags</b>  "},
    {"text": None},
    {"text": "   "},
    {"text": "\ufffd\ufffd damaged"},
    {"text": "x" * 20_001},
    {"item_id": "nobody sells this"},
    {"kind": "view", "item_id": None, "text": None},
    {"kind": "rating", "rating": None, "text": None},
    {"kind": None},
    {"rating": 7.0},
    {"user_id": None},
    {"user_id": "u" * 10_000},
    {"event_time": AS_OF + timedelta(hours=25)},
    {"event_time": AS_OF - timedelta(days=20_000)},
    {"kind": "search", "item_id": None, "text": "quiet lamp", "language": "en"},
)


def online() -> OnlineCheck:
    return OnlineCheck(EVENTS, known_items=pd.Index(ITEMS), future_tolerance_hours=24)


def test_each_row_gets_the_verdict_that_a_batch_would_give_it() -> None:
    rows = chunk(*ROWS)
    batch = batch_check(known_items=ITEMS).add(rows.copy())
    found = online()(rows, as_of=AS_OF, batch_id="b1")
    pd.testing.assert_frame_equal(found.accepted, batch.accepted)
    expected = {(int(p) - 1, r) for p, r in zip(batch.quarantine["position"], batch.quarantine["rule"], strict=True)}
    assert {(at, fault.rule) for at, faults in found.faults.items() for fault in faults} == expected
    assert len(expected) >= 12


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ("{", "malformed_row"),
        ("[]", "malformed_row"),
        ('{"user_id": "a", "user_id": "b"}', "malformed_row"),
        (json.dumps({**EVENT, "event_time": "yesterday"}), "parse_time"),
        (json.dumps({**EVENT, "event_time": "2026-02-01", "kind": "stare"}), "unknown_kind"),
        (json.dumps({**EVENT, "event_time": "2026-02-01", "rating": "many"}), "parse_rating"),
        (json.dumps({**EVENT, "event_time": "2026-02-01", "user_id": "a\0b"}), "encoding"),
        (json.dumps({**EVENT, "event_time": "2026-02-01", "text": "\ud800"}), "encoding"),
    ],
)
def test_what_the_source_could_not_read_is_said_once(raw: str, rule: str) -> None:
    rows = next(read_rows([raw], load_mapping(None), EVENTS, source="push", chunk_rows=1))
    found = online()(rows, as_of=AS_OF, batch_id="b1")
    assert not len(found.accepted)
    assert [fault.rule for fault in found.faults[0]] == [rule]
    assert all("yesterday" not in fault.reason for fault in found.faults[0])


def test_known_rows_are_told_from_new_ones_and_from_others_with_their_id() -> None:
    accepted = online()(chunk({}, {}, {"text": "another"}), as_of=AS_OF, batch_id="b1").accepted
    known = Known(*Seen.of([accepted.iloc[:2]], EVENTS).merged())
    changed = accepted.assign(text_hash=np.where(accepted["event_id"] == "e2", "0" * 32, accepted["text_hash"]))
    there, other = known.find(changed, EVENTS)
    assert there.tolist() == [True, True, False]
    assert other.tolist() == [False, True, False]
    assert not Known(*Seen().merged()).find(accepted, EVENTS)[0].any()
