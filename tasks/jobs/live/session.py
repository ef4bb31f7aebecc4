"""Pushing events: one session a process, opened on the live release and reopened when that changes.

An event is checked, encoded, **kept in the log**, and then what its user's readers see is computed anew from the
release and all that was logged since: a pure function of the two, so a repeat, a retry after a crash and two pushes at
once end in the same rows. The release that is live is asked for after the rows are written too: where it has changed
meanwhile, they are written to the new one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from tasks import schema
from tasks.errors import ReleaseError, SourceError
from tasks.jobs.live import log
from tasks.jobs.live.release import Frames, LiveRelease, open_release, timed
from tasks.jobs.publication import open_features
from tasks.jobs.workspace import open_store
from tasks.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa
    from feast import FeatureStore

    from tasks.releases.manifest import Manifest

Outcome = Literal["accepted", "repeated", "refused"]
Faults = tuple[Mapping[str, str | None], ...]
SOURCE = "push"
AT_ONCE = 4
"""Pushes at work in one process, each with two connections; more would only wait for the processor."""
TURNS = 5
"""Releases that may go live one after another while one event is written; more is a fault."""
_USER, _ID = schema.USER_ID.name, schema.EVENTS["event_id"].name


@dataclass(frozen=True)
class Pushed:
    """What became of one event."""

    outcome: Outcome
    """`refused` changed nothing; `repeated` was accepted before."""
    event_id: str | None = None
    release: str | None = None
    """The live release that shows the event's effect."""
    faults: Faults = ()
    """Of a refused event: rule, column and what to mend, never the value."""
    recommendations: tuple[str, ...] = ()
    """Items for the user now, best first."""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    """Time that each part took."""

    def to_json(self) -> dict[str, Any]:
        """The answer as plain JSON values."""
        return asdict(self)


class Live:
    """What a process that pushes holds open; safe to use from several threads."""

    def __init__(self, settings: Settings | None = None) -> None:
        import torch

        from tasks.releases.stores import engine_of
        from tasks.sources import load_mapping

        # a text or two at a time gain nothing from a second thread, and lose much on a busy machine
        torch.set_num_threads(1)
        self.settings = settings or Settings()
        self.artifacts = open_store(self.settings)
        self.features: FeatureStore = open_features(self.settings)
        self.engine: sa.Engine = engine_of(self.features)
        log.create(self.engine)
        self._mapping = load_mapping(None)
        self._release: LiveRelease | None = None
        self._opening, self._turn = threading.Lock(), threading.BoundedSemaphore(AT_ONCE)

    def release(self, connection: sa.Connection) -> LiveRelease:
        """The live release, opened if it is not; asks the registry which it is. Raises `ReleaseError` without one."""
        from tasks.releases import ledger

        name = ledger.live_name(connection)
        held = self._release
        if held is not None and held.name == name:
            return held
        with self._opening:
            if self._release is None or self._release.name != name:
                self._release = self.open(_manifest(connection, name))
            return self._release

    def open(self, manifest: Manifest) -> LiveRelease:
        """Any release, with the encoder of the one that is open."""
        from tasks.releases.stores import refresh

        refresh(self.features)  # its views may be younger than the copy of the registry
        encoder = self._release.encoder if self._release else None
        return open_release(self.artifacts, self.settings, manifest, encoder)

    def push(self, event: str | Mapping[str, Any], *, now: datetime | None = None) -> Pushed:
        """Take in one event: JSON text, or its values by column of `schema.EVENTS` (`event_id` may be left out).

        `now` is the clock that future times are held against. Raises `ReleaseError` without a live release,
        `StoreUnavailable` where a store does not answer: then push again, which is safe.
        """
        from tasks.releases.stores import reaching

        parts: dict[str, float] = {}
        with self._turn, reaching("the registry"):
            with timed(parts, "open"), self.engine.connect() as connection:
                release = self.release(connection)
            with timed(parts, "validate"):
                row, seen, faults = self._checked(release, event, now or datetime.now(UTC))
            if faults:
                return Pushed("refused", faults=faults, milliseconds=parts)
            with timed(parts, "encode"):
                text = row[schema.EVENTS["text"].name]
                vector = release.encoder.encode([text])[0] if isinstance(text, str) else None
            with log.alone(self.engine, [row[_USER]]) as connection:
                with timed(parts, "log"):
                    space = release.encoder.fingerprint
                    outcome = "repeated" if seen else log.append(connection, row, space, vector)
                if outcome == "conflict":
                    return Pushed("refused", row[_ID], faults=(_CONFLICT,), milliseconds=parts)
                written, shown = self.refresh(connection, release, row[_USER], parts)
        return Pushed(outcome, row[_ID], written, (), shown, parts)

    def refresh(
        self, connection: sa.Connection, release: LiveRelease, user: str, parts: dict[str, float]
    ) -> tuple[str, tuple[str, ...]]:
        """Bring what readers see of `user` up to the log, within `log.alone`; gives the live release and its items.

        Begins with `release`. Nothing is written where a release was computed with all that was logged.
        """
        for _ in range(TURNS):
            with timed(parts, "log"):
                logged = release.pending(log.of_users(connection, [user], release.encoder.fingerprint))
            frames = release.rows([user], logged, parts) if len(logged.events) else {}
            with timed(parts, "write"):
                self.write(release, frames)
                live = self.release(connection)
            if live is release:
                shown = [items for frame in frames.values() if "item_ids" in frame for items in frame["item_ids"]]
                return release.name, tuple(shown[0]) if shown else ()
            release = live
        raise ReleaseError(f"{TURNS} releases went live while one event was written; push it again")

    def write_users(self, connection: sa.Connection, release: LiveRelease, users: Sequence[str]) -> int:
        """Write rows of those of `users` who have events that `release` was computed without; gives how many.

        Within `log.alone`; `release` need not be live.
        """
        logged = release.pending(log.of_users(connection, users, release.encoder.fingerprint))
        moved = sorted(logged.events[_USER].unique())
        if moved:
            self.write(release, release.rows(moved, logged))
        return len(moved)

    def write(self, release: LiveRelease, frames: Frames) -> None:
        """Write rows of some users online, over those of `release`, in all tables or in none."""
        from tasks.releases.writing import write_rows

        write_rows(self.features, release.manifest, frames)

    def _checked(
        self, release: LiveRelease, event: str | Mapping[str, Any], now: datetime
    ) -> tuple[dict[str, Any], bool, Faults]:
        """The event as a row of `schema.EVENTS`, whether the release was computed with it, and why it is refused."""
        from tasks.sources import read_rows

        raw = event if isinstance(event, str) else json.dumps(dict(event), default=str)
        try:
            chunk = next(read_rows([raw], self._mapping, schema.EVENTS, source=SOURCE, chunk_rows=1))
        except SourceError as error:  # a column is not there
            return {}, False, ({"rule": "malformed_row", "column": None, "reason": str(error)},)
        judged = release.check(chunk, as_of=now, batch_id=log.BATCH)
        if judged.faults:
            return {}, False, tuple(asdict(fault) for fault in judged.faults[0])
        row = {str(name): value for name, value in judged.accepted.iloc[0].items()}
        if row[_USER] == schema.EVERYONE:
            return {}, False, (_EVERYONE,)
        known, other = release.base.known.find(judged.accepted, schema.EVENTS)
        return row, bool(known[0]), (_CONFLICT,) if other[0] else ()


def _manifest(connection: sa.Connection, name: str | None) -> Manifest:
    from tasks.releases import ledger

    if name is None:
        raise ReleaseError("no release is live yet; publish one before events are pushed")
    manifest: Manifest = ledger.find(connection, name).manifest
    return manifest


_EVERYONE: Mapping[str, str | None] = {
    "rule": "reserved_user_id",
    "column": _USER,
    "reason": f"{schema.EVERYONE!r} stands for anyone unknown; name the user otherwise",
}
_CONFLICT: Mapping[str, str | None] = {
    "rule": "duplicate_id",
    "column": _ID,
    "reason": f"another event has this {_ID} and other content; give this one its own",
}
