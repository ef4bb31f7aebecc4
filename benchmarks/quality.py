"""How fast a batch is checked, beside pandera and beside Great Expectations as it comes, with the same checks.

    python -m benchmarks.quality --rows 1000000 --chunk 50000 --json
    python -m benchmarks.quality --faults 0.26      (what is found of the 26 classes of faults of the sample shop)
    python -m benchmarks.quality --alarms           (alarms on 200 clean batches, and on planted shifts of whole ones)

Synthetic reviews in English and Chinese, one in a hundred with a fault, are checked chunk by chunk by each contender in
a process of its own: rows per second of checking (making the reviews is not counted), CPU seconds, and peak memory.

- `penchant`: the whole check: types, text brought to one form and redacted, language, hash, rules, duplicates and near
  duplicates over all chunks, quarantine and ledger. `given language` leaves out the detection of languages, which no
  other contender does.
- `pandera` and `stock GX` (result format COMPLETE): the same not-null, length, range, set, pattern and uniqueness
  checks, told the rows that fail; they see duplicates within a chunk only, and neither redact, find copies, bring text
  to one form nor write anything down.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import quality_alarms
from tasks import schema
from tasks.schema import EVENTS, KINDS, LANGUAGES

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
LATEST = AS_OF + timedelta(hours=24)
ITEMS = [f"item-{n}" for n in range(5_000)]
DAMAGE = "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ufffd]|Ã[\u0080-\u00bf]|â€|ï¿½|锟斤拷|鈥|銆"
WORD = r"[^\W\d_]"
LINKS = r"https?://[^\s<>]+|\bwww\.[^\s<>]+"
TAGS = r"</?[A-Za-z][\w:-]*(?:\s[^<>]*)?/?>|\[/?(?:b|i|u|url|img|quote|code)(?:=[^\]]*)?\]|\{\{[^{}]*\}\}"
PERSONAL = r"[\w.%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24}|(?<!\d)1[3-9]\d{9}(?!\d)|\d{3}-\d{3}-\d{4}"
"""What the others look for in text; our own rules look for more, and blank out what they find."""
_EN = ("the", "a", "sound", "is", "warm", "loud", "clear", "it", "stays", "in", "tune", "and", "feels", "light", "neck")
_ZH = "这把吉他的声音很好价格便宜物流快质量不错弦距低手感轻推荐购买"
Check = Callable[[pd.DataFrame], int]
"""Checks a chunk and says how many of its rows it stopped."""

LENGTHS = {c.name: c.max_length for c in EVENTS.columns if c.max_length and c.name != "text_hash"}
REQUIRED = ("event_id", "user_id", "kind", "event_time")


def reviews(rows: int, *, first: int, given_language: bool, seed: int) -> pd.DataFrame:
    """A chunk of reviews as sources give it; one row in a hundred has one of seven faults."""
    rng = np.random.default_rng([seed, first])
    chinese = rng.random(rows) < 0.4
    words = rng.integers(5, 90, rows)
    text = np.array([_text(rng, zh, n) for zh, n in zip(chinese, words, strict=True)], dtype=object)
    number = np.arange(first, first + rows)
    frame = pd.DataFrame(
        {
            "position": number,
            "row": [f'{{"n": {n}}}' for n in number],
            "event_id": [f"event-{n}" for n in number],
            "user_id": [f"user-{n}" for n in rng.integers(0, 100_000, rows)],
            "item_id": np.array(ITEMS, dtype=object)[rng.integers(0, len(ITEMS), rows)],
            "kind": "review",
            "rating": rng.integers(1, 6, rows).astype(np.float32),
            "text": text,
            "language": np.where(chinese, "zh", "en") if given_language else None,
            "event_time": pd.Series(AS_OF - pd.to_timedelta(rng.integers(0, 10**8, rows), unit="s")).dt.as_unit("us"),
            "problems": [[] for _ in range(rows)],
        }
    )
    bad = np.flatnonzero(rng.random(rows) < 0.01)
    fault = rng.integers(0, 7, len(bad))
    for n, (column, value) in enumerate(
        [("user_id", None), ("kind", "refund"), ("rating", 9), ("text", "x" * 20_001), ("text", "bad \ufffd text"),
         ("event_time", pd.Timestamp(AS_OF + timedelta(days=9))), ("item_id", "elsewhere")]
    ):  # fmt: skip
        frame.loc[bad[fault == n], column] = value
    return frame


def _text(rng: np.random.Generator, chinese: bool, words: int) -> str:
    alphabet = _ZH if chinese else _EN
    picked = [alphabet[i] for i in rng.integers(0, len(alphabet), words)]
    return "".join(picked) + "。" if chinese else " ".join(picked).capitalize() + "."


def penchant() -> Check:
    """The check as the pipeline runs it."""
    from tasks.quality import BatchCheck, Seen

    batch = BatchCheck(
        EVENTS,
        batch_id="benchmark",
        source="synthetic",
        as_of=AS_OF,
        future_tolerance_hours=24,
        max_quarantine_share=1,
        known_items=ITEMS,
        seen=Seen(),
    )
    return lambda chunk: int(batch.add(chunk).quarantine["position"].nunique())


def pandera() -> Check:
    """Lazy validation, so that every failing row is named."""
    from pandera import pandas as pa

    def column(name: str, *checks: Any) -> Any:
        most = [pa.Check.str_length(max_value=LENGTHS[name])] if name in LENGTHS else []
        return pa.Column(None, [*checks, *most], nullable=name not in REQUIRED, unique=name == "event_id")

    def at_most(pattern: str, most: int) -> Any:
        return pa.Check(lambda s: s.str.count(pattern) <= most, ignore_na=True)

    spoken = pa.Check(lambda f: f["text"].notna() | (f["kind"] != "review"), name="missing_text")
    schema = pa.DataFrameSchema(
        {
            "event_id": column("event_id"),
            "user_id": column("user_id"),
            "item_id": column("item_id", pa.Check.isin(ITEMS)),
            "kind": column("kind", pa.Check.isin(KINDS)),
            "rating": column("rating", pa.Check.in_range(1, 5)),
            "text": column(
                "text",
                pa.Check(lambda s: ~s.str.contains(DAMAGE, regex=True)),
                pa.Check(lambda s: s.str.contains(WORD, regex=True)),
                at_most(LINKS, 3),
                at_most(TAGS, 0),
                at_most(PERSONAL, 0),
            ),
            "language": column("language", pa.Check.isin(LANGUAGES)),
            "event_time": column("event_time", pa.Check.in_range(pd.Timestamp("1990-01-01", tz="UTC"), LATEST)),
        },
        checks=[spoken],
    )

    def check(chunk: pd.DataFrame) -> int:
        try:
            schema.validate(chunk, lazy=True)
        except pa.errors.SchemaErrors as error:
            return int(error.failure_cases["index"].nunique())
        return 0

    return check


def stock_gx() -> Check:
    """Great Expectations' own expectations on the raw columns, with COMPLETE results."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    batches = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = gx.ExpectationSuite(
        "stock",
        expectations=[
            *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in (*REQUIRED, "text")),
            *(gxe.ExpectColumnValueLengthsToBeBetween(column=n, max_value=most) for n, most in LENGTHS.items()),
            gxe.ExpectColumnValuesToBeInSet(column="item_id", value_set=ITEMS),
            gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=list(KINDS)),
            gxe.ExpectColumnValuesToBeInSet(column="language", value_set=list(LANGUAGES)),
            gxe.ExpectColumnValuesToBeBetween(column="rating", min_value=1, max_value=5),
            gxe.ExpectColumnValuesToBeBetween(
                column="event_time", min_value=datetime(1990, 1, 1, tzinfo=UTC), max_value=LATEST
            ),
            *(gxe.ExpectColumnValuesToNotMatchRegex(column="text", regex=r) for r in (DAMAGE, TAGS, PERSONAL)),
            gxe.ExpectColumnValuesToNotMatchRegex(column="text", regex=rf"(?:(?:{LINKS})[\s\S]*){{4}}"),
            gxe.ExpectColumnValuesToMatchRegex(column="text", regex=WORD),
            gxe.ExpectColumnValuesToBeUnique(column="event_id"),
        ],
    )

    def check(chunk: pd.DataFrame) -> int:
        batch = batches.get_batch(batch_parameters={"dataframe": chunk.drop(columns="problems")})
        results = batch.validate(suite, result_format="COMPLETE").results
        return len({row for result in results for row in result.result["unexpected_index_list"]})

    return check


NOTED = ("too_short", "markup", "personal_data", "personal_id")
STATISTICAL = ("near_duplicate", "repetition", "language", "encoding")
"""Rules whose verdict is an estimate; those of the others follow from the row."""

CONTENDERS: dict[str, tuple[Callable[[], Check], bool]] = {
    "penchant": (penchant, False),
    "penchant, given language": (penchant, True),
    "pandera": (pandera, True),
    "stock GX": (stock_gx, True),
}


def measure(name: str, rows: int, chunk: int, seed: int) -> dict[str, Any]:
    """One contender over `rows` reviews, after a small chunk that warms it up and is not counted."""
    make, given = CONTENDERS[name]
    make()(reviews(1_000, first=1, given_language=given, seed=seed + 1))
    idle = _peak_mib()
    check, wall, cpu, stopped = make(), 0.0, 0.0, 0
    for first in range(1, rows + 1, chunk):
        frame = reviews(min(chunk, rows + 1 - first), first=first, given_language=given, seed=seed)
        began = time.perf_counter(), time.process_time()
        stopped += check(frame)
        wall, cpu = wall + time.perf_counter() - began[0], cpu + time.process_time() - began[1]
    return {
        "contender": name,
        "rows": rows,
        "stopped": stopped,
        "seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "rows_per_second": round(rows / wall),
        "rows_per_cpu_second": round(rows / cpu),
        "idle_mib": idle,
        "peak_mib": _peak_mib(),
    }


def accuracy(rate: float, seed: int) -> list[dict[str, Any]]:
    """Of each class of faults in the sample shop: how many were planted, and how well their rule finds them."""
    from tasks.quality import BatchCheck
    from tasks.sources import load_mapping, read_files
    from tasks.sources.sample_shop import write_shop

    with tempfile.TemporaryDirectory() as folder:
        made = write_shop(Path(folder), users=600, days=90, seed=seed, faults=rate)
        paths, mapping = made["paths"], load_mapping(None)
        items = pd.concat(read_files([paths["items.jsonl"]], mapping, schema.ITEMS, chunk_rows=50_000))
        batch = BatchCheck(
            EVENTS,
            batch_id="shop",
            source="events.csv",
            as_of=datetime.fromisoformat(made["as_of"]),
            future_tolerance_hours=24,
            max_quarantine_share=1,
            known_items=items[schema.ITEM_ID.name],
            changes={rule: {"severity": "warning"} for rule in NOTED},  # so that every row found is named
        )
        chunks = read_files([paths["events.csv"]], mapping, EVENTS, chunk_rows=5_000)
        found = pd.concat([batch.add(chunk).quarantine for chunk in chunks])
        verdict, truth = batch.finish(), pd.read_parquet(paths["truth_faults.parquet"])
    hits = found[["position", "rule"]].merge(truth, on=["position", "rule"])
    lines = []
    for rule, rows in truth.groupby("rule"):
        hit, all_found = int((hits["rule"] == rule).sum()), int((found["rule"] == rule).sum())
        if rule == "exact_repeat":  # counted, not quarantined
            hit = all_found = verdict.rows.repeated
        precision = hit / all_found if all_found else None
        kind = "statistical" if rule in STATISTICAL else "deterministic"
        lines.append(
            {"rule": rule, "kind": kind, "planted": len(rows), "recall": hit / len(rows), "precision": precision}
        )
    return lines


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Run the contenders one after the other and print what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000, help="reviews to check")
    parser.add_argument("--chunk", type=int, default=50_000, help="reviews per chunk")
    parser.add_argument("--seed", type=int, default=0, help="seed of the reviews")
    parser.add_argument("--only", choices=CONTENDERS, nargs="*", default=list(CONTENDERS), help="contenders to run")
    parser.add_argument("--faults", type=float, help="instead: share of faulty rows in a sample shop, all found?")
    parser.add_argument("--alarms", action="store_true", help="instead: alarms on clean and on shifted batches")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.alarms:
        return _print(
            [line for users in (500, 2_000) for line in quality_alarms.measure(users, 4, 15, 10)], options.json
        )
    if options.faults:
        return _print(accuracy(options.faults, options.seed), options.json)
    context = multiprocessing.get_context("spawn")  # a process each: peaks of memory do not mix
    results = []
    for name in options.only:
        with context.Pool(1) as pool:
            results.append(pool.apply(measure, (name, options.rows, options.chunk, options.seed)))
    return _print(results, options.json)


def _print(lines: list[dict[str, Any]], as_json: bool) -> None:
    print(json.dumps(lines, indent=1) if as_json else pd.DataFrame(lines).to_string(index=False))


if __name__ == "__main__":
    main()
