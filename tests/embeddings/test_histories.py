import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import columns, schema
from tasks.embeddings.histories import NONE, Histories, build_histories, of_sequences
from tasks.errors import ModelError


def events(*rows: tuple[str, str | None, str, float | None, str | None, str]) -> pd.DataFrame:
    """A frame of events from (user, item, kind, rating, text_hash, time), in that order."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "kind", "rating", "text_hash", "event_time"])
    frame["event_time"] = pd.to_datetime(frame["event_time"], utc=True, format="ISO8601")
    frame["rating"] = frame["rating"].astype("float32")
    return pd.concat([columns.empty(schema.EVENTS), frame]).reindex(columns=list(schema.EVENTS.names))


FRAME = events(
    ("ann", "lamp", "view", None, None, "2024-01-02T00:00:10"),
    ("bob", "rug", "review", 4.0, "t2", "2024-01-01"),
    ("ann", "rug", "purchase", None, None, "2024-01-02T00:00:00"),
    ("ann", None, "search", None, "t1", "2024-01-02T00:00:10"),
    ("eve", "rug", "view", None, None, "2024-01-01"),
    ("ann", "gone", "view", None, None, "2024-01-03"),
    ("ann", "gone", "review", 2.0, "t2", "2024-01-04"),
    ("ann", None, "search", None, "unknown", "2024-01-05"),
)
VECTORS = np.eye(2, dtype=np.float32)


def test_histories_are_in_time_order_with_ties_as_they_came() -> None:
    made = build_histories(
        FRAME, ["rug", "lamp"], ["bob", "nobody", "ann"], text_hashes=["t1", "t2"], text_vectors=VECTORS
    )
    assert made.offsets.tolist() == [0, 1, 1, 5]
    assert made.items.tolist() == [0, 0, 1, NONE, NONE]
    assert made.texts.tolist() == [1, NONE, NONE, 0, 1]
    assert [schema.KINDS[k] for k in made.kinds] == ["review", "purchase", "view", "search", "review"]
    np.testing.assert_array_equal(made.ratings, np.float32([4, np.nan, np.nan, np.nan, 2]))
    assert (made.seconds[2] - made.seconds[1], made.seconds[3] - made.seconds[2]) == (10, 0)
    assert pd.Timestamp(made.seconds[0], unit="s", tz="UTC") == pd.Timestamp("2024-01-01", tz="UTC")
    assert made.gaps().tolist() == [0, 0, 10, 0, 2 * 86400 - 10]


def test_without_texts_only_events_about_known_items_count() -> None:
    made = build_histories(FRAME, ["rug", "lamp"], ["ann"])
    assert made.items.tolist() == [0, 1]


def test_an_empty_frame_gives_empty_histories() -> None:
    made = build_histories(columns.empty(schema.EVENTS), ["rug"], ["ann", "bob"])
    assert (len(made), made.offsets.tolist(), made.gaps().tolist()) == (2, [0, 0, 0], [])
    assert len(build_histories(columns.empty(schema.EVENTS), [], [])) == 0


def test_the_order_of_rows_matters_only_among_equal_times() -> None:
    ids = {"item_ids": ["rug", "lamp"], "user_ids": ["ann", "bob"]}
    shuffled = FRAME.iloc[[2, 1, 0, 3, 4, 5, 6, 7]]
    np.testing.assert_array_equal(build_histories(FRAME, **ids).items, build_histories(shuffled, **ids).items)


def test_an_event_older_than_the_last_one_has_no_gap() -> None:
    made = build_histories(FRAME, ["rug", "lamp"], ["bob", "ann"])
    last = made.seconds[0]
    assert made.gaps(np.array([last + 100, 0])).tolist() == [0, 0, 10]
    assert made.gaps(np.array([last - 100, last])).tolist() == [100, 86400, 10]


@pytest.mark.parametrize(
    ("items", "users", "hashes", "message"),
    [
        (["rug", "rug"], ["ann"], [], "1 item ids are given twice"),
        (["rug"], ["ann", "ann"], [], "1 user ids are given twice"),
        (["rug"], ["ann"], ["t1"], "1 text hashes, but 0 text vectors"),
    ],
)
def test_ids_that_do_not_fit_are_refused(items, users, hashes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_histories(FRAME, items, users, text_hashes=hashes)


def test_arrays_that_do_not_fit_are_refused() -> None:
    good = of_sequences([[0, 1], [2]])
    fields = good.__dict__
    for change in (
        {"items": good.items[:1]},
        {"offsets": np.array([0, 3, 2, 3])},
        {"texts": np.int32([0, NONE, NONE])},
    ):
        with pytest.raises(ModelError, match="histories:"):
            Histories(**{**fields, **change})


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=6), st.data())
def test_cut_histories_put_together_are_whole(sequences: list[list[int]], data: st.DataObject) -> None:
    whole = of_sequences(sequences)
    cuts = np.array([data.draw(st.integers(0, len(s))) for s in sequences], np.int64)
    before, after = whole.between(np.zeros_like(cuts), cuts), whole.between(cuts, whole.lengths)
    for user, items in enumerate(sequences):
        parts = [h.items[h.offsets[user] : h.offsets[user + 1]].tolist() for h in (before, after)]
        assert parts == [items[: cuts[user]], items[cuts[user] :]]
    backwards = np.arange(len(whole))[::-1]
    assert whole.of(backwards).items.tolist() == [i for s in reversed(sequences) for i in s]
