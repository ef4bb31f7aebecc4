"""How long a pushed event takes, part by part, on the sample shop's release, beside Feast's own push.

    python -m benchmarks.push --users 600 --pushes 500 --json out.json

Events are those that the sample shop's people write and do after the release, each pushed by itself. `cpu` is the time
that this process was at work, and what is worth quoting on a machine that does other things too; wall time holds the
waits for the database and for the processor as well. Feast's push writes rows that are given: it computes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tasks.jobs.live.session import Live

DAYS = 60
WARM = 20
"""Pushes before the clock counts: the first opens the release, the next ones fill caches."""
QUANTILES = (50, 95, 99)


def prepare(home: Path, users: int, seed: int) -> list[dict[str, Any]]:
    """Publish a release of the shop's first days; gives the events of the day after, as a client would send them."""
    import pandas as pd

    from tasks import jobs
    from tasks.jobs import chain, sampling

    for first, days in ((0, DAYS), (DAYS, 4)):
        made = sampling.write(home / f"shop-{first}", users=users, days=days, seed=seed, faults=0, first_day=first)
        if first == 0:
            events, items = home / "shop-0" / "events.csv", home / "shop-0" / "items.jsonl"
            jobs.ingest(events=[str(events)], items=[str(items)], as_of=made["as_of"])
    chain.refresh()
    chain.score()
    chain.publish(force=True)
    later = pd.read_csv(home / f"shop-{DAYS}" / "events.csv", dtype=object)
    later = later.sort_values("event_time", kind="stable").astype(object)
    return [{str(k): v for k, v in row.items() if v == v} for row in later.to_dict("records")]


def measure(live: Live, events: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Milliseconds of each part of each push, of the whole by the clock, and of the processor."""
    parts: dict[str, list[float]] = {}
    for event in events:
        began, worked = time.perf_counter(), time.process_time()
        result = live.push(event)
        took = {"all": 1e3 * (time.perf_counter() - began), "cpu": 1e3 * (time.process_time() - worked)}
        if result.outcome != "accepted":
            raise SystemExit(f"an event was {result.outcome}: {result.faults}")
        text = "with text" if "text" in event else "without text"
        for name, value in {**result.milliseconds, **took, f"all, {text}": took["all"]}.items():
            parts.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in parts.items()}


def feast_push(live: Live, user: str, times: int) -> np.ndarray:
    """Milliseconds that Feast takes to put the same four rows into tables of its own, given the rows."""
    import pandas as pd
    from feast import FeatureView, FileSource

    from feature_repo import features
    from tasks import schema
    from tasks.jobs.live import log

    with log.alone(live.engine, [user]) as connection:
        release = live.release(connection)
        pending = release.pending(log.of_users(connection, [user], release.encoder.fingerprint))
    frames = release.rows([user], pending)
    views = {}
    for name in frames:
        table = schema.TABLES[name]
        source = FileSource(name=f"plain_{name}", path="none.parquet", timestamp_field=schema.AS_OF.name)
        fields = [features._field(table[key]) for key in table.key] + features.fields(table)
        views[name] = FeatureView(name=f"plain_{name}", entities=[features.USER], schema=fields, source=source)
    live.features.apply([features.USER, *views.values()])
    live.features.refresh_registry()  # type: ignore[no-untyped-call]
    stamped = {name: frame.assign(**{schema.RELEASE.name: release.name}) for name, frame in frames.items()}
    took = []
    for n in range(times):
        began = time.perf_counter()
        for name, frame in stamped.items():
            rows = frame.assign(**{schema.AS_OF.name: frame[schema.AS_OF.name] + pd.Timedelta(seconds=n)})
            live.features.write_to_online_store(f"plain_{name}", rows)
        took.append(1e3 * (time.perf_counter() - began))
    return np.array(took[WARM:])


def main() -> None:
    """Print a table and, with `--json`, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.push", description=__doc__)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--pushes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penchant-bench-") as folder:
        os.environ["PENCHANT_HOME"] = str(Path(folder) / "home")
        from tasks.jobs.live.session import Live

        events = prepare(Path(folder), arguments.users, arguments.seed)[: WARM + arguments.pushes]
        live = Live()
        began = time.perf_counter()
        measure(live, events[:1])
        first = time.perf_counter() - began
        measure(live, events[1:WARM])
        parts = measure(live, events[WARM:])
        parts["feast, rows given"] = feast_push(live, events[-1]["user_id"], WARM + 100)
    rows = {name: {f"p{q}": float(np.percentile(v, q)) for q in QUANTILES} for name, v in parts.items()}
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"{'milliseconds':<20}" + "".join(f"{f'p{q}':>9}" for q in QUANTILES))
    for name, row in rows.items():
        print(f"{name:<20}" + "".join(f"{value:>9.1f}" for value in row.values()))
    print(f"pushes: {len(parts['all'])}; the first, which opens the release: {first:.1f} s; load a core: {load:.1f}")
    if arguments.json:
        settings = {"users": arguments.users, "pushes": len(parts["all"]), "seed": arguments.seed, "load": load}
        arguments.json.write_text(json.dumps({**settings, "first_seconds": first, "milliseconds": rows}, indent=1))


if __name__ == "__main__":
    main()
