"""Real servers on loopback that alerts are sent to, and one that never answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"


@dataclass
class Hooked:
    """A webhook: what was posted to it, and what it answers."""

    port: int = 0
    answer: int = 200
    posts: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def address(self, secret: str = "T0/B0/secret") -> str:
        return f"http://{LOOPBACK}:{self.port}/services/{secret}"

    @property
    def texts(self) -> list[str]:
        return [body["text"] for _, _, body in self.posts]


@contextmanager
def webhook() -> Iterator[Hooked]:
    hooked = Hooked()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hooked.posts.append((self.path, dict(self.headers), body))
            self.send_response(hooked.answer)
            self.send_header("Location", f"http://{LOOPBACK}:{hooked.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    hooked.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hooked
    finally:
        server.shutdown()
        server.server_close()


class Postbox:
    """Keeps every mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.port = 0

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def smtp(**server: Any) -> Iterator[Postbox]:
    """A mail server; `server` are arguments of aiosmtpd's."""
    postbox = Postbox()
    controller = Controller(postbox, hostname=LOOPBACK, port=free_port(), **server)
    postbox.port = controller.port
    controller.start()
    try:
        yield postbox
    finally:
        controller.stop()


def only(user: bytes, password: bytes) -> dict[str, Any]:
    """Arguments of a server that lets in one user, over a plain connection."""

    def check(_server: SMTP, _session: object, _envelope: object, _mechanism: str, given: Any) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (user, password), handled=False)

    return {"authenticator": check, "auth_require_tls": False, "auth_required": True}


@contextmanager
def hanging() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen()
        yield listening.getsockname()[1]


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> Path:
    """A key and a certificate of `localhost` that it has signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + made.public_bytes(serialization.Encoding.PEM))
    return path
