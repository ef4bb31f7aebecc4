"""What a reader is told: values under Feast's own names, and beside them age, status and release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from tasks.columns import Column
from tasks.errors import RequestError
from tasks.releases.decoding import decode
from tasks.releases.freshness import Freshness, Status, stale_inputs
from tasks.releases.locating import StoredView
from tasks.serving.reader import Found
from tasks.serving.rows import Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = "1970-01-01T00:00:00Z"
"""Event time of what is absent and of keys, as Feast writes it."""
_FIELD_STATUS: dict[Status, str] = {"PRESENT": "PRESENT", "STALE": "OUTSIDE_MAX_AGE", "ABSENT": "NOT_FOUND"}
"""Feast's words (protos/feast/serving/ServingService.proto); its stores never say OUTSIDE_MAX_AGE themselves."""


def profiles(found: Found, key: Column, ids: Sequence[str], fresh: Freshness) -> list[dict[str, Any]]:
    """For each id: `release`, `known`, by block status, event time and age in seconds, and its features.

    Values of a stale block are there; of an absent one they are null.
    """
    answers = []
    for number, asked in enumerate(ids):
        blocks, values = {}, {}
        for view, rows in zip(found.plan.views, found.rows, strict=False):
            row = rows[number]
            blocks[view.table] = _block(view, row, fresh)
            stored = row[1] if row else [None] * len(view.features)
            for name, value in zip(view.features, stored, strict=True):
                values[f"{view.table}__{name}"] = None if value is None else decode(value)
        answers.append(
            {
                key.name: asked,
                "release": found.release,
                "known": any(block["status"] != "ABSENT" for block in blocks.values()),
                "stale_inputs": _stale_inputs(found, number, fresh),
                "blocks": blocks,
                "features": values,
            }
        )
    return answers


def columns(found: Found, key: Column, ids: Sequence[str], fresh: Freshness, *, full_names: bool) -> dict[str, Any]:
    """The answer of Feast's `/get-online-features`, and beside it `release`, `ages` and `stale_inputs` of each id.

    A column holds values, statuses and event times by id; a stale value's status is Feast's `OUTSIDE_MAX_AGE`.
    Raises `RequestError` where short names clash.
    """
    names = [key.name]
    results: list[dict[str, Any]] = [
        {
            "values": list(ids),
            "statuses": ["PRESENT"] * len(ids),
            "event_timestamps": [_NEVER] * len(ids),
            "ages": [None] * len(ids),
        }
    ]
    for view, rows in zip(found.plan.views, found.rows, strict=False):
        names += [f"{view.table}__{name}" if full_names else name for name in view.features]
        results += _columns(view, rows, fresh)
    if len(set(names)) != len(names):
        raise RequestError("features of several views share a name; ask with full_feature_names: true")
    return {
        "metadata": {"feature_names": names},
        "results": results,
        "release": found.release,
        "stale_inputs": [_stale_inputs(found, number, fresh) for number in range(len(ids))],
    }


def release(manifest: Mapping[str, Any], since: datetime | None, fresh: Freshness) -> dict[str, Any]:
    """A release by its `manifest`: name and time, its blocks' rows, age and status, since when it is live, its card."""
    as_of = datetime.fromisoformat(manifest["as_of"])
    blocks = {
        name: {
            "rows": block["rows"],
            "status": fresh.status(name, as_of),
            "age_seconds": fresh.age(as_of),
            "limit_seconds": fresh.limits[name].total_seconds(),
        }
        for name, block in manifest["blocks"].items()
        if name in fresh.limits
    }
    return {
        "release": manifest["name"],
        "as_of": _text(as_of.astimezone(UTC)),
        "live_since": _text(since.astimezone(UTC)) if since else None,
        "blocks": blocks,
        "card": manifest.get("card", {}),
    }


def _columns(view: StoredView, rows: Sequence[Row | None], fresh: Freshness) -> Iterable[dict[str, Any]]:
    """One column for each feature of `view`."""
    times = [_time(row) for row in rows]
    shared = {
        "statuses": [_FIELD_STATUS[fresh.status(view.table, time)] for time in times],
        "event_timestamps": [_text(time) if time else _NEVER for time in times],
        "ages": [fresh.age(time) for time in times],
    }
    for at in range(len(view.features)):
        stored = [row[1][at] if row else None for row in rows]
        yield {"values": [None if value is None else decode(value) for value in stored], **shared}


def _block(view: StoredView, row: Row | None, fresh: Freshness) -> dict[str, Any]:
    time = _time(row)
    return {
        "status": fresh.status(view.table, time),
        "event_time": _text(time) if time else None,
        "age_seconds": fresh.age(time),
    }


def _stale_inputs(found: Found, number: int, fresh: Freshness) -> list[str]:
    pairs = zip(found.plan.every, found.rows, strict=True)
    return stale_inputs({view.table: fresh.status(view.table, _time(rows[number])) for view, rows in pairs})


@lru_cache(maxsize=1024)
def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _time(row: Row | None) -> datetime | None:
    return None if row is None else _moment(row[0])


@lru_cache(maxsize=1024)
def _text(time: datetime) -> str:
    """RFC 3339, with milliseconds or microseconds only where there are any, as protobuf writes it."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S")
    if not time.microsecond:
        return whole + "Z"
    if time.microsecond % 1000:
        return f"{whole}.{time.microsecond:06}Z"
    return f"{whole}.{time.microsecond // 1000:03}Z"
