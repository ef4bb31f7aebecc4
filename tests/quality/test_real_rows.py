"""The check on rows that its author did not write: the sample shop's planted faults, and real reviews."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from tasks.schema import EVENTS, ITEM_ID, ITEMS
from tasks.sources import load_mapping, read_files
from tasks.sources.sample_shop import FAULTS, write_shop

from .frames import batch_check, run

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("PENCHANT_TEST_DATA", ROOT.parent / "shared" / "data"))
REVIEWS = DATA / "amazon_musical_instruments_5core.jsonl.gz"


def test_every_fault_planted_in_the_sample_shop_is_found_and_nothing_else(tmp_path: Path) -> None:
    made = write_shop(tmp_path, users=80, days=40, seed=3, faults=0.19)
    paths, mapping = made["paths"], load_mapping(None)
    items = pd.concat(read_files([paths["items.jsonl"]], mapping, ITEMS, chunk_rows=500))
    noted = {rule: {"severity": "warning"} for rule in ("too_short", "markup", "personal_data", "personal_id")}
    check = batch_check(as_of=datetime.fromisoformat(made["as_of"]), known_items=items[ITEM_ID.name], changes=noted)
    _, quarantine, verdict = run(check, *read_files([paths["events.csv"]], mapping, EVENTS, chunk_rows=500))

    truth = pd.read_parquet(paths["truth_faults.parquet"])
    assert set(truth["rule"]) == {fault.rule for fault in FAULTS.values()}
    repeats = truth["rule"] == "exact_repeat"
    assert verdict.rows.repeated == repeats.sum()
    planted = sorted(zip(truth["position"][~repeats], truth["rule"][~repeats], strict=True))
    assert sorted(zip(quarantine["position"], quarantine["rule"], strict=True)) == planted
    assert set(quarantine["source"]) == {paths["events.csv"]}


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not REVIEWS.exists(), reason=f"{REVIEWS.name} is not here; PENCHANT_TEST_DATA names its folder")
def test_real_english_reviews_pass_and_spanish_ones_do_not() -> None:
    mapping = load_mapping(ROOT / "examples" / "amazon_reviews_2014.yaml")
    check = batch_check(as_of=datetime(2014, 8, 1, tzinfo=UTC), max_quarantine_share=0.01)
    _, quarantine, verdict = run(check, *read_files([REVIEWS], mapping, EVENTS, chunk_rows=50_000))
    assert verdict.rows.accepted >= 10_250
    assert set(quarantine["rule"]) <= {"language"}
