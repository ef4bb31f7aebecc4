"""What a release must write: the rows whose content is in no release that it can borrow from.

Rows are compared by key and digest (see `offline`), which lie in the Parquet files; no store is asked. A **base** is
a release whose rows are shared by later ones; its keys and digests are kept in `<home>/bases/<release>/` for as long
as anything shares them, since its other files may be retired before.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.columns import Table
from tasks.releases.encoding import join
from tasks.releases.offline import offline_path, read_digests, shard_of


@dataclass(frozen=True)
class Changes:
    """Of the rows of a file, in its order, what becomes of each; every mask is `(n,)`."""

    keys: pa.Array
    mine: np.ndarray
    """In this shard."""
    kept: np.ndarray
    """As the base has it: nothing to do."""
    carried: np.ndarray
    """As the parent has it: copied inside the store."""
    gone: pa.Array
    """Keys of this shard that the base has and this release has not."""

    @property
    def written(self) -> np.ndarray:
        """New or changed: encoded and sent."""
        written: np.ndarray = self.mine & ~self.kept & ~self.carried
        return written

    @property
    def share(self) -> float:
        """Part of the shard's rows that the base has not."""
        return float(1 - self.kept.sum() / max(1, self.mine.sum())) + len(self.gone) / max(1, len(self.keys))


def changes(rows: Path, *, base: Path | None, parent: Path | None, shard: int = 0, shards: int = 1) -> Changes:
    """Compare the file `rows` with the digests at `base` and `parent`, either of which may be missing."""
    new = read_digests(rows)
    keys = new.column(0).combine_chunks()
    mine = _mine(keys, shard, shards)
    kept = carried = np.zeros(len(keys), bool)
    gone = keys[:0]
    if base is not None:
        old = read_digests(base)
        kept = mine & _among(_pairs(new), _pairs(old))
        left = old.column(0).combine_chunks()
        gone = left.filter(pa.array(_mine(left, shard, shards) & ~_among(left, keys)))
    if parent is not None and parent.is_file():
        carried = mine & ~kept & _among(_pairs(new), _pairs(read_digests(parent)))
    return Changes(keys, mine, kept, carried, gone)


def base_path(home: Path, release: str, table: Table) -> Path:
    """Where keys and digests of a base lie."""
    return home.resolve() / "bases" / release / f"{table.name}.parquet"


def keep_base(home: Path, release: str, table: Table) -> None:
    """Keep the keys and digests of `release` for those that will share its rows; written whole or not at all."""
    path = base_path(home, release, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(read_digests(offline_path(home, release, table)), aside, compression="zstd")
    aside.replace(path)


def forget_base(home: Path, release: str, table: Table) -> None:
    """Remove what `keep_base` kept."""
    path = base_path(home, release, table)
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        shutil.rmtree(path.parent, ignore_errors=True)


def _mine(keys: pa.Array, shard: int, shards: int) -> np.ndarray:
    if shards == 1:
        return np.ones(len(keys), bool)
    mine: np.ndarray = shard_of(keys.to_pandas(), shards) == shard
    return mine


def _pairs(table: pa.Table) -> pa.Array:
    """Digest and key of each row as one value; the digest's length is fixed, so no two pairs meet."""
    return join(table.column(1).combine_chunks().cast(pa.binary()), table.column(0).combine_chunks().cast(pa.binary()))


def _among(values: pa.Array, known: pa.Array) -> np.ndarray:
    found: np.ndarray = pc.is_in(values, value_set=known).to_numpy(zero_copy_only=False)
    return found
