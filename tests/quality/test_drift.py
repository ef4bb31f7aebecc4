"""Planted shifts of a batch are found, what batches differ by among themselves is not, and no person stands in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BatchRefused, SettingsError
from tasks.quality.batch_suite import BatchVerdict, judge
from tasks.quality.drift import LIMITS, Finding, compare
from tasks.quality.profile import Profile
from tasks.quality.records import Rows
from tasks.quality.shifts import differing_share, holm, moved_by, shift_of_shares, shift_of_size
from tasks.schema import LEDGER

START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = [f"{a}{b}" for a in "bcdfgklmnprst" for b in ("an", "el", "ir", "ond", "ush")]
STARS = (0.05, 0.1, 0.15, 0.3, 0.4)


def batch(day: int, *, rows: int = 800, zh: float = 0.4, stars: tuple[float, ...] = STARS, words: int = 12,
          vocabulary: list[str] = WORDS, kinds: tuple[float, ...] = (0.5, 0.5), seed: int = 0) -> Profile:  # fmt: skip
    """A day of a small shop; its shares vary from day to day more than chance alone would have them."""
    rng = np.random.default_rng([seed, day])
    n = rng.poisson(rows * rng.gamma(200, 1 / 200))
    chinese = rng.random(n) < rng.beta(200 * zh, 200 * (1 - zh))
    said = rng.random(n) < kinds[0]
    frame = pd.DataFrame(
        {
            "user_id": [f"user-{u}" for u in rng.integers(0, 500, n)],
            "kind": np.where(said, "review", "view"),
            "rating": np.where(said, rng.choice(5, n, p=rng.dirichlet(400 * np.array(stars))) + 1.0, np.nan),
            "text": [" ".join(rng.choice(vocabulary, rng.integers(1, 2 * words))) if s else None for s in said],
            "language": np.where(said, np.where(chinese, "zh", "en"), None),
            "text_hash": None,
            "event_time": pd.to_datetime(
                [START + timedelta(days=day, hours=h) for h in rng.uniform(0, 24, n)], utc=True
            ),
        }
    )
    return Profile.of(frame).sealed()


RECENT = [batch(day) for day in range(10)]
AS_OF = START + timedelta(days=11)


def alarms(profile: Profile, recent: list[Profile] = RECENT, **options: object) -> set[str]:
    return {one.rule for one in compare(profile, recent, as_of=AS_OF, **options) if one.broken}  # type: ignore[arg-type]


@pytest.mark.parametrize("day", range(10, 30))
def test_a_batch_like_the_others_is_no_alarm(day: int) -> None:
    assert alarms(batch(day)) - {"batch_freshness"} == set()


def test_a_larger_batch_like_the_others_is_no_alarm_but_for_its_size() -> None:
    assert alarms(batch(10, rows=40_000)) == {"batch_row_count"}


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ({"rows": 400}, "batch_row_count"),
        ({"rows": 2000}, "batch_row_count"),
        ({"zh": 0.8}, "batch_languages"),
        ({"kinds": (0.8, 0.2)}, "batch_kinds"),
        ({"stars": (0.15, 0.15, 0.3, 0.4, 0.0)}, "batch_ratings"),
        ({"words": 6}, "batch_text_length"),
        ({"vocabulary": [*WORDS[:40], *(word[::-1] for word in WORDS[40:])]}, "batch_vocabulary"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_shift_is_found_and_nothing_else_is_blamed(planted: dict, found: str) -> None:
    assert alarms(batch(10, **planted)) == {found}


def test_a_batch_that_lacks_days_is_found_and_one_that_catches_up_is_not() -> None:
    weeks = [(7_000 + 100 * n, 7) for n in range(-5, 5)]
    assert shift_of_size(3_500, 4, weeks).p < 1e-4  # as many rows a day, on half of the days
    assert shift_of_size(14_000, 14, weeks).effect < 1.05
    assert shift_of_size(14_000, 7, weeks).p < 1e-4


def test_an_old_batch_is_not_fresh() -> None:
    profile = batch(10)
    assert profile.last
    late = compare(profile, [], as_of=profile.last + timedelta(hours=49))[-1]
    assert (late.rule, late.broken, late.p) == ("batch_freshness", True, None)
    assert late.sentence == "The newest event is 49.0 hours older than as_of."
    assert not compare(profile, [], as_of=profile.last + timedelta(hours=47))[-1].broken


@pytest.mark.parametrize("recent", [[], RECENT[:2]])
def test_too_few_recent_batches_give_no_verdict_and_say_so(recent: list[Profile]) -> None:
    findings = compare(batch(10, zh=0.99, rows=10), recent, as_of=AS_OF)[:-1]
    assert not [one for one in findings if one.broken or one.effect is not None]
    assert {one.sentence for one in findings} == {
        f"No verdict: 3 recent batches are needed, and there are {len(recent)}."
    }


def test_a_batch_without_texts_has_a_verdict_on_all_but_texts() -> None:
    findings = {one.rule: one for one in compare(batch(10, kinds=(0, 1)), RECENT, as_of=AS_OF)}
    assert {rule for rule, one in findings.items() if one.effect is None} == {
        "batch_languages", "batch_ratings", "batch_text_length", "batch_vocabulary",
    }  # fmt: skip
    assert findings["batch_kinds"].broken


def test_limits_and_severities_by_rule() -> None:
    shifted = batch(10, zh=0.8)
    assert alarms(shifted, limits={"batch_languages": 0.6}) == set()
    (worst,) = [
        one for one in compare(shifted, RECENT, as_of=AS_OF, severities={"batch_languages": "critical"}) if one.broken
    ]
    assert worst.severity == "critical"
    for odd in (
        {"limits": {"batch_words": 1}},
        {"limits": {"batch_ratings": 0}},
        {"severities": {"batch_ratings": "bad"}},
    ):
        with pytest.raises(SettingsError):
            compare(shifted, RECENT, as_of=AS_OF, **odd)  # type: ignore[arg-type]


def test_a_sentence_says_what_changed() -> None:
    said = {one.rule: one.sentence for one in compare(batch(10, zh=0.8, rows=400), RECENT, as_of=AS_OF)}
    assert said["batch_languages"].endswith("recently.")
    assert "of the texts beside" in said["batch_languages"]
    assert "times too few" in said["batch_row_count"]
    assert not [word for sentence in said.values() for word in (*WORDS, "user-") if f" {word}" in sentence]


def judged(severity: str) -> BatchVerdict:
    findings = compare(batch(10, zh=0.8), RECENT, as_of=AS_OF, severities={"batch_languages": severity})  # type: ignore[dict-item]
    return judge(findings, Rows(900, 800, 90, 10), batch_id="b1", source="shop.csv", as_of=AS_OF)


def test_great_expectations_judges_the_findings_and_the_ledger_says_so() -> None:
    verdict = judged("warning")
    assert [one.rule for one in verdict.broken] == ["batch_languages"]
    lines = verdict.ledger.set_index("rule")
    assert list(verdict.ledger.columns) == list(LEDGER.names)
    assert list(lines.index) == list(LIMITS)
    assert (lines["rows_in"] == lines["rows_accepted"] + lines["rows_quarantined"] + lines["rows_repeated"]).all()
    assert lines["rows_failed"].to_dict() == {**dict.fromkeys(LIMITS, 0), "batch_languages": 900}
    assert [e["kwargs"]["column"] for e in verdict.suite["expectations"]] == list(LIMITS)
    assert [e["unexpected"] for e in verdict.summary["expectations"]] == [int(r == "batch_languages") for r in LIMITS]
    verdict.stop_if_critical()


def test_a_critical_finding_stops_the_batch_with_its_sentence() -> None:
    with pytest.raises(BatchRefused, match="nothing was changed: batch_languages: '"):
        judged("critical").stop_if_critical()


def test_holm_corrects_as_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_distances_as_worked_by_hand() -> None:
    one, other = np.array([1.0, 1.0, 0.0]), np.array([0.0, 2.0, 2.0])
    assert differing_share(one, other) == pytest.approx(0.5)
    assert moved_by(0.25)(one, other) == pytest.approx(0.25)


@given(st.lists(st.lists(st.integers(0, 500), min_size=4, max_size=4), min_size=5, max_size=5))
def test_a_shift_is_a_probability_and_an_effect_whatever_was_counted(counts: list[list[int]]) -> None:
    table = np.array(counts, dtype=float)
    found = shift_of_shares(table[0], table[1:], differing_share)
    assert found is None or (0 <= found.p <= 1 and 0 <= found.effect <= 1 and found.statistic >= 0)


def test_findings_of_equal_batches_have_no_effect() -> None:
    same = [RECENT[0]] * 5
    assert {round(one.effect or 0, 9) for one in compare(RECENT[0], same, as_of=AS_OF)[1:-1]} == {0}
    assert isinstance(compare(RECENT[0], same, as_of=AS_OF)[0], Finding)
