"""Long- and short-term interest, drift, and evolution."""

import numpy as np
import pytest

from tasks import schema
from tasks.columns import to_arrow
from tasks.errors import LeakError, ModelError, SpaceMismatch
from tasks.interests import user_evolution, user_vectors

from .frames import AS_OF, contents, events, text_vectors

VECTORS = text_vectors({"east": [1, 0], "north": [0, 1], "west": [-1, 0]})
ITEMS = contents({"a": ([1], [0, 1])})
HALF_LIVES = {"long_half_life_days": 60, "short_half_life_days": 7}


def test_vectors_are_decayed_means_of_unit_length_and_drift_is_the_angle_between() -> None:
    said = events(
        {"user": "u", "kind": "chat", "text": "east"},
        {"user": "u", "kind": "chat", "text": "north", "days_ago": 7},
    )
    frame = user_vectors(said, VECTORS, ITEMS, as_of=AS_OF, **HALF_LIVES)
    to_arrow(frame, schema.USER_VECTORS)
    short = np.array([1, 0.5]) / np.hypot(1, 0.5)
    long = np.array([1, 2 ** (-7 / 60)]) / np.hypot(1, 2 ** (-7 / 60))
    np.testing.assert_allclose(frame["short_term"][0], short, rtol=1e-6)
    np.testing.assert_allclose(frame["long_term"][0], long, rtol=1e-6)
    assert frame["drift"][0] == pytest.approx(1 - short @ long, abs=1e-6)


def test_items_count_by_what_was_done_to_them() -> None:
    said = events(
        {"user": "u", "kind": "chat", "text": "east"},
        {"user": "u", "kind": "view", "item": "a"},
        {"user": "v", "kind": "purchase", "item": "a"},
    )
    frame = user_vectors(said, VECTORS, ITEMS, as_of=AS_OF, **HALF_LIVES)
    np.testing.assert_allclose(frame["short_term"][0], np.array([1, 0.1]) / np.hypot(1, 0.1), rtol=1e-6)
    np.testing.assert_allclose(frame["short_term"][1], [0, 1], rtol=1e-6)


def test_a_user_without_evidence_is_absent() -> None:
    said = events(
        {"user": "nobody", "kind": "view", "item": "gone"},
        {"user": "hater", "kind": "rating", "item": "a", "rating": 1},
        {"user": "torn", "kind": "chat", "text": "east"},
        {"user": "torn", "kind": "chat", "text": "west"},
        {"user": "u", "kind": "chat", "text": "east"},
    )
    assert user_vectors(said, VECTORS, ITEMS, as_of=AS_OF, **HALF_LIVES)["user_id"].tolist() == ["u"]


def test_very_old_events_still_count() -> None:
    said = events(
        {"user": "u", "kind": "chat", "text": "east", "days_ago": 12_000},
        {"user": "u", "kind": "chat", "text": "north", "days_ago": 12_007},
    )
    frame = user_vectors(said, VECTORS, ITEMS, as_of=AS_OF, **HALF_LIVES)
    np.testing.assert_allclose(frame["short_term"][0], np.array([1, 0.5]) / np.hypot(1, 0.5), rtol=1e-6)


def test_two_spaces_and_leaks_are_refused() -> None:
    said = events({"user": "u", "kind": "chat", "text": "east"})
    with pytest.raises(SpaceMismatch):
        user_vectors(said, VECTORS, contents({"a": ([1], [0, 1])}, "other"), as_of=AS_OF, **HALF_LIVES)
    late = events({"user": "u", "kind": "chat", "text": "east", "days_ago": -1})
    with pytest.raises(LeakError):
        user_vectors(late, VECTORS, ITEMS, as_of=AS_OF, **HALF_LIVES)
    with pytest.raises(ModelError, match="1 texts"):
        user_vectors(said, VECTORS.iloc[1:], ITEMS, as_of=AS_OF, **HALF_LIVES)


def test_no_events_give_an_empty_block() -> None:
    assert (
        to_arrow(user_vectors(events(), VECTORS, ITEMS, as_of=AS_OF, **HALF_LIVES), schema.USER_VECTORS).num_rows == 0
    )


def test_evolution_joins_state_and_short_term_vector_by_user() -> None:
    said = events({"user": "u", "kind": "chat", "text": "east"}, {"user": "v", "kind": "chat", "text": "north"})
    vectors = user_vectors(said, VECTORS, ITEMS, as_of=AS_OF, **HALF_LIVES)
    states = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=np.float32)
    frame = user_evolution(states, ["v", "stranger", "u"], vectors, model="m1", as_of=AS_OF)
    to_arrow(frame, schema.USER_EVOLUTION)
    assert frame["user_id"].tolist() == ["v", "u"]
    np.testing.assert_allclose(np.stack(frame["evolution"]), [[1, 2, 3, 0, 1], [7, 8, 9, 1, 0]])
    assert frame["state_size"].tolist() == [3, 3]
    empty = user_evolution(states[:0], [], vectors, model="m1", as_of=AS_OF)
    assert to_arrow(empty, schema.USER_EVOLUTION).num_rows == 0
    with pytest.raises(ModelError, match="3 states for 1 users"):
        user_evolution(states, ["u"], vectors, model="m1", as_of=AS_OF)
