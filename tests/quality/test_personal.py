"""Planted personal data is nowhere in what the check gives or keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.quality import Judged
from tasks.quality.raw import redact_row, redact_rows
from tasks.schema import EVENTS, ITEMS

from .frames import batch_check, chunk, judge, run

SECRETS = ["ada@example.org", "13812345678", "212-555-1234", "4111111111111111", "11010519491231002X"]
TEXT = f"Write to {SECRETS[0]} or call {SECRETS[1]}, {SECRETS[2]}; card {SECRETS[3]}, 身份证{SECRETS[4]}。"


def raw(**values: Any) -> str:
    return json.dumps({"review": TEXT, "mail": SECRETS[0], "tel": int(SECRETS[1]), **values}, ensure_ascii=False)


def planted() -> pd.DataFrame:
    """An accepted row, one that a rule stops, one whose text is too long, a conflict, and one taken for a repeat."""
    rows = [
        {"text": TEXT, "event_id": "a"},
        {"text": TEXT, "rating": 9.0},
        {"text": TEXT * 400},
        {"text": TEXT + " No.", "event_id": "a"},
        {"text": TEXT, "event_id": "a"},
    ]
    return chunk(*rows).assign(row=[raw(n=n) for n in range(len(rows))])


def secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_nothing_that_the_check_gives_holds_personal_data() -> None:
    accepted, quarantine, verdict = run(batch_check(), planted())
    assert list(quarantine["rule"]) == ["rating_scale", "text_too_long", "duplicate_id"]
    everything = accepted.to_json(force_ascii=False) + quarantine.to_json(force_ascii=False)
    assert secrets_in(everything + json.dumps([verdict.summary, verdict.suite])) == []
    assert accepted["text"][0] == "Write to [email] or call [phone], [phone]; card [card], 身份证[id]。"
    assert verdict.ledger.set_index("rule")["rows_failed"]["personal_data"] == 4
    assert json.loads(quarantine["row"][0])["tel"] == "[phone]"


def test_what_is_kept_between_judging_and_settling_holds_none(tmp_path: Path) -> None:
    judge().judge(planted()).save(tmp_path)
    for name in ("candidates", "marks", "quarantine"):
        table = pd.DataFrame(getattr(Judged.load(tmp_path, EVENTS), name))
        assert secrets_in(table.to_json(force_ascii=False)) == [], name


def test_a_text_is_known_by_what_is_left_of_it() -> None:
    rows = [{"text": "Write to ada@example.org, it is loud."}, {"text": "Write to bob@example.org, it is loud."}]
    accepted, _, _ = run(batch_check(), chunk(*rows))
    assert accepted["text_hash"].nunique() == 1


def test_prose_of_items_is_redacted_too() -> None:
    row = {"title": f"Guitar {SECRETS[0]}", "description": TEXT, "description_zh": TEXT}
    accepted, _, verdict = run(batch_check(ITEMS), chunk(row, table=ITEMS))
    assert secrets_in(accepted.to_json(force_ascii=False)) == []
    assert verdict.ledger.set_index("rule")["rows_failed"]["personal_data"] == 1


@pytest.mark.parametrize("hidden", ["ada&#64;example.org", "ada\u200b@example.org", "<b>ada</b>@example.org"])
def test_personal_data_that_only_normalising_shows_is_taken_out_of_the_raw_row(hidden: str) -> None:
    row = json.dumps({"review": hidden, "n": 1}, ensure_ascii=False)
    assert json.loads(redact_row(row, ())) == {"review": "[email]", "n": 1}
    assert redact_rows([row], pd.DataFrame(index=range(1))) == [redact_row(row, ())]
    accepted, _, _ = run(batch_check(), chunk({"text": f"Write to {hidden}, please, about it."}))
    assert "[email]" in accepted["text"][0]


def test_a_row_without_any_stays_to_the_byte_and_its_own_ids_stay() -> None:
    sound = '{"user":  "u1", "price": 1299.00, "time": "2026-01-05 08:00:00", "at": 1767600000}'
    assert redact_row(sound, ()) == sound
    row = json.dumps({"user": "ada@example.org", "mail": "bob@example.org", "item": 13812345678})
    kept = json.loads(redact_row(row, ("ada@example.org", "13812345678", None)))
    assert kept == {"user": "ada@example.org", "mail": "[email]", "item": 13812345678}


@pytest.mark.parametrize(
    ("row", "better"),
    [
        ('"u1,5,mail ada@example.org"', '"u1,5,mail [email]"'),  # a line that was no row
        ("no json, ada@example.org", "no json, [email]"),
        ('{"a@b.org": [{"x": "tel 13812345678"}]}', '{"[email]": [{"x": "tel [phone]"}]}'),
        ('{"tel": 13812345678.0}', '{"tel": "[phone]"}'),
        ('{"x": "\\ud83d ada@example.org"}', '{"x": "\\ud83d [email]"}'),
    ],
)
def test_raw_rows_of_any_form_are_redacted(row: str, better: str) -> None:
    assert redact_row(row, ()) == better
    assert redact_rows([row], pd.DataFrame(index=range(1))) == [better]
