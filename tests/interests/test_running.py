"""Interest that is carried on event by event is the interest that all events give at once, in whatever order."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import schema
from tasks.errors import ModelError
from tasks.interests.running import Running, Space, carried_on, vectors_of
from tasks.interests.vectors import user_vectors

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=500)
USERS, TEXTS, ITEMS = ["a", "b", "c"], ["t0", "t1", "t2", "t3"], ["i0", "i1", "i2"]
RNG = np.random.default_rng(5)
SAID, ABOUT = (RNG.normal(size=(n, 6)).astype(np.float32) for n in (len(TEXTS), len(ITEMS)))
SPACE = Space(pd.Index(TEXTS), SAID, pd.Index(ITEMS), ABOUT)
LONG, SHORT = 60.0, 7.0


@st.composite
def happened(draw: st.DrawFn) -> pd.DataFrame:
    event = st.tuples(
        st.sampled_from(USERS), st.sampled_from(schema.KINDS), st.sampled_from([*ITEMS, "delisted"]),
        st.sampled_from(TEXTS), st.sampled_from([np.nan, 1.0, 2.0, 5.0]), st.integers(0, 400 * 86_400),
    )  # fmt: skip
    rows = draw(st.lists(event, min_size=1, max_size=12))
    frame = pd.DataFrame(rows, columns=["user_id", "kind", "item_id", "text_hash", "rating", "second"])
    frame["event_time"] = pd.to_datetime(START) + pd.to_timedelta(frame.pop("second"), unit="s")
    frame["event_time"] = frame["event_time"].dt.as_unit("us")
    return frame


def at_once(events: pd.DataFrame) -> pd.DataFrame:
    texts = pd.DataFrame({"text_hash": TEXTS, "vector": list(SAID), "encoder": "e"})
    items = pd.DataFrame({"item_id": ITEMS, "vector": list(ABOUT), "encoder": "e"})
    return user_vectors(
        events, texts, items, as_of=END, long_half_life_days=LONG, short_half_life_days=SHORT
    ).set_index("user_id")


def one_by_one(events: pd.DataFrame) -> pd.DataFrame:
    running = {days: Running.start(len(USERS), 6) for days in (LONG, SHORT)}
    for at in range(len(events)):
        event = events.iloc[[at]]
        rows = pd.Index(USERS).get_indexer(event["user_id"])
        running = {days: carried_on(r, rows, event, SPACE, half_life_days=days) for days, r in running.items()}
    return vectors_of(USERS, running[LONG], running[SHORT], encoder="e", as_of=END).set_index("user_id")


@settings(max_examples=60, deadline=None)
@given(happened())
def test_one_by_one_equals_all_at_once_in_the_order_that_they_came(events: pd.DataFrame) -> None:
    whole, stepped = at_once(events), one_by_one(events)
    assert set(whole.index) == set(stepped.index)
    for name in ("long_term", "short_term"):
        for user in whole.index:
            np.testing.assert_allclose(stepped.loc[user, name], whole.loc[user, name], atol=2e-5)


def test_a_half_life_is_one() -> None:
    later = START + timedelta(days=LONG)
    events = pd.DataFrame(
        {
            "user_id": "a", "kind": "comment", "item_id": None, "text_hash": ["t0", "t1"], "rating": np.nan,
            "event_time": pd.to_datetime([START, later]).as_unit("us"),
        }
    )  # fmt: skip
    found = Running.start(1, 6)
    for at in range(2):
        found = carried_on(found, np.zeros(1, int), events.iloc[[at]], SPACE, half_life_days=LONG)
    assert found.weights[0] == pytest.approx(1.5)
    np.testing.assert_allclose(found.means[0], (0.5 * SAID[0] + SAID[1]) / 1.5, rtol=1e-6)


def test_a_text_without_a_vector_is_refused() -> None:
    event = pd.DataFrame(
        {
            "user_id": ["a"], "kind": "comment", "item_id": None, "text_hash": "unheard", "rating": np.nan,
            "event_time": pd.to_datetime([START]).as_unit("us"),
        }
    )  # fmt: skip
    with pytest.raises(ModelError, match="1 texts"):
        carried_on(Running.start(1, 6), np.zeros(1, int), event, SPACE, half_life_days=LONG)


def test_who_did_nothing_has_no_vector() -> None:
    nothing = Running.start(1, 6)
    assert vectors_of(["a"], nothing, nothing, encoder="e", as_of=END).empty
