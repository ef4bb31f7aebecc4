"""Whatever is handed in: one clear line, exit status 1, and nothing lost or half-written; or a row in quarantine."""

import errno
import gzip
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks import __main__, jobs, schema
from tasks.errors import SettingsError
from tasks.jobs.history import HEAD
from tasks.jobs.workspace import open_store, parse_as_of, refs_of
from tasks.settings import Settings
from tasks.store import Ref, Store

HEADER = "event_id,user_id,item_id,kind,rating,text,language,event_time\n"
MAPPING = "events: {{columns: {{user_id: user_id, kind: kind, event_time: {time}, {key}: text}}}}\n"
NOISE = random.Random(3).randbytes(20_000)
KILLED = """
import os, signal, sys
from pathlib import Path
from tasks.store import Store
with Store(Path(sys.argv[1])).writing("model") as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def row(number: int, text: str = "The kettle boils fast", user: str = "u1", rating: str = "5") -> str:
    return f'e{number},{user},i1,review,{rating},"{text}",en,2026-01-05T08:00:{number:02}Z\n'


def rows(count: int = 12) -> str:
    return HEADER + "".join(map(row, range(count)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose home has one good batch."""
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path / "home"))
    (tmp_path / "good.csv").write_text(HEADER + row(50))
    jobs.ingest(events=[str(tmp_path / "good.csv")], as_of="2026-02-01")
    return tmp_path


def store() -> Store:
    return open_store(Settings())


def head() -> Ref | None:
    return store().head(HEAD)


def left_aside() -> list[Path]:
    return list((store().root / "tmp").iterdir())


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *command: str) -> str:
    """The one line that a command that must fail says."""
    monkeypatch.setattr(sys, "argv", ["penchant", *command])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


FILES: dict[str, tuple[bytes, str]] = {
    "header_only.csv": (HEADER.encode(), "BatchRefused: .* is empty; nothing was changed"),
    "empty.csv": (b"", "empty.csv: it is empty"),
    "cut.csv.gz": (gzip.compress(rows().encode())[:60], "gzip data is cut short or damaged"),
    "binary.csv": (NOISE, "it is binary and holds no text"),
    "nothing_but_nul.csv": (bytes(5_000), "it is binary and holds no text"),
    "damaged.parquet": (b"PAR1" + NOISE, "no Parquet file, or a damaged one"),
    "foreign.csv": (b"a,b,c\n1,2,3\n", "has no column 'user_id', 'kind', 'event_time'; it has a, b, c"),
    "types.csv": (rows().replace(",5,", ",secret,").encode(), r"nothing was changed: 12 of 12 .*parse_rating"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_whole(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content, reason = FILES[name]
    before = head()
    (home / name).write_bytes(content)
    said = refused(capsys, monkeypatch, "ingest", str(home / name), "--as-of", "2026-02-01")
    assert re.search(reason, said), said
    assert "secret" not in said
    assert head() == before
    assert left_aside() == []


MAPPINGS = {
    "unknown key 'txt'; did you mean 'text'?": MAPPING.format(key="txt", time="event_time"),
    "this must be a mapping": "events: {columns: 7}\n",
    "is not YAML": "events: [\n",
    "it is empty": "",
    "it has no column 'when'": MAPPING.format(key="text", time="when"),
}


@pytest.mark.parametrize("reason", MAPPINGS)
def test_a_bad_mapping_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    before = head()
    (home / "batch.csv").write_text(rows())
    (home / "mapping.yaml").write_text(MAPPINGS[reason])
    command = ["ingest", str(home / "batch.csv"), "--mapping", str(home / "mapping.yaml")]
    assert reason in refused(capsys, monkeypatch, *command)
    assert head() == before


COMMANDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "nowhere.csv: No such file or directory; name a file": (["ingest", "nowhere.csv"], {}),
    "nowhere.yaml: No such file or directory; name a file": (["ingest", "x.csv", "--mapping", "nowhere.yaml"], {}),
    "not an ISO 8601 time: 'yesterday'; write it as": (["ingest", "x.csv", "--as-of", "yesterday"], {}),
    "not an ISO 8601 time: ''; write it as": (["ingest", "x.csv", "--as-of", ""], {}),
    "PENCHANT_SOURCE_DSN is empty; set it": (["ingest", "--query", "select 1"], {}),
    "PostgreSQL cannot be reached": (
        ["ingest", "--query", "select 1"],
        {"PENCHANT_SOURCE_DSN": "postgresql://u:hidden@127.0.0.1:1/d"},
    ),
    "the connection string is not one": (["ingest", "--query", "select 1"], {"PENCHANT_SOURCE_DSN": "hidden"}),
    "unknown setting PENCHANT_TOPIKS; did you mean PENCHANT_TOPICS?": (["refresh"], {"PENCHANT_TOPIKS": "4"}),
    "PENCHANT_TOPICS: Input should be a valid integer": (["refresh"], {"PENCHANT_TOPICS": "four"}),
    "name a folder that can be written": (["ingest", "x.csv"], {"PENCHANT_HOME": "/proc/nowhere"}),
    "Not a directory: /etc/passwd": (["ingest", "x.csv"], {"PENCHANT_HOME": "/etc/passwd"}),
    "no batch was taken in yet": (["refresh"], {"PENCHANT_HOME": "fresh"}),
    "nothing was refreshed yet": (["score"], {"PENCHANT_HOME": "fresh"}),
    "nothing was scored yet": (["publish"], {"PENCHANT_HOME": "fresh"}),
}


@pytest.mark.parametrize("reason", COMMANDS)
def test_a_bad_command_is_told_what_to_do(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    command, environment = COMMANDS[reason]
    before, here = head(), store()
    (home / "x.csv").write_text(rows())
    monkeypatch.chdir(home)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said = refused(capsys, monkeypatch, *command)
    assert reason in said
    assert "hidden" not in said
    assert here.head(HEAD) == before


def test_a_time_beyond_the_calendar_is_no_time() -> None:
    with pytest.raises(SettingsError, match="not an ISO 8601 time"):
        parse_as_of("0001-01-01T00:00:00+12:00")


BAD_ROWS: dict[str, tuple[bytes, str]] = {
    "a million characters": (row(30, "good " * 200_000).encode(), "text_too_long"),
    "NUL": (row(30, "good\0kettle").encode(), "encoding"),
    "NUL in an id": (row(30, user="u\0").encode(), "encoding"),
    "Latin-1 among UTF-8": (row(30, "très bon café").encode("latin-1"), "encoding"),
    "GB18030 among UTF-8": (row(30, "这个水壶很好用").encode("gb18030"), "encoding"),
    "a wrong type": (row(30, rating="five").encode(), "parse_rating"),
    "a quote mark that is not closed": (b'e30,u1,i1,review,5,"lost,en,2026-01-05\n', "malformed_row"),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_row_is_quarantined_and_the_others_are_taken(home: Path, what: str) -> None:
    content, rule = BAD_ROWS[what]
    good = [row(n, "水壶很好 – très bon").encode() for n in range(12)]
    (home / "batch.csv").write_bytes(HEADER.encode() + b"".join([*good[:6], content, *good[6:]]))
    bag = jobs.ingest(events=[str(home / "batch.csv")], as_of="2026-02-01")
    counts = bag["counts"]["accepted_events"]
    assert counts["rows"] == {"entered": 13, "accepted": 12, "quarantined": 1, "repeated": 0}
    assert counts["rules"] == {rule: 1}
    line = store().read_frame(refs_of(bag)[schema.QUARANTINE.name], schema.QUARANTINE).iloc[0]
    assert (line["position"], line["rule"]) == (7, rule)
    assert line["reason"]


def test_a_batch_taken_in_before_says_so(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = head()
    monkeypatch.setattr(sys, "argv", ["penchant", "ingest", str(home / "good.csv")])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 0
    assert "was taken in before: nothing to do" in capsys.readouterr().out
    assert head() == before


@contextmanager
def no_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes; Python ignores the signal, and writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100, 1_000, 3_000])
def test_a_full_disk_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    before = head()
    (home / "batch.csv").write_text(rows())
    with no_disk(size):
        said = refused(capsys, monkeypatch, "ingest", str(home / "batch.csv"), "--as-of", "2026-02-01")
    assert "free disk space" in said
    assert head() == before
    assert left_aside() == []
    again = jobs.ingest(events=[str(home / "batch.csv")], as_of="2026-02-01")
    assert again["counts"]["accepted_events"]["rows"]["accepted"] == 12


def test_an_error_of_a_library_without_a_number_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (OSError("two\nlines"), OSError(errno.ENOSPC, "No space left on device")):
        monkeypatch.setattr(jobs, "ingest", lambda error=error, **_: (_ for _ in ()).throw(error))
        said = refused(capsys, monkeypatch, "ingest", "x.csv")
        assert "None" not in said
        assert ("two lines" in said) or ("No space left on device; free disk space" in said)


def test_a_second_batch_waits_for_the_first(home: Path) -> None:
    (home / "batch.csv").write_text(rows())
    taken: list[dict[str, Any]] = []
    before = head()
    waiting = threading.Thread(
        target=lambda: taken.append(jobs.ingest(events=[str(home / "batch.csv")], as_of="2026-02-01"))
    )
    with store().lock(HEAD):
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert head() == before
    waiting.join(60)
    assert len(taken) == 1
    assert head() != before


def test_what_a_killed_process_left_is_removed_and_what_is_written_now_is_not(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    with Store(tmp_path).writing("first") as first:
        (first / "whole").write_text("whole")
        with Store(tmp_path).writing("second"):  # as another process would
            assert len(list((tmp_path / "tmp").iterdir())) == 2
            assert (first / "whole").read_text() == "whole"
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_two_processes_take_in_two_batches_at_once(home: Path) -> None:
    for name, first in (("one", 0), ("two", 12)):
        (home / f"{name}.csv").write_text(HEADER + "".join(row(n) for n in range(first, first + 12)))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tasks", "ingest", str(home / f"{name}.csv"), "--as-of", "2026-02-01", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
        )
        for name in ("one", "two")
    ]  # fmt: skip
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert sorted(json.loads(out)["refs"]["accepted_events"]["rows"] for out, _ in said) == [13, 25]
