"""A run works on the newest event that started it, and says what to do where there is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_assets import ACCEPTED_EVENTS, USER_INTERESTS, publish, received

from tasks.errors import ArtifactError

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def context(*numbers: int, conf: dict[str, Any] | None = None) -> dict[str, Any]:
    """The context of a run that was started by events made `numbers` seconds after the beginning."""
    events = [
        SimpleNamespace(timestamp=BEGINNING + timedelta(seconds=n), extra={"refs": {"n": n}, "as_of": str(n)})
        for n in numbers
    ]
    started_by = {ACCEPTED_EVENTS: events} if events else {}
    return {"triggering_asset_events": started_by, "dag_run": SimpleNamespace(conf=conf)}


@given(st.lists(st.integers(0, 10_000), min_size=1, unique=True))
def test_the_newest_of_piled_up_events_is_taken(numbers: list[int]) -> None:
    assert received(context(*numbers), ACCEPTED_EVENTS)["refs"] == {"n": max(numbers)}


def test_a_run_started_by_hand_takes_its_configuration() -> None:
    bag = {"refs": {"n": 1}, "as_of": "x"}
    assert received(context(conf=bag), ACCEPTED_EVENTS) == bag


@pytest.mark.parametrize("conf", [None, {}, {"as_of": "x"}])
def test_a_run_started_by_hand_without_references_says_what_to_do(conf: dict[str, Any] | None) -> None:
    with pytest.raises(ArtifactError, match="accepted_events"):
        received(context(conf=conf), ACCEPTED_EVENTS)


def test_only_references_and_the_moment_travel() -> None:
    (metadata,) = publish({"refs": {}, "as_of": "x", "counts": {"rows": 3}, "text": "private"}, USER_INTERESTS)
    assert metadata.asset == USER_INTERESTS
    assert metadata.extra == {"refs": {}, "as_of": "x"}
