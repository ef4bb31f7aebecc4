"""Airflow connections as the plain addresses that jobs understand."""

from __future__ import annotations

from airflow.sdk import Connection


def libpq_uri(connection_id: str | None) -> str | None:
    """The PostgreSQL connection kept in Airflow under `connection_id` as a libpq URI; None for None or nothing."""
    return Connection.get(connection_id).get_uri() if connection_id else None
