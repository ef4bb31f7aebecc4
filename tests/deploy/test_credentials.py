"""Secrets are made once and are nobody else's business."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from cryptography.fernet import Fernet

from deploy.credentials import credentials, dotenv, passwords


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    first = credentials(tmp_path)
    assert credentials(tmp_path) == first
    assert credentials(tmp_path / "other") != first
    assert mode(tmp_path / "secrets.json") == 0o600
    assert len(first.jwt_secret) >= 64
    Fernet(first.fernet_key)
    assert len(first.read_token) >= 16


def test_secrets_of_an_earlier_version_stay_and_get_what_they_lack(tmp_path: Path) -> None:
    old = {"jwt_secret": "a", "secret_key": "b", "fernet_key": "c"}
    (tmp_path / "secrets.json").write_text(json.dumps(old))
    made = credentials(tmp_path)
    assert old.items() <= vars(made).items()
    assert made.read_token
    assert credentials(tmp_path) == made
    assert mode(tmp_path / "secrets.json") == 0o600


def test_passwords_are_made_once_and_private(tmp_path: Path) -> None:
    first = passwords(tmp_path, {})
    assert set(first) == {"admin", "viewer"}
    assert first["admin"] != first["viewer"]
    assert passwords(tmp_path, {}) == first == json.loads((tmp_path / "passwords.json").read_text())
    assert mode(tmp_path / "passwords.json") == 0o600


def test_a_password_from_the_environment_wins(tmp_path: Path) -> None:
    made = passwords(tmp_path, {})
    chosen = passwords(tmp_path, {"AIRFLOW_ADMIN_PASSWORD": "chosen"})
    assert chosen == {"admin": "chosen", "viewer": made["viewer"]}
    assert passwords(tmp_path, {}) == chosen


def test_dotenv_is_new_each_time_and_complete() -> None:
    first, second = (dict(line.split("=", 1) for line in dotenv().splitlines()) for _ in range(2))
    assert all(first.values())
    assert not set(first.values()) & set(second.values())
