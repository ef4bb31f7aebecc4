"""Events in real time: push them, hand them to the next batch, bring them onto the next release.

A pushed event is kept in a log before anything else, then shows in the live release within a tenth of a second (see
`tasks.jobs.live.session`). The log is the bridge between releases: `ingest_pushed` takes its events into the history as
a batch of their own, and `replay` steps users onto a release that was computed without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import schema
from tasks.jobs import intake
from tasks.jobs.history import last_batch, read_history
from tasks.jobs.workspace import Bag, open_store, parse_as_of, progress
from tasks.settings import Settings
from tasks.store import Ref

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tasks.jobs.live.session import Live

SOURCE = WATERMARK = "pushed events"
"""How a batch of them is called, and the watermark of the history that says up to which they were taken in."""
USERS = 64
"""Users replayed at a time; a push of one of them waits so long, some half a second."""


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


def ingest_pushed(*, as_of: str, override: Mapping[str, str] | None = None) -> Bag:
    """Take what was pushed since the last time into the history, as a batch of its own; gives the bag of `ingest`.

    The events go through the same check again. Those that happened later than `as_of` and the settings' tolerance
    wait for a later batch, and so do those that arrived after them. Where nothing is new, `repeated` is true, and where
    nothing was ever taken in `batch_id` is None. Raises what `ingest` raises.
    """
    return intake.finish(read_pushed(as_of=as_of), override=override)


def read_pushed(*, as_of: str) -> Bag:
    """Read what was pushed since the last time into a spool, as `intake.read_batch` does."""
    from tasks.jobs.publication import ever_published

    settings, when = Settings(), parse_as_of(as_of)
    store = open_store(settings)
    known = read_history(store)
    nothing = {**(last_batch(store) if known["last"] else {"counts": {}}), "batch_id": known["last"], "repeated": True}
    if not ever_published(settings):  # without a release nothing can have been pushed
        return {**nothing, "chunks": []}
    from tasks.jobs.live import log
    from tasks.sources import load_mapping, read_rows

    after, engine = int(known["watermarks"].get(WATERMARK, 0)), _engine()
    through = log.newest_until(engine, after, when + timedelta(hours=settings.future_tolerance_hours))
    if through <= after:
        return {**nothing, "chunks": []}
    with intake.Reading(settings, when, SOURCE) as reading:
        rows = log.between(engine, after, through)
        columns, chunk_rows = load_mapping(None), settings.chunk_rows
        reading.take(schema.EVENTS, read_rows(rows, columns, schema.EVENTS, source=SOURCE, chunk_rows=chunk_rows))
        reading.facts["watermarks"] = {WATERMARK: through}
        return reading.plan(f"e{after}-{through}")


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


def prune() -> Bag:
    """Erase from the log what every release that readers can be switched to was computed with; gives `removed`.

    To be called after old releases are retired; it keeps the log, and so a push, from growing with the shop's age.
    """
    from tasks.jobs.live import log
    from tasks.jobs.live.base import LIVE_BASE, Base
    from tasks.releases import ledger

    engine, store, removed = _engine(), open_store(Settings()), 0
    with engine.connect() as connection:
        kept = [r.manifest.refs for r in ledger.all_releases(connection) if r.ever_live and r.retired_at is None]
    addresses = {refs[LIVE_BASE] for refs in kept if LIVE_BASE in refs}
    bases = [Base(store.folder(Ref(LIVE_BASE, address.split("@")[1]))) for address in sorted(addresses)]
    for numbers, events in log.blocks(engine) if bases else ():
        known = np.logical_and.reduce([base.known.find(events, schema.EVENTS)[0] for base in bases])
        with engine.begin() as connection:
            removed += log.remove(connection, events=[n for n, old in zip(numbers, known, strict=True) if old])
    return {"removed": removed}


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
