"""When to speak: at the edges of an incident and never inside one.

A pipeline of a source is in one condition at a time. An alert is due when the condition changes; a retry, a second
callback about the same run, or the next failing batch change nothing but the count.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from tasks.alerts.alert import Alert, Condition, Facts


class State(BaseModel):
    """How one pipeline of one source stands, and the incident it is in (empty: in none)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: Condition = "ok"
    incident: str = ""
    since: datetime | None = None
    times: int = 0
    at: datetime | None = None


def step(
    state: State, condition: Condition, *, at: datetime, pipeline: str, source: str, facts: Facts, incident: str
) -> tuple[State, Alert | None]:
    """The next state, and the alert that is due, if any; `incident` names the one that begins here, if one does.

    What happened before the last thing seen is old news, told late by a slow callback, and is left out.
    """
    if state.at and at < state.at:
        return state, None
    if condition == state.condition:
        return state.model_copy(update={"at": at, "times": state.times + (condition != "ok")}), None
    if condition == "ok":
        alert = Alert(
            kind="recovered", pipeline=pipeline, source=source, at=at, facts=facts,
            incident=state.incident, was=state.condition, since=state.since, times=state.times,
        )  # fmt: skip
        return State(at=at), alert
    began = state.since or at
    after = State(
        condition=condition, incident=state.incident or incident, since=began, times=state.times + 1, at=at
    )  # fmt: skip
    alert = Alert(
        kind=condition, pipeline=pipeline, source=source, at=at, facts=facts,
        incident=after.incident, since=began, times=after.times,
    )  # fmt: skip
    return after, alert
