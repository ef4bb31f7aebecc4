from __future__ import annotations

import numpy as np
import pytest

from tasks.errors import LeakError, ModelError
from tasks.scoring import IdMap, Interactions

from .worlds import AS_OF, event, events, maps


def test_an_unknown_item_is_named_and_an_unknown_user_only_counted():
    with pytest.raises(ModelError, match="ghost"):
        IdMap(["a", "b"]).index(["a", "ghost"])
    with pytest.raises(ModelError, match=r"^1 ids not") as caught:
        IdMap(["a"], personal=True).index(["somebody"])
    assert "somebody" not in str(caught.value)
    assert IdMap(["a", "b"]).find(["b", "x"]).tolist() == [1, -1]


def test_repeated_ids_are_refused():
    with pytest.raises(ModelError, match="repeated"):
        IdMap(["a", "a"])


def test_a_history_is_in_time_order_and_ties_keep_the_order_of_the_frame():
    frame = events(event("u", "c", days_ago=1), event("u", "b", days_ago=3), event("u", "a", days_ago=3))
    users, items = maps(frame)
    made = Interactions.from_events(frame, users, items, AS_OF)
    assert items.ids[made.items].tolist() == ["b", "a", "c"]
    assert made.ages.tolist() == [2, 1, 0]
    assert items.ids[made.latest()].tolist() == ["c"]


def test_events_without_an_item_are_left_out_but_their_users_stay():
    frame = events(event("u", None, "search"), event("v", "a"))
    users, items = maps(frame)
    made = Interactions.from_events(frame, users, items, AS_OF)
    assert made.lengths.tolist() == [0, 1]
    assert made.latest().tolist() == [-1, 0]


def test_an_event_after_as_of_is_a_leak():
    frame = events(event("u", "a", days_ago=-1))
    with pytest.raises(LeakError, match="1 events are after"):
        Interactions.from_events(frame, *maps(frame), AS_OF)


def test_a_bad_rating_makes_even_a_purchase_unwanted_and_the_last_rating_counts():
    frame = events(
        event("u", "a", "purchase", 9),
        event("u", "a", "review", 8, rating=1.0),
        event("u", "b", "rating", 8, rating=1.0),
        event("u", "b", "rating", 2, rating=5.0),
        event("u", "c", "view", 2),
    )
    users, items = maps(frame)
    made = Interactions.from_events(frame, users, items, AS_OF)
    assert made.liked().toarray()[0].tolist() == pytest.approx([0, 6, 0.5])
    assert made.matrix().toarray()[0, 0] == pytest.approx((4 + 3) * -0.6)
    assert made.seen().toarray().tolist() == [[1, 1, 1]]


def test_last_days_and_counts():
    frame = events(event("u", "a", days_ago=5), event("u", "a", "view", days_ago=2), event("v", "a", days_ago=7))
    made = Interactions.from_events(frame, *maps(frame), AS_OF)
    today = AS_OF.timestamp() / 86_400
    assert made.last_days().toarray()[:, 0] == pytest.approx([today - 2, today - 7])
    assert made.counts().tolist() == [2]


def test_a_block_of_users_is_the_same_rows():
    rng = np.random.default_rng(0)
    made = Interactions.from_sequences([rng.integers(0, 9, size) for size in (3, 0, 5, 1)], 9)
    block = made.of(np.array([2, 1, 0]))
    assert (block.matrix().toarray() == made.matrix().toarray()[[2, 1, 0]]).all()
    assert block.lengths.tolist() == [5, 0, 3]


def test_no_events_at_all_make_empty_histories():
    made = Interactions.from_events(events(), IdMap(["u"]), IdMap(["a"]), AS_OF)
    assert made.matrix().shape == (1, 1)
    assert made.lengths.tolist() == [0]


def test_distinct_keeps_one_event_a_pair_where_the_latest_was():
    made = Interactions.from_sequences([[0, 1, 0, 2], [], [2, 2]], 3)
    once = made.distinct()
    assert once.items.tolist() == [1, 0, 2, 2]
    assert once.lengths.tolist() == [3, 0, 1]
    assert once.weights.tolist() == [1, 2, 1, 2]
    assert once.distinct() is once
    assert made.liked(0.5, cap=1.0).toarray()[0].tolist() == [0.5, 0.25, 1]
