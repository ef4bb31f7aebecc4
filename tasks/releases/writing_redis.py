"""Rows into Redis: HSET commands put together in Arrow and sent as they lie; rows carried over inside the server.

Feast keeps one hash per entity with four-byte fields that name view and feature, so a release's fields are its own
and no two releases can share one: what has not changed is copied by the server, which costs memory but neither
encoding nor network. A field is written again by writing it again, so a write that was killed is done again by
running it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from feast.infra.key_encoding_utils import serialize_entity_key_prefix
from feast.infra.online_stores.helpers import _mmh3
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]

from feature_repo import features
from tasks import schema
from tasks.columns import Table
from tasks.releases import encoding
from tasks.releases.changes import Changes
from tasks.releases.ledger import Origin
from tasks.releases.manifest import Manifest
from tasks.releases.offline import read_rows

Client = Any
"""A `redis.Redis`, whose types know texts but no bytes."""
SCAN = 1_000
"""Keys looked at by one step of a removal."""
CARRY_BATCH = 200
"""Entities copied by one script: a script holds the server up, so this is how long a read may wait (some 3 ms)."""
CARRY = """
local n, missing = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  local old = {}
  for j = 1, n do old[j] = ARGV[3 + j] end
  local found, whole = redis.call('HMGET', key, unpack(old)), true
  for j = 1, n do whole = whole and found[j] end
  if whole and found[n] == ARGV[2] then
    local new = {}
    for j = 1, n do new[2 * j - 1] = ARGV[3 + n + j]; new[2 * j] = found[j] end
    new[2 * n - 2], new[2 * n] = ARGV[3], ARGV[4 + 2 * n]
    redis.call('HSET', key, unpack(new))
  else
    missing[#missing + 1] = i
  end
end
return missing
"""
"""Fields come as features, release, event time. A row whose time is not the parent's was pushed over it: not copied."""


def write(client: Client, manifest: Manifest, table: Table, path: Path, plan: Changes, origin: Origin) -> int:
    """Bring the rows of `plan` online: what the parent has by copying inside the server, the rest from `path`.

    Gives the rows that were sent.
    """
    written = plan.written | _not_carried(client, manifest, table, plan, origin)
    fields = hash_fields(manifest.name, table)
    same = [encoding.constant(manifest.name), stamp(manifest.as_of)]
    for batch in read_rows(path, written):
        values = [encoding.encode(batch[column.name], column) for column in table.features]
        send(client, _keys(batch[table.key[0]], table), fields, [*values, *(pa.scalar(s, pa.binary()) for s in same)])
    return int(written.sum())


def send(client: Client, keys: pa.BinaryArray, fields: Sequence[bytes], values: Sequence[pa.Array | pa.Scalar]) -> None:
    """One HSET per key with all `fields`, as one stream; raises redis' own error where the server refuses one.

    https://redis.io/docs/latest/develop/reference/protocol-spec/
    """
    start = b"*%d\r\n" % (2 + 2 * len(fields)) + _bulk(b"HSET")
    parts: list[pa.Array | pa.Scalar] = [
        encoding.headers(encoding.lengths(keys), lambda size: start + b"$%d\r\n" % size), keys
    ]  # fmt: skip
    for field, value in zip(fields, values, strict=True):
        before = b"\r\n" + _bulk(field)
        if isinstance(value, pa.Scalar):
            parts.append(pa.scalar(before + _bulk(value.as_py())[:-2], pa.binary()))
        else:
            sizes = encoding.lengths(value)
            parts += [encoding.headers(sizes, partial(_sized, before)), value]
    commands = encoding.join(*parts, pa.scalar(b"\r\n", pa.binary()))
    connection = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([encoding.stream(commands)])
        for _ in range(len(commands)):
            connection.read_response()
    except BaseException:
        connection.disconnect()  # replies may be left over, and the next user of the connection would get them
        raise
    finally:
        client.connection_pool.release(connection)


def push(client: Client, release: str, as_of: datetime, rows: Sequence[tuple[Table, pa.RecordBatch]]) -> int:
    """Put rows of several tables over a live release, all in one transaction; gives how many were newer."""
    wanted = [
        (key, hash_fields(release, table), [*values, encoding.constant(release)], time)
        for table, batch in rows
        for key, *values, time in zip(
            _keys(batch[table.key[0]], table).to_pylist(),
            *(encoding.encode(batch[column.name], column).to_pylist() for column in table.features),
            batch[schema.AS_OF.name].to_pylist(),
            strict=True,
        )
        if time > as_of
    ]

    def newer(pipe: Any) -> int:
        there = [pipe.hget(key, fields[-1]) for key, fields, _, _ in wanted]
        chosen = [row for row, old in zip(wanted, there, strict=True) if old is None or _time(old) < row[-1]]
        pipe.multi()
        for key, fields, values, time in chosen:
            pipe.hset(key, mapping=dict(zip(fields, [*values, stamp(time)], strict=True)))
        return len(chosen)

    if not wanted:
        return 0
    keys = {key for key, _, _, _ in wanted}
    written: int = client.transaction(newer, *keys, value_from_callable=True)
    return written


def remove(client: Client, release: str) -> None:
    """Remove every row of a release, pushed ones included: one pass over the keys of each entity."""
    for join_key in sorted({table.key[0] for table in schema.SERVED}):
        tables = [table for table in schema.SERVED if table.key[0] == join_key]
        fields = [field for table in tables for field in hash_fields(release, table)]
        pattern = _escaped(serialize_entity_key_prefix([join_key])) + b"*" + features.PROJECT.encode()
        cursor = 0
        while True:
            cursor, keys = client.scan(cursor, match=pattern, count=SCAN)
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hdel(key, *fields)
                pipe.execute()
            if not cursor:
                break


def hash_fields(release: str, table: Table) -> list[bytes]:
    """Fields of a row in the hash of its key: one for each feature, the release, the event time."""
    view = features.view_name(table, release)
    names = [*(c.name for c in table.features), schema.RELEASE.name]
    return [*(_mmh3(f"{view}:{name}") for name in names), f"_ts:{view}".encode()]


def stamp(time: datetime) -> bytes:
    """An event time as Feast keeps it in Redis."""
    made = Timestamp()
    made.FromDatetime(time.astimezone(UTC).replace(tzinfo=None))
    kept: bytes = made.SerializeToString()
    return kept


def _time(kept: bytes) -> datetime:
    time: datetime = Timestamp.FromString(kept).ToDatetime(UTC)
    return time


def _not_carried(client: Client, manifest: Manifest, table: Table, plan: Changes, origin: Origin) -> np.ndarray:
    """Copy the rows that the parent has; gives those that it turned out not to have, `(n,)`."""
    left = plan.carried.copy()
    rows = np.flatnonzero(left)
    if not len(rows) or origin.parent is None or origin.parent_as_of is None:
        return left
    old, new = hash_fields(origin.parent, table), hash_fields(manifest.name, table)
    arguments: list[int | bytes] = [
        len(new), stamp(origin.parent_as_of), encoding.constant(manifest.name), *old, *new, stamp(manifest.as_of)
    ]  # fmt: skip
    script = client.register_script(CARRY)
    for start in range(0, len(rows), CARRY_BATCH):
        here = rows[start : start + CARRY_BATCH]
        keys = _keys(plan.keys.take(pa.array(here)), table).to_pylist()
        missing = {place - 1 for place in script(keys=keys, args=arguments)}
        left[here] = [place in missing for place in range(len(here))]
    return left


def _keys(values: pa.Array, table: Table) -> pa.BinaryArray:
    return encoding.join(encoding.entity_keys(values, table.key[0]), pa.scalar(features.PROJECT.encode(), pa.binary()))


def _sized(before: bytes, size: int) -> bytes:
    return before + b"$%d\r\n" % size


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


def _escaped(text: bytes) -> bytes:
    """`text` for a pattern that matches it and nothing else."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^-" else bytes([c]) for c in text)
