"""Secrets and passwords of one home: made once, kept in files that only their owner can read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Credentials:
    """What Airflow signs tokens and encrypts connections with; the same for every component."""

    jwt_secret: str
    secret_key: str
    fernet_key: str
    read_token: str
    """What requests to the read service show."""


def credentials(home: Path) -> Credentials:
    """Those kept in `<home>/secrets.json`, made on the first call."""
    path = home / "secrets.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    made = Credentials(secrets.token_urlsafe(64), secrets.token_urlsafe(32), _fernet_key(), secrets.token_urlsafe(24))
    known = {**asdict(made), **kept}
    if known != kept:  # all of them on the first call; later what an earlier version did not know
        write_private(path, known)
    return Credentials(**known)


def dotenv() -> str:
    """The lines of a new `.env`: every secret that `docker-compose.yml` asks for, made anew."""
    made = {
        "POSTGRES_PASSWORD": secrets.token_hex(16),
        "REDIS_PASSWORD": secrets.token_hex(16),
        "AIRFLOW_JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW_SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW_FERNET_KEY": _fernet_key(),
        "READ_TOKEN": secrets.token_urlsafe(24),
        "AIRFLOW_ADMIN_PASSWORD": secrets.token_urlsafe(9),
        "AIRFLOW_VIEWER_PASSWORD": secrets.token_urlsafe(9),
    }
    return "\n".join(f"{name}={value}" for name, value in made.items())


def passwords(home: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Name → password, kept in `<home>/passwords.json`; given by `AIRFLOW_<NAME>_PASSWORD` or made at first."""
    path = home / "passwords.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    known = {
        name: environ.get(f"AIRFLOW_{name.upper()}_PASSWORD") or kept.get(name) or secrets.token_urlsafe(9)
        for name in ("admin", "viewer")
    }
    if known != kept:
        write_private(path, known)
    return known


def write_private(path: Path, value: Mapping[str, str]) -> None:
    """Write a JSON file that nobody but its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=1)
    aside.replace(path)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
