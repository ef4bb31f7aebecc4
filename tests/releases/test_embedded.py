"""The embedded server: where its data lie, and that any number of processes may start it at once."""

import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from tasks.errors import StoreUnavailable
from tasks.releases import embedded

START = (
    "import sys; from pathlib import Path; from tasks.releases.embedded import attach; print(attach(Path(sys.argv[1])))"
)


def test_data_lie_below_home_for_an_ordinary_user(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert embedded.postgres_folder(tmp_path) == tmp_path.resolve() / "pg"


def test_root_does_not_open_a_private_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    tmp_path.chmod(0o700)
    chosen = embedded.postgres_folder(tmp_path / "home")
    assert tmp_path not in chosen.parents
    assert chosen == embedded.postgres_folder(tmp_path / "home")


def test_a_server_that_cannot_start_is_said_so(folder, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "pg_ctl")

    monkeypatch.setattr(embedded, "get_server", broken)
    with pytest.raises(StoreUnavailable, match=r"does not start .* its log is"):
        embedded.attach(folder / "broken")


@pytest.mark.slow
def test_processes_that_start_at_once_share_one_server(folder: Path):
    home = folder / "crowd"
    started = [subprocess.Popen([sys.executable, "-c", START, str(home)], stdout=subprocess.PIPE) for _ in range(3)]
    sockets = {process.communicate(timeout=60)[0].decode().strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert sockets == {str(embedded.postgres_folder(home))}
    with pytest.raises(psycopg2.OperationalError):  # the last one stopped it
        psycopg2.connect(host=sockets.pop(), user=embedded.USER, dbname=embedded.DATABASE)


@pytest.mark.slow
def test_attaching_again_is_harmless(embedded_home: Path):
    socket = embedded.attach(embedded_home)
    assert embedded.attach(embedded_home) == socket
    with psycopg2.connect(host=str(socket), user=embedded.USER, dbname=embedded.DATABASE) as connection:
        assert connection.server_version >= 180000
    connection.close()
