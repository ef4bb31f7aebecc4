"""How true and how fast the search for similar items is, beside looking at every vector, in the same run.

    python -m benchmarks.similar --items 100000 --width 384 --json out.json

Vectors are planted around centres of clusters, as the vectors of texts are; on uniform noise every index looks bad, and
nobody's texts are uniform noise. Recall is the share of the true ten neighbours found, over items drawn at random.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd

from tasks import schema
from tasks.releases import vectors
from tasks.releases.offline import ROW_GROUP, write_offline

RELEASE = "r20260301_00000000"
AS_OF = pd.Timestamp("2026-03-01", tz="UTC")
SPREAD = 1.5
"""Length of the noise beside a centre of length 1: neighbours in a cluster then have a cosine near 0.3."""


def planted(items: int, width: int, seed: int) -> Iterator[pd.DataFrame]:
    """Rows of `item_content`, some at a time: one cluster for every 50 items."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(2, items // 50), width)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    for start in range(0, items, ROW_GROUP):
        count = min(ROW_GROUP, items - start)
        noise = rng.normal(size=(count, width)).astype(np.float32) * (SPREAD / width**0.5)
        made = centres[rng.integers(len(centres), size=count)] + noise
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        empty: list[list[Any]] = [[]] * count
        yield pd.DataFrame(
            {
                "item_id": [f"i{n:07d}" for n in range(start, start + count)],
                "as_of": AS_OF,
                "title": "title",
                "categories": empty,
                "topic_mix": empty,
                "vector": list(made),
                "encoder": "planted",
                "keywords": empty,
                "sentiment": np.float32(0.5),
                "popularity": np.float32(0),
            }
        )


def run(home: Path, *, items: int, width: int, queries: int, seed: int) -> dict[str, Any]:
    """Build, open and ask; gives the figures."""
    write_offline(home, RELEASE, schema.ITEM_CONTENT, planted(items, width, seed), as_of=AS_OF)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    built, build = _timed(lambda: vectors.build(home, RELEASE, "items", seed=seed))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    index, load = _timed(lambda: vectors.open_index(home, RELEASE, "items"))
    exact = faiss.IndexFlatIP(width)
    for frame in planted(items, width, seed):
        exact.add(np.stack(frame["vector"]))
    asked = np.random.default_rng(seed + 1).choice(items, queries, replace=False)
    ours: list[tuple[float, float]] = []
    plain: list[tuple[float, float]] = []
    hits = []
    index.like("i0000000")  # the first question also makes the table of ids
    for place in asked:
        found, times = _both(lambda place=place: index.like(f"i{place:07d}", 10))
        ours.append(times)
        own = exact.reconstruct(int(place))[None]
        (_, true), times = _both(lambda own=own: exact.search(own, 11))
        plain.append(times)
        hits.append(len({f"i{n:07d}" for n in true[0] if n != place} & {n.key for n in found}) / 10)
    return {
        "items": items,
        "width": width,
        "kind": built.kind,
        "cells_looked_at": built.probes,
        "recall_when_built": round(built.recall, 4),
        "recall": round(float(np.mean(hits)), 4),
        "build_cpu_seconds": round(build, 1),
        "build_peak_mib_more": round((peak - before) / 1024),
        "open_cpu_seconds": round(load, 2),
        "index_mib": round((home / "releases" / RELEASE / "similar" / "items.faiss").stat().st_size / 2**20),
        **_percentiles("ms", ours),
        **_percentiles("exact_ms", plain),
    }


def _timed(do: Callable[[], Any]) -> tuple[Any, float]:
    """What `do` gives, and its processor seconds."""
    start = time.process_time()
    return do(), time.process_time() - start


def _both(do: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What `do` gives, and its seconds on the clock and on the processor; the former also holds what others did."""
    clock, processor = time.perf_counter(), time.process_time()
    made = do()
    return made, (time.perf_counter() - clock, time.process_time() - processor)


def _percentiles(name: str, times: list[tuple[float, float]]) -> dict[str, float]:
    return {
        f"{prefix}{name}_p{percent}": round(1e3 * float(np.percentile([pair[place] for pair in times], percent)), 2)
        for place, prefix in enumerate(("", "cpu_"))
        for percent in (50, 99)
    }


def main(arguments: list[str] | None = None) -> int:
    """Run, print a table, and fail where fewer than 95 % of the true neighbours are found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        result = run(Path(home), items=chosen.items, width=chosen.width, queries=chosen.queries, seed=chosen.seed)
    for name, value in result.items():
        print(f"{name:<22}{value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1))
    return 0 if result["recall"] >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
