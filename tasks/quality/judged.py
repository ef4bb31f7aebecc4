"""What judging a chunk gave: all that settling it needs, in frames that another process can read.

A chunk is judged by itself, anywhere and in any order; it is settled in the order of the batch, because who came first
with an id is known only there. `Judged` is what passes between the two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tasks.columns import Table
from tasks.errors import ArtifactError
from tasks.quality.chunk import POSITION, ROW
from tasks.quality.copies import Signatures, Signed, hashed
from tasks.quality.raw import redact_rows
from tasks.schema import QUARANTINE, USER_ID

KEY, CONTENT = "key", "content"
_FRAMES = ("candidates", "marks", "quarantine")
_TALLY, _COMPARED, _SIGNATURES = "tally.json", "compared.npy", "signatures.npy"


@dataclass(frozen=True)
class Tally:
    """Counts of one chunk. rows: all that entered. first, last: positions, 0 where there are no rows.

    failed: rows by name of rule. broken: rows by expectation. source: where the chunk came from.
    """

    rows: int
    first: int
    last: int
    source: str
    failed: Mapping[str, int] = field(default_factory=dict)
    broken: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """A chunk after every rule that needs nothing but the chunk.

    candidates: rows that keep them, in the table's columns. marks: of each candidate its `position`, the 64-bit hashes
    `key` and `content`, and its raw `row`, (n,). compared, signatures: offsets of the candidates whose text is compared
    with others, (k,), and what it is compared by (`tasks.quality.copies`). quarantine: lines of `schema.QUARANTINE` for
    the other rows. Raw rows are redacted before they are kept, be it in quarantine or by `save`.
    """

    table: Table
    candidates: pd.DataFrame
    marks: pd.DataFrame
    compared: NDArray[np.int64]
    signatures: Signatures
    quarantine: pd.DataFrame
    tally: Tally

    def save(self, folder: Path) -> None:
        """Write everything into `folder`, which is made: Arrow files, and the tally as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        marks = self.marks.assign(**{ROW: self.redacted_rows(np.arange(len(self.marks)))})
        frames, schemas = (self.candidates, marks, self.quarantine), (self.table.arrow, None, QUARANTINE.arrow)
        for name, frame, schema in zip(_FRAMES, frames, schemas, strict=True):
            table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            with pa.ipc.new_file(folder / f"{name}.arrow", table.schema, options=options) as file:
                file.write_table(table)
        np.save(folder / _COMPARED, self.compared, allow_pickle=False)
        np.save(folder / _SIGNATURES, self.signatures, allow_pickle=False)
        (folder / _TALLY).write_text(json.dumps(vars(self.tally)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, table: Table) -> Judged:
        """What `save` wrote; raises `ArtifactError` where it is not all there."""
        try:
            candidates, marks, quarantine = (_read(folder / f"{name}.arrow") for name in _FRAMES)
            compared, signatures = (np.load(folder / name, allow_pickle=False) for name in (_COMPARED, _SIGNATURES))
            tally = Tally(**json.loads((folder / _TALLY).read_text(encoding="utf-8")))
        except (OSError, EOFError, ValueError, TypeError, pa.ArrowInvalid) as error:
            raise ArtifactError(
                f"what judging a chunk of {table.name!r} gave cannot be read ({type(error).__name__}); judge it again"
            ) from None
        return cls(table, candidates, marks, compared, signatures, quarantine, tally)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Position of each candidate, (n,)."""
        return np.asarray(self.marks[POSITION], dtype=np.int64)

    def hashes(self, name: str) -> NDArray[np.uint64]:
        """`key` or `content` of each candidate, (n,)."""
        return np.asarray(self.marks[name], dtype=np.uint64)

    def signed(self) -> Signed:
        """The texts to compare, with who wrote them."""
        if not len(self.compared):
            return Signed.none()
        users = hashed(self.candidates[USER_ID.name].iloc[self.compared])
        return Signed(self.signatures, users, self.hashes(KEY)[self.compared])

    def redacted_rows(self, offsets: NDArray[np.int64]) -> list[str]:
        """Raw rows of some candidates without personal data."""
        rows = self.marks[ROW].to_numpy(dtype=object)[offsets].tolist()
        return redact_rows(rows, self.candidates.iloc[offsets])


def _read(path: Path) -> pd.DataFrame:
    with pa.ipc.open_file(path) as file:
        frame: pd.DataFrame = file.read_all().to_pandas()
    return frame


def merged(*lines: pd.DataFrame) -> pd.DataFrame:
    """Lines of quarantine in the order of their rows."""
    filled: list[Any] = [frame for frame in lines if len(frame)]
    if len(filled) < 2:
        return filled[0] if filled else lines[0]
    return pd.concat(filled).sort_values(POSITION, kind="stable", ignore_index=True)
