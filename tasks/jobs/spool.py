"""The spool: raw chunks of one batch on disk, from the moment they are read until the batch is settled or given up.

Raw rows may hold personal data, so a spool never outlives its batch: it is removed when the batch is kept or
discarded, and one that was left by a process that died is removed by the next batch.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pyarrow as pa

from tasks.errors import ArtifactError

PROBLEMS, SOURCE, LOCK = "problems", "source", "lock"
_PROBLEM = pa.list_(pa.struct([("rule", pa.string()), ("column", pa.string()), ("reason", pa.string())]))
ABANDONED_HOURS = 72
"""A spool that no process holds and nobody touched for so long is removed; a person may take days to approve."""


class Spool:
    """The folder of one batch below `home`/spool; `name` is all that another task needs to open it again."""

    def __init__(self, home: Path, name: str) -> None:
        self.name, self._folder = name, home / "spool" / name
        self._filling: TextIO | None = None
        if not self._folder.is_dir():
            raise ArtifactError(f"the batch being checked as {name!r} was settled or given up; take it in again")

    @classmethod
    def new(cls, home: Path) -> Spool:
        """An empty spool, after removing those that were left behind."""
        root = home / "spool"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in root.iterdir():
            with suppress(FileNotFoundError):
                _remove_if_abandoned(folder)
        spool = cls(home, Path(tempfile.mkdtemp(prefix="batch-", dir=root)).name)
        spool._filling = (spool._folder / LOCK).open("w")
        fcntl.flock(spool._filling, fcntl.LOCK_EX)
        return spool

    def filled(self) -> None:
        """Let other tasks go on with the spool; until then it falls with the process that fills it."""
        if self._filling:
            (self._folder / LOCK).unlink()
            self._filling.close()
            self._filling = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the spool for this process alone and remove it at the end; a process that dies lets go of it."""
        with (self._folder / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                self.remove()

    def write_chunk(self, table: str, number: int, frame: pd.DataFrame) -> None:
        """Keep one raw chunk as a source gave it (see `tasks.sources`)."""
        problems = [[dict(zip(("rule", "column", "reason"), p, strict=True)) for p in row] for row in frame[PROBLEMS]]
        arrow = pa.Table.from_pandas(frame.drop(columns=PROBLEMS), preserve_index=False)
        arrow = arrow.append_column(PROBLEMS, pa.array(problems, _PROBLEM))
        arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), SOURCE: frame.attrs.get(SOURCE, "")})
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(self._chunk(table, number), arrow.schema, options=options) as file:
            file.write_table(arrow)

    def read_chunk(self, table: str, number: int) -> pd.DataFrame:
        """The chunk that `write_chunk` kept."""
        with pa.ipc.open_file(self._chunk(table, number)) as file:
            arrow: pa.Table = file.read_all()
        frame: pd.DataFrame = arrow.to_pandas()
        frame[PROBLEMS] = [[(p["rule"], p["column"], p["reason"]) for p in row] for row in frame[PROBLEMS]]
        frame.attrs[SOURCE] = arrow.schema.metadata[SOURCE.encode()].decode()
        return frame

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep a small document, whole or not at all."""
        aside = self._folder / f".{name}"
        aside.write_text(json.dumps(value))
        aside.replace(self._folder / f"{name}.json")

    def read_json(self, name: str) -> dict[str, Any]:
        """The document that `write_json` kept."""
        value: dict[str, Any] = json.loads((self._folder / f"{name}.json").read_text())
        return value

    def path(self, name: str) -> Path:
        """Where a file of the spool lies."""
        return self._folder / name

    def remove(self) -> None:
        """Remove everything; the batch is settled or given up."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _chunk(self, table: str, number: int) -> Path:
        return self._folder / f"{table}-{number:06d}.arrow"


def _remove_if_abandoned(folder: Path) -> None:
    lock = folder / LOCK
    if lock.exists():
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
            shutil.rmtree(folder, ignore_errors=True)
    elif time.time() - max(p.stat().st_mtime for p in (folder, *folder.iterdir())) > ABANDONED_HOURS * 3600:
        shutil.rmtree(folder, ignore_errors=True)
