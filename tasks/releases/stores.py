"""Opening the feature store: registry and online store in PostgreSQL (embedded or given), or online in Redis."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import psycopg
import psycopg_pool
import redis.exceptions
import sqlalchemy as sa
import sqlalchemy.exc
from feast import FeatureStore
from feast.infra.registry.sql import SqlRegistry
from psycopg.conninfo import conninfo_to_dict

from feature_repo.features import PROJECT
from tasks.errors import SettingsError, StoreUnavailable
from tasks.releases import embedded, ledger

Kind = Literal["embedded", "postgres", "redis"]
REGISTRY_TTL = 5
"""Seconds for which a reader may go on using the registry it has read: how long a switch takes to reach everyone."""
GUARD = (
    '"""This repository is written by Penchant; its views come and go with releases."""\n\n'
    'raise RuntimeError("`feast apply` would delete the views of every release; use `python -m tasks publish`")\n'
)


def open_store(
    home: Path,
    *,
    kind: Kind = "embedded",
    postgres_dsn: str = "",
    redis_url: str = "",
    registry_ttl: int = REGISTRY_TTL,
) -> FeatureStore:
    """Open the feature store of `home`, starting the embedded PostgreSQL where that is the one in use.

    Writes `<home>/feature_repo/`, with which any process opens the same store by `FeatureStore(repo_path=...)`.
    `kind` says where online features live; the registry is in PostgreSQL always: the one at `postgres_dsn` (a libpq
    URI), or the embedded one where that is empty. Raises `SettingsError` where a needed address is missing,
    `StoreUnavailable` where a store does not answer.
    """
    postgres = _postgres(home, kind, postgres_dsn)
    online = _redis(redis_url) if kind == "redis" else {"type": "postgres", "conn_type": "pool", **postgres}
    repo = write_repo(home, _config(postgres, online, registry_ttl))
    with reaching("the registry"):
        store = FeatureStore(repo_path=str(repo))
        ledger.create(engine_of(store))
    return store


def write_repo(home: Path, config: dict[str, Any]) -> Path:
    """Write Feast's settings below `home`, whole or not at all, readable by this user only; returns the folder."""
    repo = home.resolve() / "feature_repo"
    repo.mkdir(parents=True, exist_ok=True)
    # JSON is YAML. Feast expands `$NAME` in the file before it parses it, so a dollar in a password is escaped.
    for name, text in {
        "feature_store.yaml": json.dumps(config, indent=2).replace("$", "\\u0024") + "\n",
        "features.py": GUARD,
    }.items():
        if (repo / name).is_file() and (repo / name).read_text() == text:
            continue
        aside = repo / f".{name}.{os.getpid()}"
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        aside.replace(repo / name)
    return repo


def engine_of(store: FeatureStore) -> sa.Engine:
    """Connections to the registry's database, which is also the online one where that is PostgreSQL."""
    registry = store.registry
    if not isinstance(registry, SqlRegistry):
        raise SettingsError("the registry is no SQL registry; open the store with `open_store`")
    return registry.write_engine


def refresh(store: FeatureStore) -> None:
    """Read the registry anew; Feast goes on using an older copy otherwise, even in the process that changed it."""
    store.refresh_registry()  # type: ignore[no-untyped-call]


def home_of(store: FeatureStore) -> Path:
    """The home folder that the store was opened for."""
    return Path(store.repo_path).resolve().parent


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Turn a store's own way of saying that it is down, slow or full into `StoreUnavailable`."""
    try:
        yield
    except (
        sqlalchemy.exc.OperationalError,
        psycopg.OperationalError,
        psycopg_pool.PoolTimeout,
        redis.exceptions.ConnectionError,
        redis.exceptions.TimeoutError,
        redis.exceptions.OutOfMemoryError,
    ) as error:
        # the first line says what happened; the rest may quote addresses and values
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[:1]
        raise StoreUnavailable(f"{what} cannot be reached or is full: {' '.join(reason)[:200]}") from error


def _postgres(home: Path, kind: Kind, dsn: str) -> dict[str, Any]:
    """Where PostgreSQL is, in Feast's words."""
    if not dsn:
        if kind == "postgres":
            raise SettingsError("online_store is postgres, but PENCHANT_POSTGRES_DSN is empty; set it to a libpq URI")
        socket = embedded.attach(home)
        return {"host": str(socket), "database": embedded.DATABASE, "user": embedded.USER, "password": ""}
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise SettingsError("PENCHANT_POSTGRES_DSN is no libpq URI such as postgresql://user@host:5432/name") from None
    return {
        "host": str(parts.get("host") or "localhost"),
        "port": int(parts.get("port") or 5432),
        "database": str(parts.get("dbname") or parts.get("user") or "postgres"),
        "user": str(parts.get("user") or "postgres"),
        "password": str(parts.get("password") or ""),
        "sslmode": str(parts.get("sslmode") or "prefer"),
    }


def _redis(url: str) -> dict[str, Any]:
    """Where Redis is, in Feast's words; `url` is `host:port` or `redis://user:password@host:port/db`."""
    if not url:
        raise SettingsError("online_store is redis, but PENCHANT_REDIS_URL is empty; set it to host:port")
    try:
        parts = urlsplit(url if "://" in url else f"redis://{url}")
        port = parts.port or 6379
    except ValueError:
        raise SettingsError("PENCHANT_REDIS_URL is neither host:port nor redis://user:password@host:port/db") from None
    options = {
        "db": parts.path.strip("/"),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "ssl": "true" if parts.scheme == "rediss" else "",
    }
    address = ",".join([f"{parts.hostname or 'localhost'}:{port}", *(f"{k}={v}" for k, v in options.items() if v)])
    # Each release has fields of its own, so no write meets an older one: reading the old times first is wasted.
    return {"type": "redis", "connection_string": address, "skip_dedup": True}


def _config(postgres: dict[str, Any], online: dict[str, Any], ttl: int) -> dict[str, Any]:
    user = quote(postgres["user"], safe="")
    if postgres["password"]:
        user += ":" + quote(postgres["password"], safe="")
    query = f"host={quote(postgres['host'], safe='')}&port={postgres.get('port', 5432)}&connect_timeout=10"
    if "sslmode" in postgres:
        query += f"&sslmode={postgres['sslmode']}"
    path = f"postgresql+psycopg://{user}@/{quote(postgres['database'], safe='')}?{query}"
    return {
        "project": PROJECT,
        "provider": "local",
        "registry": {
            "registry_type": "sql",
            "path": path,
            "cache_ttl_seconds": ttl,
            "sqlalchemy_config_kwargs": {"echo": False, "pool_pre_ping": True},
        },
        "online_store": online,
        "offline_store": {"type": "duckdb"},
        "entity_key_serialization_version": 3,
    }
