"""The load is bounded and honest, and the ratios are what their names say."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.serving import BOTH, CONNECTIONS, SERVICES, SIZES, request_of, summarise
from benchmarks.serving_load import load


class Answering(BaseHTTPRequestHandler):
    """Answers `/ok` with what was asked, anything else with 404; keeps the connection."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers.get("Authorization", "")))
        self.send_response(200 if self.path == "/ok" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Answering.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that go away are no news
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def asked(server: ThreadingHTTPServer, path: str, **more: Any) -> dict[str, Any]:
    requests = [("POST", path, "x" * 10), ("POST", path, "x" * 20)]
    return {"port": server.server_port, "token": "t", "requests": requests, "connections": 3, **more}


def test_no_more_requests_are_sent_than_may_be(server: ThreadingHTTPServer) -> None:
    found = asyncio.run(load(asked(server, "/ok", seconds=60, most=50)))
    assert 50 <= found["requests"] == len(Answering.seen) <= 52  # each connection ends the one it has begun
    assert set(Answering.seen) == {("/ok", "Bearer t")}
    assert found["bytes"] == pytest.approx(15, abs=1)
    assert 0 < found["p50_ms"] <= found["p99_ms"]


def test_an_answer_that_is_not_well_ends_it(server: ThreadingHTTPServer) -> None:
    with pytest.raises(SystemExit, match="404"):
        asyncio.run(load(asked(server, "/no", seconds=60, most=50)))


def test_ratios_are_to_the_same_request_and_to_the_raw_store() -> None:
    def row(way: str, of: str, users: int, connections: int, rate: float, p50: float, cpu: float) -> dict[str, Any]:
        named = {"way": way, "asked": of, "users": users, "connections": connections}
        return {**named, "per_second": rate, "p50_ms": p50, "cpu_ms": cpu}

    rows = [
        made
        for size in SIZES
        for made in (
            row("decoded", BOTH, size, 1, 0, 2.0 * size, 0),
            row("sdk", BOTH, size, 1, 0, 20.0 * size, 0),
            row("read service", BOTH, size, 1, 0, 3.0 * size, 0),
            *(row("read service", of, size, CONNECTIONS, 500, 0, 1) for of in SERVICES),
            *(row("feast serve", of, size, CONNECTIONS, 100, 0, 7) for of in SERVICES),
        )
    ]
    for ratio in summarise(rows):
        assert ratio["recommendations: req/s"] == ratio["user_interest: req/s"] == 5
        assert ratio["recommendations: req per CPU second"] == 7
        assert (ratio["p50 / decoded"], ratio["sdk p50 / decoded"]) == (1.5, 10)


def test_what_is_asked() -> None:
    assert request_of(BOTH, ["a b", "c"]) == ("GET", "/users?id=a+b&id=c", "")
    _, path, body = request_of("recommendations", ["a"])
    assert path == "/get-online-features"
    assert json.loads(body)["entities"] == {"user_id": ["a"]}
