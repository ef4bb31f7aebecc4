"""Opening the store: settings written for Feast and read back by Feast, addresses understood, a dead store said so."""

import os

import pytest

from tasks.errors import SettingsError, StoreUnavailable

pytestmark = pytest.mark.slow  # imports Feast


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis-1:6380", "redis-1:6380"),
        ("redis-1", "redis-1:6379"),
        ("redis://u:p%40ss@redis-1:6380/2", "redis-1:6380,db=2,username=u,password=p@ss"),
        ("rediss://redis-1", "redis-1:6379,ssl=true"),
    ],
)
def test_redis_addresses(rooms, url, address):
    assert rooms.stores._redis(url)["connection_string"] == address


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"kind": "redis", "postgres_dsn": "postgresql://h/d"}, "PENCHANT_REDIS_URL is empty"),
        ({"kind": "redis", "postgres_dsn": "postgresql://h/d", "redis_url": "h:port"}, "PENCHANT_REDIS_URL is neither"),
        ({"kind": "postgres"}, "PENCHANT_POSTGRES_DSN is empty"),
        ({"kind": "postgres", "postgres_dsn": "nonsense"}, "PENCHANT_POSTGRES_DSN is no libpq URI"),
    ],
)
def test_missing_or_wrong_addresses(rooms, tmp_path, keywords, words):
    with pytest.raises(SettingsError, match=words):
        rooms.stores.open_store(tmp_path, **keywords)


def test_a_store_that_is_down(rooms, tmp_path):
    with pytest.raises(StoreUnavailable, match="the registry cannot be reached"):
        rooms.stores.open_store(tmp_path, kind="postgres", postgres_dsn="postgresql://u:s3cret@127.0.0.1:1/x")


def test_any_password_reaches_feast_unchanged(rooms, tmp_path, monkeypatch):
    from pathlib import Path

    from feast.repo_config import load_repo_config
    from sqlalchemy.engine import make_url

    monkeypatch.setenv("HOME", "/expanded")
    password = 'pa$HOME${HOME}"\\ :@/%24 密'
    postgres = {"host": "h", "port": 5432, "database": "d", "user": "u@x", "password": password, "sslmode": "prefer"}
    online = {"type": "postgres", "conn_type": "pool", **postgres}
    repo = rooms.stores.write_repo(tmp_path, rooms.stores._config(postgres, online, 5))
    config = load_repo_config(repo, Path(repo) / "feature_store.yaml")
    assert config.online_store.password == password
    url = make_url(config.registry.path)
    assert (url.username, url.password, url.database) == ("u@x", password, "d")
    assert os.stat(repo / "feature_store.yaml").st_mode & 0o077 == 0


def test_a_dsn_is_taken_apart(rooms, tmp_path):
    parts = rooms.stores._postgres(tmp_path, "redis", "postgresql://u:p@db:5433/x?sslmode=require")
    assert parts == {
        "host": "db", "port": 5433, "database": "x", "user": "u", "password": "p", "sslmode": "require",
    }  # fmt: skip
