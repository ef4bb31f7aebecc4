"""Chunks that are judged apart, in any order, and settled in theirs give what one process gives in one piece."""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ArtifactError, BatchRefused
from tasks.quality import Judged, Settlement, rules_for
from tasks.schema import EVENTS, ITEMS

from .frames import TERMS, batch_check, chunk, judge, run
from .test_check import EARLIER, ROWS

EVENT_RULES = rules_for(EVENTS, future_tolerance_hours=24)


def settlement(**changes: Any) -> Settlement:
    options = {name: TERMS[name] for name in ("batch_id", "source", "as_of")}
    return Settlement(EVENTS, EVENT_RULES, **{**options, "max_quarantine_share": 1.0, **changes})


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, cuts=st.sets(st.integers(1, 11), max_size=3), order=st.randoms())
def test_judged_apart_and_kept_on_disk_it_is_the_verdict_of_one_piece(
    rows: list[dict[str, Any]], cuts: set[int], order: random.Random
) -> None:
    frame = chunk(*rows)
    whole = run(batch_check(seen=EARLIER), frame)
    pieces = [p.reset_index(drop=True) for p in np.split(frame, sorted(c for c in cuts if c < len(frame)))]
    places = list(enumerate(pieces))
    order.shuffle(places)
    with TemporaryDirectory() as folder:
        for place, piece in places:
            judge().judge(piece).save(Path(folder) / str(place))
        settled = settlement(seen=EARLIER)
        parts = [settled.settle(Judged.load(Path(folder) / str(place), EVENTS)) for place in range(len(pieces))]
    for at in (0, 1):
        one = pd.concat([part[at] for part in parts], ignore_index=True)
        pd.testing.assert_frame_equal(one, whole[at], check_dtype=False)
    verdict = settled.finish()
    pd.testing.assert_frame_equal(verdict.ledger, whole[2].ledger)
    assert (verdict.summary, verdict.suite, verdict.rows) == (whole[2].summary, whole[2].suite, whole[2].rows)


def test_what_was_judged_is_read_back_as_it_was(tmp_path: Path) -> None:
    frame = chunk({}, {"rating": 9.0}, {"text": "吉他很好，声音很大。", "rating": None}, table=EVENTS)
    frame.attrs["source"] = "a.csv"
    judged = judge().judge(frame)
    judged.save(tmp_path / "j")
    again = Judged.load(tmp_path / "j", EVENTS)
    for name in ("candidates", "marks", "quarantine"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(judged, name), check_dtype=False)
    assert again.tally == judged.tally
    assert judged.tally.source == "a.csv"
    assert json.loads((tmp_path / "j" / "tally.json").read_text())["failed"] == {"rating_scale": 1}


def test_lists_come_back_and_an_empty_chunk_too(tmp_path: Path) -> None:
    for name, rows in (("full", [{}, {}]), ("empty", [])):
        judge(ITEMS).judge(chunk(*rows, table=ITEMS)).save(tmp_path / name)
        again = Judged.load(tmp_path / name, ITEMS)
        assert [list(c) for c in again.candidates["categories"]] == [["music", "guitars"]] * len(rows)
        assert again.tally.rows == len(rows)


def test_chunks_out_of_order_are_refused() -> None:
    first, second = judge().judge(chunk({}, {})), judge().judge(chunk({}, first=3))
    settled = settlement()
    settled.settle(second)
    with pytest.raises(BatchRefused, match="does not increase"):
        settled.settle(first)


def test_a_chunk_that_was_kept_by_halves_is_told(tmp_path: Path) -> None:
    judge().judge(chunk({})).save(tmp_path)
    (tmp_path / "marks.arrow").write_bytes(b"ARROW1")
    with pytest.raises(ArtifactError, match="judge it again"):
        Judged.load(tmp_path, EVENTS)
    with pytest.raises(ArtifactError, match="judge it again"):
        Judged.load(tmp_path / "nowhere", EVENTS)
