"""A connection kept in Airflow becomes a plain address."""

from __future__ import annotations

import psycopg2.extensions
import pytest
from pipeline_connections import libpq_uri


def test_nothing_asked_for_is_nothing() -> None:
    assert libpq_uri(None) is None
    assert libpq_uri("") is None


def test_libpq_understands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgresql://reader:p%40ss%2Fword@db.internal:5433/orders?sslmode=require")
    uri = libpq_uri("shop")
    assert uri
    assert psycopg2.extensions.parse_dsn(uri) == {
        "user": "reader",
        "password": "p@ss/word",
        "host": "db.internal",
        "port": "5433",
        "dbname": "orders",
        "sslmode": "require",
    }
