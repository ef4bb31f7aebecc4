"""The rules on what people write: each on a fault of its own, and silent on what honest people write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.columns import Table
from tasks.quality.prose import REPETITION_FROM, repeated_share
from tasks.schema import EVENTS, ITEMS

from .frames import batch_check, chunk, run

PROSE_RULES = ("too_short", "link_spam", "only_links", "repetition", "markup", "personal_data", "personal_id")
LINK = "https://example.com/deal"
FAULTS: list[tuple[str, dict[str, Any], Table]] = [
    ("too_short", {"text": "!!! 10/10 👍"}, EVENTS),
    ("too_short", {"kind": "comment", "text": "？？？", "rating": None}, EVENTS),
    ("link_spam", {"text": f"Cheap picks at {LINK} and {LINK} and www.example.org or call 212-555-1234"}, EVENTS),
    ("link_spam", {"text": "加我ada@example.com，aa.cn，bb.cn，cc.com 便宜卖吉他弦"}, EVENTS),
    ("only_links", {"text": f"see {LINK}/a/very/long/path/to/some/page.html"}, EVENTS),
    ("repetition", {"text": "a" * REPETITION_FROM * 2}, EVENTS),
    ("repetition", {"text": "buy now " * 30}, EVENTS),
    ("repetition", {"text": "好评如潮" * 20, "language": "zh"}, EVENTS),
    ("markup", {"text": "Nice <sparkle color='red'>strings</sparkle>."}, EVENTS),
    ("markup", {"text": "[b]Nice[/b] strings for {{ product }}."}, EVENTS),
    ("markup", {"description": "Buy <%= name %>, light and loud."}, ITEMS),
    ("personal_data", {"text": "Write to ada@example.org about this guitar."}, EVENTS),
    ("personal_data", {"title_zh": "吉他，电话13812345678"}, ITEMS),
    ("personal_id", {"user_id": "ada@example.org"}, EVENTS),
    ("personal_id", {"user_id": "13812345678"}, EVENTS),
]
HONEST = [
    "Great!",
    "好",
    "Soooooo good, I love love love it!!!!!!!!!!!!!!!!!!!",
    "哈哈哈哈哈哈哈哈哈哈，太好了",
    f"The manual is at {LINK}, and a video at https://example.org/v/1 helps too.",
    "5 < 6 and 7 > 3; a <3 for these [good] strings {really}; x[1] = y[2]",
    "Pros: light, loud, cheap. Cons: none. ---------------------------------------- Buy it.",
]


def failed(table: Table, row: dict[str, Any]) -> set[str]:
    """The rules on prose that a row breaks."""
    _, _, verdict = run(batch_check(table), chunk(row, table=table))
    counts = verdict.ledger.set_index("rule")["rows_failed"]
    return {rule for rule in PROSE_RULES if counts.get(rule)}


@pytest.mark.parametrize(("rule", "row", "table"), FAULTS, ids=[f"{r}-{n}" for n, (r, *_) in enumerate(FAULTS)])
def test_a_fault_breaks_its_rule(rule: str, row: dict[str, Any], table: Table) -> None:
    assert failed(table, row) - ({"personal_data"} if rule == "link_spam" else set()) == {rule}


@pytest.mark.parametrize("text", HONEST)
def test_what_honest_people_write_breaks_none(text: str) -> None:
    assert failed(EVENTS, {"text": text}) == set()


@pytest.mark.parametrize("kind", ["search", "chat"])
def test_a_search_or_a_chat_line_may_be_one_link_or_no_word(kind: str) -> None:
    for text in (LINK, "42"):
        assert failed(EVENTS, {"kind": kind, "text": text, "rating": None}) == set()


def test_what_is_noted_stops_no_row_and_what_is_spam_does() -> None:
    changes = {"text": "a" * 300, "language": "en"}, {"text": "42!"}, {"user_id": "ada@example.org"}
    accepted, quarantine, _ = run(batch_check(), chunk(*changes))
    assert list(quarantine["rule"]) == ["repetition"]
    assert list(accepted["user_id"]) == ["u1", "ada@example.org"]  # an id is told of and never changed


@given(st.lists(st.text(min_size=30, max_size=90), min_size=1, max_size=5), st.integers(0, 4))
def test_a_text_s_share_does_not_depend_on_its_neighbours(texts: list[str], at: int) -> None:
    kept = [t.encode("utf-8", "replace").decode() for t in texts]
    together = repeated_share(pa.array(kept, type=pa.large_string()))
    one = kept[at % len(kept)]
    assert repeated_share(pa.array([one], type=pa.large_string()))[0] == together[at % len(kept)]
    assert np.all((together >= 0) & (together <= 1))


@pytest.mark.parametrize("unit", ["a", "ab", "buy now ", "好评", "This sentence stands here again and again. "])
def test_a_text_that_is_one_thing_over_and_over_repeats_nearly_all_of_itself(unit: str) -> None:
    honest = "The neck is straight, the strings are low, and it was in tune when it came out of its box."
    repeated, once = repeated_share(pa.array([unit * 60, honest], type=pa.large_string())).tolist()
    assert repeated > 0.9
    assert once == 0
