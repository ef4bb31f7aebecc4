"""Who may ask: tokens, loopback, sizes; and errors that say one sentence and no secret."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tasks.errors import ReleaseError, RequestError, SettingsError, StoreUnavailable
from tasks.serving.access import BODY_BYTES, Guard, is_loopback, read_tokens

TOKENS = ["first-token-0123456789", "second-token-0123456789"]
RAISED: dict[str, Exception] = {
    "request": RequestError("ids are texts"),
    "release": ReleaseError("no release is live yet"),
    "store": StoreUnavailable("the store is down"),
    "defect": ValueError("user-17 is secret"),
}


def client(tokens: list[str], base: str = "http://127.0.0.1") -> TestClient:
    async def path(request: Request) -> Response:
        if error := RAISED.get(request.path_params["name"]):
            raise error
        return Response(str(len(await request.body())))

    routes = [Route("/{name}", path, methods=["GET", "POST"])]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard, tokens=tokens)]), base_url=base)


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_opens(token: str) -> None:
    assert client(TOKENS).get("/x", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client(TOKENS).get("/x", headers={"Authorization": f"bearer  {token}"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKENS[0]}",
        f"Bearer {TOKENS[0][:-1]}",
        f"Bearer {TOKENS[0]}x",
        TOKENS[0],
    ],
)
def test_nothing_else_does(header: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "penchant.serving"):
        found = client(TOKENS).get("/x", headers={} if header is None else {"Authorization": header})
    assert found.status_code == 401
    assert found.headers["www-authenticate"] == "Bearer"
    assert TOKENS[0] not in found.text + caplog.text


def test_whether_the_process_is_up_is_no_secret() -> None:
    assert client(TOKENS).get("/health").status_code == 200


@pytest.mark.parametrize(
    ("base", "status"),
    [
        ("http://127.0.0.1:6566", 200),
        ("http://localhost", 200),
        ("http://[::1]:6566", 200),
        ("http://evil.example", 401),
        ("http://10.0.0.1", 401),
        ("http://localhost.evil.example:6566", 401),
    ],
)
def test_without_tokens_only_loopback_names_pass(base: str, status: int) -> None:
    assert client([], base).get("/x").status_code == status


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        ("request", 400, "ids are texts"),
        ("release", 503, "no release is live yet"),
        ("store", 503, "the store is down"),
        ("defect", 500, "the read service failed (ValueError); nothing was changed"),
    ],
)
def test_an_error_is_one_sentence(name: str, status: int, sentence: str, caplog: pytest.LogCaptureFixture) -> None:
    found = client([]).get(f"/{name}")
    assert (found.status_code, found.json()) == (status, {"error": sentence})
    assert ("retry-after" in found.headers) == (status == 503)
    assert "user-17" not in caplog.text + found.text


def test_a_body_may_be_so_large_and_no_larger() -> None:
    assert client([]).post("/x", content=b"x" * BODY_BYTES).text == str(BODY_BYTES)
    found = client([]).post("/x", content=b"x" * (BODY_BYTES + 1))
    assert found.status_code == 400
    assert "ask for fewer ids" in found.json()["error"]


def test_tokens_are_needed_unless_it_is_open() -> None:
    assert read_tokens(" a-token-of-16-chars , another-token-of-it ,", is_open=False) == [
        "a-token-of-16-chars",
        "another-token-of-it",
    ]
    assert read_tokens("", is_open=True) == []
    with pytest.raises(SettingsError, match="PENCHANT_READ_TOKENS is empty"):
        read_tokens(" , ", is_open=False)
    with pytest.raises(SettingsError, match="fewer than 16") as raised:
        read_tokens("short-secret", is_open=True)
    assert "short-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("db", False),
    ],
)
def test_what_is_loopback(host: str, loopback: Any) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("address", "tokens"), [("0.0.0.0:6566", ""), ("127.0.0.1", ""), ("nowhere", ""), (":6566", "")]
)
def test_it_does_not_listen_for_everyone_without_tokens(
    monkeypatch: pytest.MonkeyPatch, address: str, tokens: str
) -> None:
    from tasks.jobs.serving import serve

    monkeypatch.setenv("PENCHANT_READ_OPEN", "true")
    with pytest.raises(SettingsError, match=r"is reached from elsewhere|is no address"):
        serve(address)
