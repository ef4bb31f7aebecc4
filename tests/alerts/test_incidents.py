"""An alert for every edge and for nothing else, whatever order things happen in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tasks.alerts import CONDITIONS, Alert, Facts, Outbox, State, Target, step

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
CONDITION = st.sampled_from(CONDITIONS)
TARGET = Target("https://hooks.example.org/secret")


def walk(*conditions: str) -> list[Alert]:
    state, alerts = State(), []
    for number, condition in enumerate(conditions):
        at = BEGINNING + timedelta(hours=number)
        state, alert = step(state, condition, at=at, pipeline="p", source="s", facts=Facts(), incident=f"i{number}")  # type: ignore[arg-type]
        alerts += [alert] if alert else []
    return alerts


def test_a_failure_alerts_once_and_its_end_once() -> None:
    failed, recovered = walk("ok", "failed", "failed", "failed", "ok", "ok")
    assert (failed.kind, failed.incident, failed.times, failed.since) == ("failed", "i1", 1, failed.at)
    assert (recovered.kind, recovered.incident, recovered.was) == ("recovered", "i1", "failed")
    assert (recovered.times, recovered.since) == (3, failed.at)


def test_a_pipeline_that_goes_wrong_in_another_way_is_the_same_incident() -> None:
    alerts = walk("failed", "budget", "budget", "ok", "failed")
    assert [a.kind for a in alerts] == ["failed", "budget", "recovered", "failed"]
    assert [a.incident for a in alerts] == ["i0", "i0", "i0", "i4"]
    assert [a.was for a in alerts] == ["ok", "ok", "budget", "ok"]


def test_news_that_come_late_change_nothing() -> None:
    state, _ = step(State(), "ok", at=BEGINNING, pipeline="p", source="", facts=Facts(), incident="i")
    late = BEGINNING - timedelta(seconds=1)
    assert step(state, "failed", at=late, pipeline="p", source="", facts=Facts(), incident="i") == (state, None)


@given(st.lists(CONDITION))
def test_alerts_are_the_edges(conditions: list[str]) -> None:
    edges = [b for a, b in pairwise(["ok", *conditions]) if a != b]
    assert [a.kind for a in walk(*conditions)] == ["recovered" if e == "ok" else e for e in edges]


class Watched(RuleBasedStateMachine):
    """Several pipelines of several sources, seen in any order, delivered to a target that fails at will."""

    def __init__(self) -> None:
        super().__init__()
        self.box, self.clock = Outbox(salt="0" * 32), BEGINNING
        self.now: dict[tuple[str, str], str] = {}
        self.wanted: list[tuple[str, str, str]] = []
        self.got: list[tuple[str, str, str]] = []

    @rule(pipeline=st.sampled_from("pq"), source=st.sampled_from(["", "s"]), condition=CONDITION)
    def see(self, pipeline: str, source: str, condition: str) -> None:
        self.clock += timedelta(minutes=1)
        if self.now.get((pipeline, source), "ok") != condition:
            self.wanted.append((pipeline, source, "recovered" if condition == "ok" else condition))
        self.now[pipeline, source] = condition
        self.box = self.box.observe(pipeline, source, condition, at=self.clock, facts=Facts(), targets=[TARGET])  # type: ignore[arg-type]

    @rule(works=st.booleans())
    def carry(self, works: bool) -> None:
        if entry := self.box.due(TARGET):
            self.box = self.box.record(entry.key, TARGET, "" if works else "refused", at=self.clock)
            self.got += [(entry.alert.pipeline, entry.alert.source, entry.alert.kind)] if works else []

    @rule()
    def die_and_come_back(self) -> None:
        self.box = Outbox.model_validate_json(self.box.model_dump_json())

    @invariant()
    def what_was_delivered_are_the_first_edges_in_order(self) -> None:
        assert self.got == self.wanted[: len(self.got)]

    def teardown(self) -> None:
        for _ in self.wanted[len(self.got) :]:
            self.carry(True)
        given_up = [e for e in self.box.entries if not e.to[self.box.mark(TARGET)].delivered_at]
        assert len(self.got) + len(given_up) == len(self.wanted)


TestWatched = Watched.TestCase
