"""Batches of the sample shop, checked, compared and reported on, as a job does it."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks import schema
from tasks.errors import BatchRefused, SettingsError
from tasks.jobs.comparing import compare_batch
from tasks.jobs.reports import list_reports, write_report
from tasks.quality import BatchCheck, Seen
from tasks.quality.profile import Profile, total
from tasks.settings import Settings
from tasks.sources import load_mapping, read_files
from tasks.sources.sample_shop import write_shop

DAYS, START = 12, datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[pd.DataFrame]:
    """Chunks of a shop of 2,000 people, a day each; 2 % of their rows are faulty."""
    made = write_shop(tmp_path_factory.mktemp("shop"), users=2000, days=DAYS, seed=3, faults=0.02)
    frame = pd.concat(read_files([made["paths"]["events.csv"]], load_mapping(None), schema.EVENTS, chunk_rows=50_000))
    last = frame["event_time"].where(frame["event_time"] > pd.Timestamp(START)).ffill()
    return [day for _, day in frame.groupby((last.dt.date).clip(upper=(START + timedelta(days=DAYS - 1)).date()))]


def take(day: pd.DataFrame, number: int, recent: list[dict[str, Any]], **options: Any) -> tuple[Any, Any]:
    """Check a day, compare it, report on it and remember it."""
    terms: dict[str, Any] = {
        "batch_id": f"b{number:02d}",
        "source": "events.csv",
        "as_of": START + timedelta(days=number + 1),
    }
    check = BatchCheck(schema.EVENTS, **terms, future_tolerance_hours=24, max_quarantine_share=0.2, seen=Seen())
    profile = total(Profile.of(check.add(day.iloc[at : at + 300]).accepted) for at in range(0, len(day), 300))
    verdict = check.finish()
    whole = compare_batch(profile, recent, rows=verdict.rows, settings=Settings(), **terms, **options)
    recent.append(profile.sealed().to_json())
    write_report(terms["batch_id"], [(verdict.summary, verdict.suite), (whole.summary, whole.suite)])
    return verdict, whole


@pytest.mark.slow
def test_clean_days_then_one_that_lost_its_chinese_rows(
    days: list[pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path))
    recent: list[dict[str, Any]] = []
    for number, day in enumerate(days[:-1]):
        verdict, whole = take(day, number, recent)
        assert [one.rule for one in whole.broken] == []
        assert asdict(verdict.rows)["entered"] == len(day)
    chinese = days[-1]["text"].str.contains(r"[\u4e00-\u9fff]", na=False)
    before = list(recent)
    _, whole = take(days[-1][~chinese], DAYS - 1, recent)
    assert "batch_languages" in {one.rule for one in whole.broken}
    assert len(recent) == DAYS

    cards = {card["batch_id"]: card for card in list_reports()}
    assert len(cards) == DAYS
    assert "batch_languages" in cards["b11"]["alarms"]
    page = (tmp_path / "reports" / "b11" / "index.html").read_text()
    texts = [t for t in days[-1]["text"].dropna().unique() if len(t) > 12]
    assert not [text for text in texts if text in page]
    assert not re.search(r"\bu\d{4,}\b|e\d{4}-\d{6}", page)  # the shop's ids of users and events

    with pytest.raises(BatchRefused, match="batch_languages"):
        take(days[-1][~chinese], DAYS - 1, before, severities={"batch_languages": "critical"})[1].stop_if_critical()


def test_settings_are_heeded(days: list[pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path))
    monkeypatch.setenv("PENCHANT_BATCH_LIMITS", '{"batch_freshness": 0.0001}')
    _, whole = take(days[0], 0, [])
    assert [one.rule for one in whole.broken] == ["batch_freshness"]
    monkeypatch.setenv("PENCHANT_BATCH_LIMITS", '{"batch_words": 1}')
    with pytest.raises(SettingsError, match="batch_words"):
        take(days[0], 0, [])
