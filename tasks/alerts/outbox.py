"""What was decided, what was delivered to whom, and what is still to be: one small document.

An alert is written here, with the targets it is for, in the same step that changes the state that called for it; it is
delivered afterwards, and each delivery is written down. A process that dies in between leaves an alert that is still to
be delivered, never one that is forgotten.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.alerts.alert import Alert, Condition, Facts
from tasks.alerts.incidents import State, step
from tasks.alerts.targets import Target
from tasks.alerts.wording import title

ATTEMPTS = 25
"""Tries for one alert and target before it is given up: a day of hourly ones."""
KEPT = 100
"""Alerts that are remembered once nothing of them is left to do."""


class Delivery(BaseModel):
    """How far one alert has come on its way to one target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = 0
    delivered_at: datetime | None = None
    error: str = ""

    @property
    def open(self) -> bool:
        """Whether it is still to be delivered."""
        return self.delivered_at is None and self.attempts < ATTEMPTS


class Entry(BaseModel):
    """One alert and its targets, by their marks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    alert: Alert
    to: dict[str, Delivery]


class Known(BaseModel):
    """What is remembered of a target: never its address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    last_success: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None


class Outbox(BaseModel):
    """The document; every change gives a new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str
    said: int = 0
    states: dict[str, State] = Field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    targets: dict[str, Known] = Field(default_factory=dict)

    def mark(self, target: Target) -> str:
        """A name for a target that does not give its address away, not even to one who guesses."""
        return hmac.new(self.salt.encode(), target.address.encode(), hashlib.sha256).hexdigest()[:12]

    def observe(
        self, pipeline: str, source: str, condition: Condition, *, at: datetime, facts: Facts, targets: Iterable[Target]
    ) -> Outbox:
        """The document after a pipeline was seen in a condition: with a new alert to deliver where that is an edge."""
        subject, incident = f"{pipeline}|{source}", f"{self.salt[:6]}-{self.said + 1}"
        state, alert = step(
            self.states.get(subject, State()), condition,
            at=at, pipeline=pipeline, source=source, facts=facts, incident=incident,
        )  # fmt: skip
        after = self.model_copy(update={"states": {**self.states, subject: state}})
        return after.say(alert, targets) if alert else after

    def say(self, alert: Alert, targets: Iterable[Target]) -> Outbox:
        """The document with one more alert for `targets`; what was done with long ago is dropped."""
        labels = {self.mark(target): target.label for target in targets}
        key = hashlib.sha256(f"{self.salt} {self.said + 1}".encode()).hexdigest()[:32]
        entry = Entry(key=key, alert=alert, to={mark: Delivery() for mark in labels})
        done = [e for e in self.entries if not any(d.open for d in e.to.values())]
        dropped = {e.key for e in done[: max(0, len(done) - KEPT + 1)]}
        entries = (*(e for e in self.entries if e.key not in dropped), entry)
        known = {mark: self.targets.get(mark, Known(label=label)) for mark, label in labels.items()}
        return self.model_copy(
            update={"said": self.said + 1, "entries": entries, "targets": {**self.targets, **known}}
        )  # fmt: skip

    def due(self, target: Target) -> Entry | None:
        """The oldest alert that is still to be delivered to `target`: they arrive in the order they were decided in."""
        mark = self.mark(target)
        return next((e for e in self.entries if mark in e.to and e.to[mark].open), None)

    def record(self, key: str, target: Target, error: str, *, at: datetime) -> Outbox:
        """The document after one try to deliver; `error` is empty where it succeeded."""
        mark = self.mark(target)

        def tried(entry: Entry) -> Entry:
            if entry.key != key:
                return entry
            way = Delivery(attempts=entry.to[mark].attempts + 1, delivered_at=None if error else at, error=error)
            return entry.model_copy(update={"to": {**entry.to, mark: way}})

        known = self.targets.get(mark, Known(label=target.label))
        known = known.model_copy(update={"last_error": error, "last_error_at": at} if error else {"last_success": at})
        entries = tuple(tried(entry) for entry in self.entries)
        return self.model_copy(update={"entries": entries, "targets": {**self.targets, mark: known}})

    def summary(self, targets: Iterable[Target]) -> dict[str, Any]:
        """Targets with their last success and error, incidents that are open, and the latest alerts; JSON values."""
        configured = {self.mark(target): target.label for target in targets}
        known = {**{mark: Known(label=label) for mark, label in configured.items()}, **self.targets}
        rows = []
        for mark, target in known.items():
            ways = [entry.to[mark] for entry in self.entries if mark in entry.to]
            pending, lost = sum(w.open for w in ways), sum(not w.open and w.delivered_at is None for w in ways)
            row = {"target": target.label, "mark": mark, "configured": mark in configured}
            counts = {"pending": pending, "given_up": lost}
            rows.append(row | target.model_dump(mode="json", exclude={"label"}) | counts)
        return {
            "targets": [row for row in rows if row["configured"] or row["pending"]],
            "open": list(self._open()),
            "alerts": [_row(entry) for entry in reversed(self.entries)],
        }

    def _open(self) -> Iterator[dict[str, Any]]:
        for subject, state in self.states.items():
            if state.condition != "ok":
                pipeline, _, source = subject.partition("|")
                yield {"pipeline": pipeline, "source": source, **state.model_dump(mode="json")}


def _row(entry: Entry) -> dict[str, Any]:
    ways = list(entry.to.values())
    return {
        "at": entry.alert.at.isoformat(),
        "kind": entry.alert.kind,
        "title": title(entry.alert),
        "incident": entry.alert.incident,
        "targets": len(ways),
        "delivered": sum(way.delivered_at is not None for way in ways),
        "pending": sum(way.open for way in ways),
        "given_up": sum(not way.open and way.delivered_at is None for way in ways),
    }
