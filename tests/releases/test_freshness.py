"""A block past its limit says so; what is absent has no age; clocks that differ do no harm."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import schema
from tasks.errors import SettingsError
from tasks.releases.freshness import RECOMMENDED_FROM, Freshness, age_limits, stale_inputs

NOW = datetime(2026, 3, 8, tzinfo=UTC)
LIMITS = age_limits(interests=168, recommendations=48)
FRESH = Freshness(NOW, LIMITS)


@pytest.mark.parametrize(
    ("hours", "table", "status"),
    [
        (0, "user_topics", "PRESENT"),
        (168, "user_topics", "PRESENT"),
        (168.001, "user_topics", "STALE"),
        (48, "user_recommendations", "PRESENT"),
        (49, "user_recommendations", "STALE"),
        (-1, "user_recommendations", "PRESENT"),
        (100, "item_content", "PRESENT"),
    ],
)
def test_a_block_is_stale_past_its_limit(hours: float, table: str, status: str) -> None:
    as_of = NOW - timedelta(hours=hours)
    assert FRESH.status(table, as_of) == status
    assert FRESH.age(as_of) == pytest.approx(max(0, hours * 3600))


def test_what_is_absent_has_no_age() -> None:
    assert FRESH.status("user_topics", None) == "ABSENT"
    assert FRESH.age(None) is None


def test_each_served_block_has_a_limit_and_a_single_one_wins() -> None:
    limits = age_limits(interests=10, recommendations=5, single={"user_evolution": 1})
    assert set(limits) == {table.name for table in schema.SERVED}
    assert limits["user_evolution"] == timedelta(hours=1)
    assert limits["user_recommendations"] == timedelta(hours=5)
    assert limits["item_content"] == timedelta(hours=10)


def test_a_limit_of_a_block_that_is_none_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"no block is called \['user_topic'\]; there are .*'user_topics'"):
        age_limits(interests=1, recommendations=1, single={"user_topic": 1})


@given(st.dictionaries(st.sampled_from(sorted(LIMITS)), st.sampled_from(["PRESENT", "STALE", "ABSENT"])))
def test_stale_inputs_are_the_stale_blocks_that_recommendations_are_made_from(statuses: dict) -> None:
    assert stale_inputs(statuses) == [n for n in RECOMMENDED_FROM if statuses.get(n) == "STALE"]
    assert {table.name for table in schema.SERVED} >= set(RECOMMENDED_FROM)
