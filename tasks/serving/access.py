"""Who may ask, from where, and how much: checked before any handler sees a request."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Sequence

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.errors import PenchantError, ReleaseError, RequestError, SettingsError, StoreUnavailable

BODY_BYTES = 1 << 20
"""Longest body that is read: a thousand ids of 128 characters of four bytes, and room to spare."""
OPEN_PATHS = {"/health"}
"""What anyone may ask, without a token."""
_LOG = logging.getLogger("penchant.serving")
_STATUS: dict[type[PenchantError], int] = {RequestError: 400, ReleaseError: 503, StoreUnavailable: 503}


class Guard:
    """Lets a request through that shows a token and has no more than `BODY_BYTES`; answers errors in one sentence.

    Tokens are compared in constant time and never written anywhere; neither are paths, which hold ids. Without tokens
    only requests addressed to a loopback name pass, so that no web page reads profiles by a name of its own.
    """

    def __init__(self, app: ASGIApp, *, tokens: Sequence[str]) -> None:
        self._app = app
        self._digests = [_digest(token.encode()) for token in tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        if scope["path"] not in OPEN_PATHS and not self._admitted(headers):
            return await answer(
                send, 401, _NO_TOKEN if self._digests else _NOT_LOOPBACK, (b"www-authenticate", b"Bearer")
            )
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, _limited(receive), sending)
        except PenchantError as error:
            if began:
                raise
            status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
            await answer(send, status, str(error), *([(b"retry-after", b"1")] if status == 503 else []))
        except Exception as error:
            # a message may hold an id or a value, so only its kind is kept
            _LOG.error("%s while answering a request", type(error).__name__)
            if began:
                raise ConnectionError("the answer was cut short") from None
            await answer(send, 500, f"the read service failed ({type(error).__name__}); nothing was changed")
        return None

    def _admitted(self, headers: dict[bytes, bytes]) -> bool:
        if not self._digests:
            return is_loopback(_host(headers.get(b"host", b"").decode("latin-1")))
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        shown = _digest(token.strip())
        matches = [hmac.compare_digest(shown, digest) for digest in self._digests]  # all of them, whichever fits
        return any(matches) and kind.lower() == b"bearer"


def read_tokens(setting: str, *, is_open: bool) -> list[str]:
    """The tokens in `setting`, separated by commas; raises `SettingsError` where there are none and it is not open."""
    tokens = [token.strip() for token in setting.split(",") if token.strip()]
    if any(len(token) < 16 for token in tokens):
        raise SettingsError(
            "PENCHANT_READ_TOKENS: a token has fewer than 16 characters; make one with `openssl rand -hex 24`"
        )
    if not tokens and not is_open:
        raise SettingsError(
            "PENCHANT_READ_TOKENS is empty; set it to a token (`openssl rand -hex 24`), "
            "or answer on loopback without one by PENCHANT_READ_OPEN=true"
        )
    return tokens


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine and nothing else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


async def answer(send: Send, status: int, sentence: str, *headers: tuple[bytes, bytes]) -> None:
    """Send `{"error": sentence}`."""
    body = orjson.dumps({"error": sentence})
    fixed = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


def _limited(receive: Receive) -> Receive:
    """`receive`, but raising `RequestError` once a body has grown beyond `BODY_BYTES`."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_BYTES:
            raise RequestError(f"the request has more than {BODY_BYTES:,} bytes; ask for fewer ids at a time")
        return message

    return limited


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _host(header: str) -> str:
    """The host of a `Host` header, without its port."""
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


_NO_TOKEN = "show a token: Authorization: Bearer TOKEN"
_NOT_LOOPBACK = "without tokens only requests to a loopback address are answered"
