from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from tasks import schema
from tasks.errors import LeakError, NotEnoughData
from tasks.evaluation import halves, leave_one_out, refuse_leak, temporal

CUT = datetime(2024, 5, 1, tzinfo=UTC)


def frame(*rows: tuple[str, str | None, str, float, float | None]) -> pd.DataFrame:
    """Events from (user, item, kind, days after the cut, rating)."""
    made = pd.DataFrame({name: [None] * len(rows) for name in schema.EVENTS.names})
    made["user_id"], made["item_id"], made["kind"], _, _ = ([row[i] for row in rows] for i in range(5))
    made["event_time"] = pd.to_datetime([CUT + timedelta(days=row[3]) for row in rows], utc=True)
    made["rating"] = pd.array([row[4] for row in rows], dtype="Float32").to_numpy(np.float32, na_value=np.nan)
    return made


def test_only_new_and_wanted_items_after_the_cut_are_targets():
    events = frame(
        ("u", "old", "view", -3, None),
        ("u", "old", "purchase", 1, None),
        ("u", "new", "purchase", 0, None),
        ("u", "new", "review", 2, 5),
        ("u", "hated", "review", 2, 1),
        ("u", "looked at", "view", 2, None),
        ("v", None, "search", 1, None),
        ("v", "old", "purchase", 1, None),
    )
    before, wanted = temporal(events, CUT)
    assert before["item_id"].tolist() == ["old"]
    assert wanted.values.tolist() == [["u", "new"], ["v", "old"]]


def test_a_cut_with_nothing_on_one_side_is_refused():
    with pytest.raises(NotEnoughData, match="0 new pairs"):
        temporal(frame(("u", "a", "view", -1, None)), CUT)


def test_leave_one_out_by_order():
    train, validation, test = leave_one_out(np.array([0, 4, 6]), np.array([5, 6, 7, 8, 1, 2]))
    assert [t.tolist() for t in train] == [[5, 6], [1, 2]]
    assert validation.tolist() == [7, -1]
    assert test.tolist() == [8, -1]


def test_halves_are_even_and_stay():
    users = [f"u{i}" for i in range(4_000)]
    side = halves(users)
    assert 0.45 < side.mean() < 0.55
    assert (halves(users[::-1])[::-1] == side).all()
    assert (halves(users, salt="other") != side).any()


def test_a_planted_leak_is_caught():
    times = pd.Series(pd.to_datetime([CUT - timedelta(days=1), CUT], utc=True))
    refuse_leak(times[:1], CUT, "user_topics")
    with pytest.raises(LeakError, match="user_topics: 1 rows"):
        refuse_leak(times, CUT, "user_topics")
