"""How fast a user's profile is read: Feast's SDK, `feast serve`, Penchant's read service, and the raw store.

    python -m benchmarks.serving --store redis --users 10000 --json out.json

One release is published with planted values of real width (2,000 floats and 40 texts a user). Every way reads the same
users, 1, 10 and 100 at a time, in one run; only ratios are worth quoting, absolute figures depend on the machine.
"raw" is the shortest read of the same bytes by the store's own client, "decoded" the same with every value decoded.
The servers are real processes; the load comes from a process of its own and stays on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import psutil

from benchmarks.serving_inputs import TOKEN, publish, settings_of, user_ids

SIZES = (1, 10, 100)
"""Users in one request."""
SERVICES = ("recommendations", "user_interest")
BOTH = "both"
CONNECTIONS = 8
MOST = 4_000
"""Requests of one measurement at most."""


def main() -> None:
    """Print a table and, with `--json`, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--store", choices=("embedded", "postgres", "redis"), default="embedded")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penchant-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # the embedded server runs as a user of its own
        with settings_of(arguments.store, Path(folder) / "home") as environ:
            store = publish(arguments.users, arguments.seed)
            ids = sample(user_ids(arguments.users), arguments.seed)
            rows = list(
                printed(chain(in_process(store, ids, arguments.seconds), over_http(environ, ids, arguments.seconds)))
            )
    ratios = summarise(rows)
    for ratio in ratios:
        print(f"{ratio['users']} users: " + ", ".join(f"{k} {v:.1f}×" for k, v in ratio.items() if k != "users"))
    if arguments.json:
        settings = {name: getattr(arguments, name) for name in ("store", "users", "seconds", "seed")}
        arguments.json.write_text(json.dumps({**settings, "rows": rows, "ratios": ratios}, indent=1))


def sample(ids: Sequence[str], seed: int) -> dict[int, list[list[str]]]:
    """By size, two hundred random requests of that many users."""
    rng = np.random.default_rng(seed)
    return {size: [[ids[i] for i in rng.integers(0, len(ids), size)] for _ in range(200)] for size in SIZES}


def in_process(store: Any, ids: Mapping[int, list[list[str]]], seconds: float) -> Iterator[dict[str, Any]]:
    """Feast's SDK, the raw store and the raw store with decoding, in this process, one request after the other."""
    from tasks.releases.decoding import decode

    services = [store.get_feature_service(name, allow_cache=True) for name in ("user_interest", "recommendations")]

    def sdk(keys: list[str]) -> None:
        for service in services:
            rows = {"user_id": keys}
            store.get_online_features(features=service, entity_rows=rows, full_feature_names=True).to_dict()

    raw = raw_reader(store)

    def decoded(keys: list[str]) -> None:
        for value in raw(keys):
            if value is not None:
                decode(value)

    for name, read in (("raw", raw), ("decoded", decoded), ("sdk", sdk)):
        for size, requests in ids.items():
            yield {"way": name, "asked": BOTH, "users": size, "connections": 1, **timed(read, requests, seconds)}


def timed(read: Callable[[list[str]], Any], requests: list[list[str]], seconds: float) -> dict[str, Any]:
    """Requests a second, p50, p99 and CPU in ms of `read`, one request after the other, but for the first ten."""
    for request in requests[:10]:
        read(request)
    times: list[float] = []
    end, used = time.perf_counter() + seconds, time.process_time()
    while time.perf_counter() < end and len(times) < MOST:
        began = time.perf_counter()
        read(requests[len(times) % len(requests)])
        times.append(time.perf_counter() - began)
    used = (time.process_time() - used) / len(times)
    p50, p99 = (float(np.percentile(times, q)) * 1000 for q in (50, 99))
    rate = len(times) / sum(times)
    return {"requests": len(times), "per_second": rate, "p50_ms": p50, "p99_ms": p99, "cpu_ms": used * 1000}


def raw_reader(store: Any) -> Callable[[list[str]], list[bytes | None]]:
    """The shortest read of the bytes of both user services by the store's own, synchronous client."""
    import psycopg
    import redis

    from tasks import schema
    from tasks.releases import locating

    names = locating.service_names(None)
    with psycopg.connect(locating.registry_conninfo(store)) as connection:
        rows = connection.execute(locating.SERVICES_QUERY, ("penchant", names)).fetchall()
    services = locating.pointer(rows, None).services
    views = [view for name in ("user_interest", "recommendations") for view in services[name]]
    entity = locating.EntityKeys(schema.USER_ID.name)
    if store.config.online_store.type == "redis":
        client = redis.Redis(**locating.redis_options(store))
        fields = [view.redis_field(name) for view in views for name in view.features]

        def from_redis(keys: list[str]) -> list[bytes | None]:
            with client.pipeline(transaction=False) as pipe:
                for key in entity(keys, locating.REDIS_TAIL):
                    pipe.hmget(key, fields)
                return [value for reply in pipe.execute() for value in reply]

        return from_redis
    online = psycopg.connect(
        locating.online_conninfo(store), autocommit=True, options="-c plan_cache_mode=force_generic_plan"
    )
    statement = " UNION ALL ".join(
        f'SELECT entity_key, feature_name, value FROM "{view.postgres_table}" WHERE entity_key = ANY(%(keys)s)'  # noqa: S608
        for view in views
    )

    def from_postgres(keys: list[str]) -> list[bytes | None]:
        cursor = online.execute(statement, {"keys": entity(keys)}, prepare=True, binary=True)
        return [value for _, _, value in cursor.fetchall()]

    return from_postgres


def over_http(
    environ: Mapping[str, str], ids: Mapping[int, list[list[str]]], seconds: float
) -> Iterator[dict[str, Any]]:
    """`feast serve` and the read service: latency on one connection, requests a second on eight."""
    for way, flags in (("feast serve", ["--feast"]), ("read service", [])):
        with server(environ, flags) as (port, process):
            for asked in (*SERVICES, *([BOTH] if way == "read service" else [])):
                for size, requests in ids.items():
                    wanted = [request_of(asked, keys) for keys in requests]
                    for connections in (1, CONNECTIONS):
                        yield {
                            "way": way,
                            "asked": asked,
                            "users": size,
                            "connections": connections,
                            **watched_load(process, port, wanted, connections, seconds),
                        }


def request_of(asked: str, keys: list[str]) -> tuple[str, str, str]:
    """Method, path and body of one request; `both` is the read service's own address."""
    if asked == BOTH:
        return "GET", f"/users?{urlencode([('id', key) for key in keys])}", ""
    body = {"feature_service": asked, "entities": {"user_id": keys}, "full_feature_names": True}
    return "POST", "/get-online-features", json.dumps(body)


def watched_load(
    process: psutil.Process, port: int, requests: list[tuple[str, str, str]], connections: int, seconds: float
) -> dict[str, Any]:
    """`load` after a short one that is not counted, with the CPU that the server takes for a request, in ms."""
    load(port, requests, connections, 0.3)
    before = cpu_seconds(process)
    found = load(port, requests, connections, seconds)
    used = cpu_seconds(process) - before
    return {**found, "cpu_ms": used / found["requests"] * 1000, "rss_mib": memory(process)}


def load(port: int, requests: list[tuple[str, str, str]], connections: int, seconds: float) -> dict[str, Any]:
    """What `benchmarks.serving_load` finds."""
    asked = {"port": port, "token": TOKEN, "requests": requests, "connections": connections, "most": MOST}
    command = [sys.executable, "-m", "benchmarks.serving_load"]
    spec = json.dumps({**asked, "seconds": seconds})
    done = subprocess.run(command, input=spec, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the load failed: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def server(environ: Mapping[str, str], flags: list[str]) -> Iterator[tuple[int, psutil.Process]]:
    """A server of its own process on a free port of 127.0.0.1, until the block ends."""
    from deploy.stack import free_port

    port = free_port(6600, lambda line: None)
    command = [sys.executable, "-W", "ignore", "-m", "deploy", "serve", *flags]
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(
            command, env={**os.environ, **environ, "FEATURE_SERVER": f"127.0.0.1:{port}"}, stdout=log, stderr=log
        )
        try:
            asyncio.run(until_up(port, started))
            yield port, psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(20)


async def until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until `/health` answers; raises `SystemExit` where the server ends or needs over ten minutes."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(3000):
            if process.poll() is not None:
                raise SystemExit(f"the server ended with status {process.returncode}")
            try:
                if (await client.get(f"http://127.0.0.1:{port}/health")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.2)
    raise SystemExit("the server did not come up")


def cpu_seconds(process: psutil.Process) -> float:
    """CPU that a process and its children have used."""
    return sum(sum(member.cpu_times()[:2]) for member in (process, *process.children(recursive=True)))


def memory(process: psutil.Process) -> int:
    """Resident memory of a process and its children, MiB."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_info().rss for member in family) >> 20


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By size: requests as a multiple of `feast serve`'s, and the p50 as a multiple of raw plus decoding."""
    cell = {(r["way"], r["asked"], r["users"], r["connections"]): r for r in rows}
    ratios = []
    for size in SIZES:
        ours, theirs = (
            {a: cell[way, a, size, CONNECTIONS] for a in SERVICES} for way in ("read service", "feast serve")
        )
        base = cell["decoded", BOTH, size, 1]["p50_ms"]
        ratios.append(
            {
                "users": size,
                **{f"{a}: req/s": ours[a]["per_second"] / theirs[a]["per_second"] for a in SERVICES},
                **{f"{a}: req per CPU second": theirs[a]["cpu_ms"] / ours[a]["cpu_ms"] for a in SERVICES},
                "p50 / decoded": cell["read service", BOTH, size, 1]["p50_ms"] / base,
                "sdk p50 / decoded": cell["sdk", BOTH, size, 1]["p50_ms"] / base,
            }
        )
    return ratios


def printed(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same rows, each printed as it comes."""
    print(f"{'way':<14}{'asked':<17}{'users':>6}{'conn':>6}{'req/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}")
    for row in rows:
        place = f"{row['way']:<14}{row['asked']:<17}{row['users']:>6}{row['connections']:>6}"
        times = f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}{row['cpu_ms']:>9.2f}"
        print(f"{place}{row['per_second']:>10.0f}{times}", flush=True)
        yield row


if __name__ == "__main__":
    main()
