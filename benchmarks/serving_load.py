"""A bounded load on an HTTP server of this machine: how many requests a second, and how long each takes.

    echo '{"port": 6566, "requests": [["GET", "/users/u1", ""]], …}' | python -m benchmarks.serving_load

Reads one JSON object: `port`, `connections`, `seconds`, `most` (requests), `token`, `requests` (method, path, body), of
which each connection takes the next one in turn. Prints one JSON object. It talks to 127.0.0.1 and to nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any

import numpy as np
import uvloop

HOST = "127.0.0.1"


def main() -> None:
    """Read what to do, do it, print what came out."""
    print(json.dumps(uvloop.run(load(json.load(sys.stdin)))))


async def load(asked: dict[str, Any]) -> dict[str, Any]:
    """Requests per second over all connections, p50 and p99 in ms, bytes of a mean answer; every answer must be 200."""
    raw = itertools.cycle([_request(*request, token=asked["token"]) for request in asked["requests"]])
    times: list[float] = []
    sizes: list[int] = []
    end = time.perf_counter() + asked["seconds"]

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection(HOST, asked["port"], limit=1 << 24)
        while time.perf_counter() < end and len(times) < asked["most"]:
            began = time.perf_counter()
            writer.write(next(raw))
            sizes.append(await _answer(reader))
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one_connection() for _ in range(asked["connections"])))
    seconds = time.perf_counter() - began
    p50, p99 = (float(np.percentile(times, q)) * 1000 for q in (50, 99))
    rate = len(times) / seconds
    return {"requests": len(times), "per_second": rate, "p50_ms": p50, "p99_ms": p99, "bytes": sum(sizes) // len(sizes)}


def _request(method: str, path: str, body: str, *, token: str) -> bytes:
    content = body.encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(content)}"] + ([f"Authorization: Bearer {token}"] if token else [])
    return "\r\n".join([*lines, "", ""]).encode() + content


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer to its end; gives the size of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise SystemExit(f"an answer was not 200: {head.splitlines()[0].decode()}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    size = int(length.partition(b":")[2])
    await reader.readexactly(size)
    return size


if __name__ == "__main__":
    main()
