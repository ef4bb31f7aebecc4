"""The read service as a process: stores by the settings, the clock, tokens, the address."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.errors import SettingsError
from tasks.jobs.freshness import freshness_at
from tasks.jobs.publication import open_features
from tasks.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ADDRESS = "127.0.0.1:6566"
"""Where it listens unless told otherwise: Feast's own feature server's port."""


def app() -> ASGIApp:
    """The application, for an ASGI server (`uvicorn --factory tasks.jobs.serving:app`).

    Events are taken at `POST /events` from whoever shows a write token; without any, on an open service only. Raises
    `SettingsError` where there are neither tokens nor leave to go without, `StoreUnavailable` where a store does not
    answer.
    """
    from tasks.releases import locating
    from tasks.releases.stores import engine_of
    from tasks.serving.access import read_tokens
    from tasks.serving.app import create_app
    from tasks.serving.reader import Reader
    from tasks.serving.registry import Registry
    from tasks.serving.rows import PostgresRows, RedisRows

    settings = Settings()
    tokens = read_tokens(settings.read_tokens.get_secret_value(), is_open=settings.read_open)
    limits = freshness_at(settings, _now())  # fails now rather than at the first request
    store = open_features(settings)
    engine_of(store).dispose()
    if settings.online_store == "redis":
        online: PostgresRows | RedisRows = RedisRows(locating.redis_options(store))
    else:
        online = PostgresRows(locating.online_conninfo(store))
    reader = Reader(Registry(locating.registry_conninfo(store)), online)
    reading = create_app(reader, lambda: type(limits)(_now(), limits.limits), tokens=tokens)
    writers = read_tokens(settings.write_tokens.get_secret_value(), is_open=True)
    return _beside(reading, writers) if writers or settings.read_open else reading


def _beside(reading: ASGIApp, writers: Sequence[str]) -> ASGIApp:
    """The read service, with pushes beside it rather than below it: a write token is not a read token."""
    from tasks.jobs.live.route import push_app
    from tasks.jobs.live.session import Live

    pushing = push_app(Live, tokens=writers)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_event = scope["type"] == "http" and scope["path"] == "/events"
        await (pushing if is_event else reading)(scope, receive, send)

    return application


def serve(address: str = ADDRESS, *, workers: int = 1, is_open: bool = False) -> None:
    """Answer HTTP at `address` (`host:port`) until ended, in `workers` processes.

    `is_open` is PENCHANT_READ_OPEN: without tokens, on a loopback address only. Raises `SettingsError` where the
    address is none, or tokens are missing for it.
    """
    import uvicorn

    from tasks.serving.access import is_loopback, read_tokens

    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f"{address!r} is no address; write it as 127.0.0.1:6566")
    if is_open:
        os.environ["PENCHANT_READ_OPEN"] = "true"  # for the workers, which read the settings themselves
    settings = Settings()
    tokens = read_tokens(settings.read_tokens.get_secret_value(), is_open=settings.read_open)
    if not tokens and not is_loopback(host.strip("[]")):
        raise SettingsError(f"{host} is reached from elsewhere; set PENCHANT_READ_TOKENS, or listen on 127.0.0.1")
    uvicorn.run(
        "tasks.jobs.serving:app",
        factory=True,
        host=host.strip("[]"),
        port=int(port),
        workers=workers,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,  # a path holds a user's id
        server_header=False,
    )


def _now() -> datetime:
    """The only clock of the read service."""
    return datetime.now(UTC)
