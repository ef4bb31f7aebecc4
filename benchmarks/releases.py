"""What a release costs: writing rows online beside Feast's own ways and the store's limit, switching, going back.

    python -m benchmarks.releases --store embedded --users 10000 --json out.json

The rows are wide: a 384-float text vector, a 128-float state, a 50-float topic mix, twenty ids, scores and reasons.
Every way of writing them runs in a process of its own on the same file, one after the other, with a store of its own
views; slow ways take a sample of the users, which the table states. CPU seconds are those of the writing process: the
servers' own are the same work for each. Only ratios within one run are worth quoting.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

WAYS = ("ours", "one_percent", "raw", "switch", "feast_duckdb", "feast_file")


def measure(arguments: argparse.Namespace, way: str, home: Path) -> dict[str, Any]:
    """Run one way in a process of its own; raises `SystemExit` where it fails."""
    command = [sys.executable, "-m", "benchmarks.release_ways", way, "--home", str(home), "--store", arguments.store]
    command += ["--users", str(arguments.users), "--postgres", arguments.postgres, "--redis", arguments.redis]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{way} failed with exit status {done.returncode}:\n{done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"way": way, **measured}


def ratios(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Ours as a multiple of each other way: rows per CPU second, and per second for the raw write of the same bytes."""
    ours = rows["ours"]
    against = {
        name: ours["rows_per_cpu_second"] / rows[name]["rows_per_cpu_second"]
        for name in ("feast_file", "feast_duckdb")
        if name in rows
    }
    against["raw"] = ours["rows_per_second"] / rows["raw"]["rows_per_second"]
    if "one_percent" in rows:
        against["one_percent_cpu"] = rows["one_percent"]["cpu_seconds"] / ours["cpu_seconds"]
        against["one_percent_seconds"] = rows["one_percent"]["seconds"] / ours["seconds"]
    return against


def main() -> None:
    """Print a table and, with `--json`, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.releases", description=__doc__)
    parser.add_argument("--store", choices=("embedded", "postgres", "redis"), default="embedded")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--postgres", default="", help="libpq URI of a database of its own, for --store postgres")
    parser.add_argument("--redis", default="127.0.0.1:6379/15", help="address of a database of its own")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penchant-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # the embedded server has a user of its own
        print(f"{'way':<14}{'users':>9}{'seconds':>10}{'rows/s':>10}{'cpu s':>9}{'rows/cpu s':>12}{'MiB':>8}  more")
        measure(arguments, "prepare", Path(folder) / "home")
        rows = {}
        for way in arguments.ways:
            row = rows[way] = measure(arguments, way, Path(folder) / "home")
            more = {k: v for k, v in row.items() if k not in SHOWN}
            print(
                f"{way:<14}{row['rows']:>9,}{row['seconds']:>10.2f}{row['rows_per_second']:>10.0f}"
                f"{row['cpu_seconds']:>9.2f}{row['rows_per_cpu_second']:>12.0f}{row['peak_rss_mib']:>8.0f}  "
                + ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in more.items()),
                flush=True,
            )
    compared = ratios(rows) if {"ours", "raw"} <= set(rows) else {}
    print("ours against: " + ", ".join(f"{name} {value:.2f}×" for name, value in compared.items()))
    if arguments.json:
        settings = {"store": arguments.store, "users": arguments.users}
        arguments.json.write_text(json.dumps({**settings, "ways": list(rows.values()), "ratios": compared}, indent=1))


SHOWN = {"way", "rows", "seconds", "rows_per_second", "cpu_seconds", "rows_per_cpu_second", "peak_rss_mib"}

if __name__ == "__main__":
    main()
