"""Similar items and similar users of one release: a faiss index over their vectors, published with the release.

Beside the offline files lie `similar/<space>.faiss` (the index), `<space>.parquet` (ids in its order) and, written
last, `<space>.json` (encoder, size, kind, measured recall, digests). Similarity is the cosine. Up to `EXACT` vectors
every one is looked at; above that, the vectors are cut into some 4√n cells (Sivic and Zisserman, 2003; faiss's own
advice for this size) and as many cells are looked at as it takes to find `RECALL` of the true neighbours, which is
measured on vectors of this very release when the index is built. Nothing is pickled; a damaged file is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks import schema
from tasks.errors import ReleaseError, RequestError, SpaceMismatch, StoreUnavailable
from tasks.releases.offline import ROW_GROUP, file_digest, offline_path

Space = Literal["items", "users"]
SPACES = {"items": (schema.ITEM_CONTENT, "vector"), "users": (schema.USER_VECTORS, "short_term")}
"""What can be searched: the table and its column of vectors."""
EXACT = 20_000
"""Vectors up to which all are looked at: some 2 ms for 384 numbers each on one core."""
RECALL = 0.98
"""Share of the ten true neighbours that an index must find when it is built; 0.95 is promised, the rest is margin."""
QUERIES, NEIGHBOURS = 300, 10
MOST = 1_000
"""Most neighbours that can be asked for."""
_ENCODER = "encoder"


@dataclass(frozen=True)
class Facts:
    """What an index is, and how well it finds."""

    encoder: str
    width: int
    rows: int
    kind: Literal["exact", "cells"]
    probes: int
    """Cells looked at for one question; 0 where all vectors are."""
    recall: float
    """Measured share of the ten true neighbours found."""
    digests: dict[str, str]
    """SHA-256 of the index and of the ids."""


@dataclass(frozen=True)
class Neighbour:
    """One item or user near the one asked about, and the cosine of the two."""

    key: str
    similarity: float


@dataclass(frozen=True)
class Index:
    """The vectors of one space of one release, for reading only."""

    space: Space
    facts: Facts
    ids: pd.Index
    faiss: Any

    @cached_property
    def _places(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.ids)}

    def like(self, key: str, k: int = NEIGHBOURS) -> list[Neighbour] | None:
        """The `k` nearest to the item or user called `key`, itself left out, nearest first; None where unknown."""
        if not 1 <= k <= MOST:
            raise RequestError(f"k is from 1 to {MOST}")
        place = self._places.get(key)
        if place is None:
            return None
        own = self.faiss.reconstruct(place)
        return [found for found in self.near(own, self.facts.encoder, k + 1) if found.key != key][:k]

    def near(self, vector: np.ndarray, encoder: str, k: int = NEIGHBOURS) -> list[Neighbour]:
        """The `k` nearest to a vector `(d,)` that `encoder` made, nearest first; `SpaceMismatch` for another's."""
        if encoder != self.facts.encoder or vector.shape != (self.facts.width,):
            raise SpaceMismatch(
                f"a vector of {vector.shape} by encoder {encoder or 'unnamed'} was about to meet {self.space} of "
                f"({self.facts.width},) by {self.facts.encoder}; encode it with the release's own encoder"
            )
        if not 1 <= k <= MOST + 1:
            raise RequestError(f"k is from 1 to {MOST}")
        if not np.isfinite(vector).all() or not vector.any():
            raise RequestError("the vector is zero or not finite, so nothing is like it")
        question = _unit(vector[None].astype(np.float32))
        similarities, places = self.faiss.search(question, min(k, self.facts.rows))
        found = zip(places[0], similarities[0], strict=True)
        return [Neighbour(str(self.ids[place]), float(value)) for place, value in found if place >= 0]


def build(home: Path, release: str, space: Space, *, seed: int = 0, exact: int = EXACT) -> Facts:
    """Write the index of one space of a release from its offline file; the file with its facts comes last.

    Rows whose vector is zero or not finite cannot be searched and are left out. Raises `SpaceMismatch` where the rows
    are of two encoders, `StoreUnavailable` where the disk is full.
    """
    path = offline_path(home, release, SPACES[space][0])
    ids, encoders, width = _look(path, space)
    if len(encoders) > 1:
        raise SpaceMismatch(f"release {release}, {space}: vectors of {len(encoders)} encoders; encode them all anew")
    rows = len(ids)
    index = faiss.IndexFlatIP(width) if rows <= exact else _cells(path, space, rows, width, seed)
    for _, vectors in _batches(path, space):
        index.add(vectors)
    probes, recall = (0, 1.0) if rows <= exact else _tuned(index, path, space, rows, seed)
    folder = _folder(home, release)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(index, str(aside := folder / f".{space}.{os.getpid()}"))
        aside.replace(folder / f"{space}.faiss")
        pq.write_table(pa.table({SPACES[space][0].key[0]: pa.array(ids, pa.string())}), aside, compression="zstd")
        aside.replace(folder / f"{space}.parquet")
        digests = {suffix: file_digest(folder / f"{space}.{suffix}") for suffix in ("faiss", "parquet")}
        kind: Literal["exact", "cells"] = "cells" if probes else "exact"
        facts = Facts(encoders.pop() if encoders else "", width, rows, kind, probes, recall, digests)
        aside.write_text(json.dumps(asdict(facts), indent=1))
        aside.replace(folder / f"{space}.json")
    except (OSError, RuntimeError) as error:  # faiss raises the latter
        raise StoreUnavailable(f"cannot write {folder}: {type(error).__name__}; free the disk and run again") from None
    return facts


def open_index(home: Path, release: str, space: Space) -> Index:
    """The index of one space of a release; raises `ReleaseError` where there is none or its files are not whole."""
    folder = _folder(home, release)
    try:
        facts = Facts(**json.loads((folder / f"{space}.json").read_text()))
    except (OSError, ValueError, TypeError):
        raise ReleaseError(f"release {release} has no index of {space}; prepare the release again") from None
    for suffix, digest in facts.digests.items():
        if file_digest(folder / f"{space}.{suffix}") != digest:
            raise ReleaseError(f"release {release}: {space}.{suffix} is damaged; prepare the release again")
    index: Any = faiss.read_index(str(folder / f"{space}.faiss"), faiss.IO_FLAG_READ_ONLY)
    if facts.probes:
        index.nprobe = facts.probes
        index.make_direct_map()  # so that a vector can be read back by its place
    ids = pq.read_table(folder / f"{space}.parquet").column(0).to_pandas()
    return Index(space, facts, pd.Index(ids, dtype=object), index)


def similar_items(home: Path, release: str, item_id: str, k: int = NEIGHBOURS) -> list[Neighbour] | None:
    """The items of a release most like one of them, nearest first; None where the item is unknown or has no vector."""
    return open_index(home, release, "items").like(item_id, k)


def similar_users(home: Path, release: str, user_id: str, k: int = NEIGHBOURS) -> list[Neighbour] | None:
    """The users of a release whose recent interest is most like one user's; None where the user is unknown."""
    return open_index(home, release, "users").like(user_id, k)


def _folder(home: Path, release: str) -> Path:
    return home.resolve() / "releases" / release / "similar"


def _look(path: Path, space: Space) -> tuple[list[str], set[str], int]:
    """Ids that can be searched, in order; encoders; width."""
    ids: list[str] = []
    width = 0
    for names, vectors in _batches(path, space):
        ids += names
        width = vectors.shape[1]
    return ids, set(pq.read_table(path, columns=[_ENCODER])[_ENCODER].unique().to_pylist()), width


def _batches(path: Path, space: Space) -> Iterator[tuple[list[str], np.ndarray]]:
    """Ids and unit vectors `(n, d)` of a release, some at a time."""
    table, column = SPACES[space]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=ROW_GROUP, columns=[table.key[0], column]):
        flat = batch.column(column).flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        lengths = np.unique(np.diff(batch.column(column).offsets.to_numpy()))
        if len(lengths) != 1:
            raise SpaceMismatch(f"{table.name}.{column}: vectors of different lengths; encode them all anew")
        vectors = flat.reshape(batch.num_rows, -1)
        length = np.linalg.norm(vectors, axis=1)
        good = np.isfinite(length) & (length > 0)
        names = batch.column(table.key[0]).filter(pa.array(good)).to_pylist()
        yield names, _unit(vectors[good])


def _cells(path: Path, space: Space, rows: int, width: int, seed: int) -> Any:
    """An empty index of some 4√n cells, trained on at most 40 vectors a cell."""
    cells = int(4 * rows**0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = seed + 1, 8, 40
    index.train(_sampled(path, space, rows, 40 * cells, seed))
    return index


def _sampled(path: Path, space: Space, rows: int, count: int, seed: int) -> np.ndarray:
    """At most `count` vectors drawn at random `(count, d)`."""
    chosen = np.sort(np.random.default_rng(seed).choice(rows, min(count, rows), replace=False))
    parts, start = [], 0
    for _, vectors in _batches(path, space):
        parts.append(vectors[chosen[(chosen >= start) & (chosen < start + len(vectors))] - start])
        start += len(vectors)
    return np.concatenate(parts)


def _tuned(index: Any, path: Path, space: Space, rows: int, seed: int) -> tuple[int, float]:
    """Cells to look at so that `RECALL` of the ten true neighbours are found, and the share that then is."""
    questions = _sampled(path, space, rows, QUERIES, seed + 1)
    heap = faiss.ResultHeap(len(questions), NEIGHBOURS + 1, keep_max=True)
    start = 0
    for _, vectors in _batches(path, space):
        similarities, places = faiss.knn(
            questions, vectors, min(NEIGHBOURS + 1, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT
        )
        heap.add_result(similarities, places + start)
        start += len(vectors)
    heap.finalize()
    # The first neighbour is the question itself. Equal vectors are as good as one another: similarities are compared.
    least = heap.D[:, -1:] - 1e-6
    index.nprobe = 1
    while True:
        found = index.search(questions, NEIGHBOURS + 1)[0]
        recall = float((found[:, 1:] >= least).mean())
        if recall >= RECALL or index.nprobe >= index.nlist:
            return int(index.nprobe), recall
        index.nprobe = min(index.nlist, index.nprobe + max(1, index.nprobe // 2))


def _unit(vectors: np.ndarray) -> np.ndarray:
    made: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(made, np.float32)
