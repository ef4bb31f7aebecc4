"""Artifacts: immutable, addressed by their content, written aside and moved into place in one step.

An artifact is a folder `<root>/<name>/<version>/` with its files and a `meta.json` (rows, digest, parents, settings,
code version). Its version is a digest of its files, so the same content is stored once. A memo remembers which
artifacts a job made from which inputs, so that the same work is not done twice. A head is the one mutable thing: a
name that points at the newest artifact of a growing series, moved under a lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.columns import Table, empty, to_arrow
from tasks.errors import ArtifactError

META = "meta.json"


@dataclass(frozen=True)
class Ref:
    """The exact address of one artifact; small enough to travel as an Airflow XCom or asset event."""

    name: str
    version: str
    rows: int = 0

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """The reference as plain JSON values."""
        return {"name": self.name, "version": self.version, "rows": self.rows}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ref:
        """The reference that `to_json` wrote; raises `ArtifactError` when keys are missing."""
        try:
            return cls(str(value["name"]), str(value["version"]), int(value.get("rows", 0)))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"not an artifact reference: {sorted(value)}") from error


@dataclass(frozen=True)
class Meta:
    """What stands beside an artifact's files."""

    rows: int = 0
    parents: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    union: tuple[Mapping[str, Any], ...] = ()


class Store:
    """Reads and writes artifacts below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._swept = False

    def folder(self, ref: Ref) -> Path:
        """Where the artifact's files lie; raises `ArtifactError` when it is not there."""
        path = self.root / ref.name / ref.version
        if not (path / META).is_file():
            raise ArtifactError(f"artifact {ref} is not in {self.root}; run the job that makes it, or correct the name")
        return path

    def meta(self, ref: Ref) -> Meta:
        """What stands beside the artifact's files."""
        raw = json.loads((self.folder(ref) / META).read_text())
        tupled = {"parents": tuple(raw["parents"]), "union": tuple(raw["union"])}
        return Meta(**{**raw, **tupled})

    def put_frame(self, frame: pd.DataFrame, table: Table, **meta: Any) -> Ref:
        """Keep `frame` as one Parquet file of `table`; raises `SchemaError` where it does not fit."""
        arrow = to_arrow(frame, table)
        with self.writing(table.name) as folder:
            pq.write_table(arrow.replace_schema_metadata(None), folder / "rows.parquet", compression="zstd")
            return self.seal(folder, table.name, rows=len(frame), **meta)

    def put_json(self, name: str, value: Mapping[str, Any], **meta: Any) -> Ref:
        """Keep one JSON document."""
        with self.writing(name) as folder:
            (folder / "value.json").write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True))
            return self.seal(folder, name, **meta)

    def put_union(self, table: Table, members: Sequence[Ref], **meta: Any) -> Ref:
        """Keep a series of artifacts as one, without copying a row; equal members count once."""
        unique = list(dict.fromkeys(m for ref in members for m in self.members(ref)))
        with self.writing(table.name) as folder:
            union = tuple(m.to_json() for m in unique)
            return self.seal(folder, table.name, rows=sum(m.rows for m in unique), union=union, **meta)

    def members(self, ref: Ref) -> list[Ref]:
        """The artifacts that hold the rows: those of a union, or `ref` itself."""
        union = self.meta(ref).union
        return [Ref.from_json(m) for m in union] if union else ([ref] if self._rows_file(ref).exists() else [])

    def read_frame(self, ref: Ref, table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows of the artifact, in the order they were kept; only `columns` where given."""
        frames = list(self.stream(ref, table, columns))
        return pd.concat(frames, ignore_index=True) if frames else empty(table)[list(columns or table.names)]

    def stream(self, ref: Ref, table: Table, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """The rows of the artifact, one stored file at a time."""
        for member in self.members(ref):
            try:
                arrow: pa.Table = pq.read_table(self._rows_file(member), columns=list(columns or table.names))
            except (pa.ArrowException, OSError, KeyError) as error:
                raise ArtifactError(f"artifact {member} is damaged: {type(error).__name__}; make it again") from error
            yield arrow.to_pandas()

    def read_matrix(
        self, ref: Ref, table: Table, column: str, keys: Collection[str] | None = None
    ) -> tuple[np.ndarray[Any, np.dtype[Any]], np.ndarray[Any, np.dtype[np.float32]]]:
        """Keys `(n,)` and a list column `(n, d)` as one dense matrix; only the rows named in `keys` where given.

        Lists become a matrix without a Python object per row, file by file. Raises `ArtifactError` where the lists
        are of different lengths.
        """
        key, wanted = table.key[0], None if keys is None else pa.array(list(keys), pa.string())
        names, rows = [np.empty(0, dtype=object)], []
        for member in self.members(ref):
            arrow = pq.read_table(self._rows_file(member), columns=[key, column])
            if wanted is not None:
                arrow = arrow.filter(pc.is_in(arrow[key], value_set=wanted))
            if arrow.num_rows:
                flat = arrow[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                if len(flat) % arrow.num_rows:
                    raise ArtifactError(f"artifact {member}: the lists of {column!r} are of different lengths")
                names.append(arrow[key].to_numpy())
                rows.append(flat.reshape(arrow.num_rows, -1).astype(np.float32, copy=False))
        if len({r.shape[1] for r in rows}) > 1:
            raise ArtifactError(f"artifact {ref}: the lists of {column!r} are of different lengths")
        return np.concatenate(names), np.concatenate(rows) if rows else np.empty((0, 0), np.float32)

    def read_json(self, ref: Ref) -> dict[str, Any]:
        """The document that `put_json` kept."""
        value: dict[str, Any] = json.loads((self.folder(ref) / "value.json").read_text())
        return value

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A folder aside to write files into; removed unless it was sealed.

        It is locked while it is written; one that is not was left by a process that was killed, and is removed.
        """
        (self.root / "tmp").mkdir(parents=True, exist_ok=True)
        with self.lock("tmp"):  # no other process may sweep between making a folder and locking it
            if not self._swept:
                self._sweep()
            aside = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root / "tmp"))
            held = (aside / "lock").open("w")
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            (aside / "files").mkdir()
            yield aside / "files"
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            held.close()

    def seal(
        self,
        folder: Path,
        name: str,
        *,
        rows: int = 0,
        parents: Iterable[Ref] = (),
        settings: Mapping[str, Any] | None = None,
        code: str = "",
        facts: Mapping[str, Any] | None = None,
        union: tuple[Mapping[str, Any], ...] = (),
    ) -> Ref:
        """Move a folder that `writing` gave into place under the digest of its files and union."""
        digest = hashlib.sha256(json.dumps(union, sort_keys=True).encode())
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        version = digest.hexdigest()[:20]
        target = self.root / name / version
        if not (target / META).is_file():
            meta = Meta(rows, tuple(str(p) for p in parents), settings or {}, code, facts or {}, union)
            (folder / META).write_text(json.dumps(meta.__dict__, indent=1, ensure_ascii=False, default=str))
            target.parent.mkdir(parents=True, exist_ok=True)
            with self.lock(f"seal-{name}"):  # another process may be sealing the same content
                if not (target / META).is_file():
                    shutil.rmtree(target, ignore_errors=True)  # half removed: without its meta it is no artifact
                    folder.rename(target)
        return Ref(name, version, rows)

    def remembered(self, key: str, make: Callable[[], dict[str, Ref]]) -> dict[str, Ref]:
        """The artifacts that a job made for `key`, or those that `make` makes now; a damaged memo is made again."""
        path = self.root / "memo" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        if path.is_file():
            refs = {k: Ref.from_json(v) for k, v in json.loads(path.read_text()).items()}
            if all((self.root / r.name / r.version / META).is_file() for r in refs.values()):
                return refs
        refs = make()
        self._replace(path, json.dumps({k: r.to_json() for k, r in refs.items()}))
        return refs

    def head(self, name: str) -> Ref | None:
        """What the head called `name` points at, or None when nothing was put there yet."""
        path = self.root / "heads" / f"{name}.json"
        return Ref.from_json(json.loads(path.read_text())) if path.is_file() else None

    def move_head(self, name: str, ref: Ref) -> None:
        """Point the head called `name` at `ref`, in one step; hold `lock(name)` from reading it to moving it."""
        self._replace(self.root / "heads" / f"{name}.json", json.dumps(ref.to_json()))

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock called `name`; a process that dies lets go of it."""
        path = self.root / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _rows_file(self, ref: Ref) -> Path:
        return self.folder(ref) / "rows.parquet"

    def _replace(self, path: Path, text: str) -> None:
        """Write a small file so that a reader sees the whole old one or the whole new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.writing(path.stem) as folder:
            (folder / path.name).write_text(text)
            (folder / path.name).replace(path)

    def _sweep(self) -> None:
        """Remove the folders that killed processes left, once in a store's life; hold `lock("tmp")`."""
        self._swept = True
        for aside in (self.root / "tmp").iterdir():
            with suppress(OSError), (aside / "lock").open("a") as held:  # an error: it is in use, or has just gone
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(aside)
