"""Decay, links and weighted means, by hand."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tasks.errors import LeakError, ModelError, SpaceMismatch
from tasks.interests import evidence

from .frames import AS_OF, events


def test_a_half_life_of_seven_days_weighs_half_at_seven_days() -> None:
    said = events(*({"user": "u", "kind": "view", "days_ago": days} for days in (0, 7, 14)))
    weights = evidence.decay(np.zeros(3, dtype=np.int64), said["event_time"], 7)
    np.testing.assert_allclose(weights, [1, 0.5, 0.25])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_decay_reads_any_resolution_of_time(unit: str) -> None:
    said = events({"user": "u", "kind": "view"}, {"user": "u", "kind": "view", "days_ago": 7})
    times = said["event_time"].dt.as_unit(unit)
    np.testing.assert_allclose(evidence.decay(np.zeros(2, dtype=np.int64), times, 7), [1, 0.5])


def test_ages_count_from_the_users_own_latest_event() -> None:
    said = events(
        {"user": "u", "kind": "view", "days_ago": 10_000},
        {"user": "v", "kind": "view", "days_ago": 1},
        {"user": "u", "kind": "view", "days_ago": 10_007},
    )
    weights = evidence.decay(np.array([0, 1, 0]), said["event_time"], 7)
    np.testing.assert_allclose(weights, [1, 1, 0.5])


def test_an_event_after_as_of_is_a_leak() -> None:
    said = events({"user": "u", "kind": "view", "days_ago": -0.01}, {"user": "u", "kind": "view"})
    with pytest.raises(LeakError, match="1 of 2 events"):
        evidence.refuse_future(said, AS_OF)
    evidence.refuse_future(said, AS_OF + timedelta(days=1))


def test_what_is_disliked_is_no_interest() -> None:
    said = events(
        {"user": "u", "kind": "purchase", "item": "a"},
        {"user": "u", "kind": "rating", "item": "b", "rating": 1},
        {"user": "u", "kind": "rating", "item": "c", "rating": 3},
        {"user": "u", "kind": "view", "item": "gone"},
        {"user": "u", "kind": "search", "text": "t"},
    )
    links = evidence.item_links(np.zeros(5, dtype=np.int64), said, pd.Index(["a", "b", "c"]), np.ones(5), size=1)
    np.testing.assert_allclose(links.toarray(), [[1, 0, 0.4]])


def test_a_text_without_features_is_an_error_that_says_how_many() -> None:
    said = events({"user": "u", "kind": "chat", "text": "secret"}, {"user": "u", "kind": "chat", "text": "known"})
    with pytest.raises(ModelError, match="1 texts were not processed") as caught:
        evidence.text_links(np.zeros(2, dtype=np.int64), said, pd.Index(["known"]), np.ones(2), size=1)
    assert "secret" not in str(caught.value)


def test_encoders_never_mix() -> None:
    with pytest.raises(SpaceMismatch, match="a, b"):
        evidence.one_encoder(pd.Series(["a"]), pd.Series(["b", "a"]))
    assert evidence.one_encoder(pd.Series(["a"]), pd.Series([], dtype=object)) == "a"


def test_means_leave_out_rows_without_evidence() -> None:
    links = sparse.csr_matrix(np.array([[1.0, 3.0], [0, 0]]))
    kept, means = evidence.weighted_means((links, np.array([[0.0, 4.0], [4.0, 0.0]])))
    assert kept.tolist() == [0]
    np.testing.assert_allclose(means, [[3, 1]])


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40), st.integers(1, 9))
@settings(deadline=None)
def test_blocks_cover_every_user_once_and_every_event(users: list[str], rows_at_a_time: int) -> None:
    said = events(*({"user": user, "kind": "view"} for user in users))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "USER_ROWS", rows_at_a_time)
        blocks = list(evidence.in_blocks(said, AS_OF))
    assert [user for names, _, _ in blocks for user in names] == sorted(set(users))
    assert sorted(event for _, _, block in blocks for event in block["event_id"]) == sorted(said["event_id"])
    for names, rows, block in blocks:
        assert (names[rows] == block["user_id"].to_numpy()).all()
        assert len(names) <= rows_at_a_time
