"""Events in real time: push them, hand them to the next batch, bring them onto the next release.

A pushed event is kept in a log before anything else, then shows in the live release within a tenth of a second (see
`tasks.jobs.live.session`). The log is the bridge between releases: `pending` gives its events to the next `ingest` as
a batch of their own, and `replay` steps users onto a release that was computed without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.jobs.workspace import Bag, progress
from tasks.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tasks.jobs.live.session import Live

USERS = 64
"""Users replayed at a time; a push of one of them waits so long, some half a second."""


@dataclass(frozen=True)
class Pending:
    """Pushed events that no batch has brought yet."""

    through: int
    """Sequence number of the last one; where the next batch goes on from."""
    lines: Iterator[str]
    """JSON lines in the columns of `schema.EVENTS`, in order of arrival."""


def push(events: Iterable[str | Mapping[str, Any]], *, now: datetime | None = None, live: Live | None = None) -> Bag:
    """Push events one by one: JSON text, or values by column of `schema.EVENTS`; gives what became of each, and counts.

    `live` is an open session; without one a session is opened, which takes some seconds. Safe to repeat. Raises
    `ReleaseError` without a live release, `StoreUnavailable` where a store does not answer; events before that one
    were pushed.
    """
    from tasks.jobs.live.session import Live

    session = live or Live()
    results = [session.push(event, now=now) for event in events]
    counts = {kind: sum(r.outcome == kind for r in results) for kind in ("accepted", "repeated", "refused")}
    return {"counts": counts, "results": [result.to_json() for result in results]}


def pending(after: int = 0) -> Pending:
    """Pushed events with a sequence number above `after`, for the next batch."""
    from tasks.jobs.live import log

    engine = _engine()
    through = log.newest(engine)
    return Pending(through, log.between(engine, after, through))


def replay(release: str, after: int = 0) -> Bag:
    """Write what was pushed, with a sequence number above `after`, onto a release that was computed without it.

    To be called between verifying a release and switching to it, and once more after the switch with the first call's
    `through`, for what was pushed meanwhile. Safe to repeat; gives how many users were written and `through`. Costs
    next to nothing where nothing was pushed. Raises `ReleaseError` where there is no such release.
    """
    from tasks.jobs.live import log
    from tasks.jobs.live.session import Live
    from tasks.releases import ledger

    engine = _engine()
    through = log.newest(engine)
    users, written = log.users_between(engine, after, through), 0
    if users:
        session = Live()
        with engine.connect() as connection:
            target = session.open(ledger.find(connection, release).manifest)
        with progress("replay", len(users)) as update:
            for start in range(0, len(users), USERS):
                block = users[start : start + USERS]
                with log.alone(engine, block) as connection:
                    written += session.write_users(connection, target, block)
                update(len(block))
    return {"release": release, "users": written, "through": through}


def forget(users: Sequence[str]) -> int:
    """Erase the pushed events of `users` from the log; gives how many there were."""
    from tasks.jobs.live import log

    with _engine().begin() as connection:
        return log.remove(connection, users=users)


def _engine() -> sa.Engine:
    """Connections to the log, whose table is made where it is missing."""
    from tasks.jobs.live import log
    from tasks.jobs.publication import open_features
    from tasks.releases.stores import engine_of

    engine = engine_of(open_features(Settings()))
    log.create(engine)
    return engine
