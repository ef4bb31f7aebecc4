"""The sample shop read back and checked as any batch is: sound rows are accepted, and each fault meets its rule."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from tasks import schema
from tasks.quality import BatchCheck, Verdict
from tasks.sources.files import read_files
from tasks.sources.mapping import own_names
from tasks.sources.sample_shop import FAULTS, write_shop

NOTED = ("too_short", "markup", "personal_data", "personal_id")
"""Rules that stop no row."""


def checked(folder: Path, name: str, table, as_of: str, known_items=None) -> tuple[pd.DataFrame, pd.DataFrame, Verdict]:
    """Accepted rows, quarantine and verdict of one file."""
    batch = BatchCheck(
        table, batch_id="b", source=name, as_of=datetime.fromisoformat(as_of), future_tolerance_hours=24,
        max_quarantine_share=0.5, known_items=known_items,
    )  # fmt: skip
    parts = [batch.add(chunk) for chunk in read_files([folder / name], own_names(), table, chunk_rows=4_000)]
    accepted, quarantine = (pd.concat([part[at] for part in parts], ignore_index=True) for at in (0, 1))
    return accepted, quarantine, batch.finish()


@pytest.fixture(scope="module", params=[0.0, 0.15], ids=["sound", "spoilt"])
def shop(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    result = write_shop(folder, users=200, days=20, seed=4, faults=request.param)
    items, bad, _ = checked(folder, "items.jsonl", schema.ITEMS, result["as_of"])
    assert bad.empty
    accepted, quarantine, verdict = checked(folder, "events.csv", schema.EVENTS, result["as_of"], items["item_id"])
    return folder, result, accepted, quarantine, verdict


def test_sound_rows_and_only_they_are_accepted(shop):
    folder, result, accepted, quarantine, verdict = shop
    faults = pd.read_parquet(folder / "truth_faults.parquet")
    repeats = set(faults.loc[faults["fault"] == "repeat", "position"])
    noted = faults["rule"].isin(NOTED)
    assert set(quarantine["position"]) == set(faults.loc[~noted, "position"]) - repeats
    assert verdict.rows.repeated == len(repeats)
    assert len(accepted) == result["counts"]["rows"] - (~noted).sum()
    counts = verdict.ledger.set_index("rule")["rows_failed"]
    for rule in NOTED:
        assert counts[rule] == (faults["rule"] == rule).sum()
    assert not accepted["text"].str.contains("jo.doe|13812345678|415-555|4111 1111").any()


def test_every_fault_meets_its_rule(shop):
    folder, _, _, quarantine, _ = shop
    faults = pd.read_parquet(folder / "truth_faults.parquet")
    met = set(zip(quarantine["position"], quarantine["rule"], strict=True))
    for fault in faults[(faults["fault"] != "repeat") & ~faults["rule"].isin(NOTED)].itertuples():
        assert (fault.position, fault.rule) in met, fault.fault
    assert faults.empty or set(faults["fault"]) == set(FAULTS)


def test_the_language_is_seen_in_the_text(shop):
    folder, _, accepted, _, _ = shop
    users = pd.read_parquet(folder / "truth_users.parquet").set_index("user_id")["language"]
    texts = accepted[accepted["kind"].isin(["review", "comment", "question"])]
    texts = texts[texts["user_id"].isin(users.index) & texts["language"].notna()]  # but for two kinds of faults
    assert len(texts) > 300
    assert (texts["language"] == texts["user_id"].map(users)).mean() > 0.99
