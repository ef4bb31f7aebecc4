"""HTTP for pushed events: `POST /events` with one event, or a list of at most `MOST`, as JSON.

A small ASGI application of its own, to be mounted wherever the other routes are. It answers 200 with
`{"results": [...]}`, one result an event (`tasks.jobs.live.session.Pushed`), refused ones included: a client sees what
became of each, and sends again only what it got no answer for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from tasks.errors import RequestError
from tasks.jobs.live.session import Live, Pushed
from tasks.serving.access import Guard

MOST = 100
"""Events in one request: some seconds of work."""
THREADS = 4
"""Events worked on at a time, each with a connection of its own; more only wait for two cores."""


def push_app(open_live: Callable[[], Live], *, tokens: Sequence[str]) -> Guard:
    """The application, behind the read service's own guard; whoever shows one of `tokens` may write.

    The session is opened at the first event: a service that is never pushed to holds no models.
    """
    limiter, opening = anyio.CapacityLimiter(THREADS), threading.Lock()
    opened: list[Live] = []

    def push(event: str) -> Pushed:
        with opening:
            if not opened:
                opened.append(open_live())
        return opened[0].push(event)

    async def post_events(request: Request) -> Response:
        events = events_in(await request.body())
        results: list[Pushed] = []
        for event in events:  # in order: the second event of a user follows the first
            results.append(await anyio.to_thread.run_sync(push, event, limiter=limiter))
        return Response(orjson.dumps({"results": [r.to_json() for r in results]}), media_type="application/json")

    return Guard(Router(routes=[Route("/events", post_events, methods=["POST"])]), tokens=tokens)


def events_in(body: bytes) -> list[str]:
    """The events of a request's body, each as JSON text; raises `RequestError` where it is not what it should be."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("the body is not JSON; send one event, or a list of events") from None
    events = value if isinstance(value, list) else [value]
    if not 1 <= len(events) <= MOST:
        raise RequestError(f"{len(events)} events in one request; send 1 to {MOST}")
    return [json.dumps(event) for event in events]
