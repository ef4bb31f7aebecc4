"""Chunks as sources give them, small and written by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from tasks.columns import Table
from tasks.quality import BatchCheck, Judge, Seen, Verdict
from tasks.quality.chunk import PROBLEMS, contract
from tasks.schema import EVENTS, ITEMS

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "event_id": "e",
    "user_id": "u1",
    "item_id": "i1",
    "kind": "review",
    "rating": 4.0,
    "text": "Warm tone and it stays in tune.",
    "language": None,
    "event_time": datetime(2026, 2, 1, tzinfo=UTC),
}
ITEM: dict[str, Any] = {
    "item_id": "i",
    "title": "Travel guitar",
    "title_zh": "旅行吉他",
    "description": "Small, light and loud.",
    "description_zh": None,
    "categories": ["music", "guitars"],
    "price": 120.0,
    "brand": "Wren",
    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
}
SAMPLES = {EVENTS.name: EVENT, ITEMS.name: ITEM}


def chunk(*rows: dict[str, Any], table: Table = EVENTS, first: int = 1) -> pd.DataFrame:
    """A chunk of the sample row with changes; ids are made from the position where a row gives none."""
    key = table.key[0]
    full = [
        {**SAMPLES[table.name], key: f"{SAMPLES[table.name][key]}{first + n}", PROBLEMS: [], **row}
        for n, row in enumerate(rows)
    ]
    frame = pd.DataFrame(full, columns=[*(c.name for c in contract(table)), PROBLEMS], dtype=object)
    for column in contract(table):
        if column.type == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True).astype("datetime64[us, UTC]")
        elif column.type.startswith("float"):
            frame[column.name] = frame[column.name].astype(column.type)
    frame.insert(0, "position", np.arange(first, first + len(full), dtype=np.int64))
    frame.insert(1, "row", [json.dumps({"raw": n}) for n in range(first, first + len(full))])
    return frame


TERMS: dict[str, Any] = {"batch_id": "b1", "source": "reviews.csv", "as_of": AS_OF, "future_tolerance_hours": 24}


def batch_check(table: Table = EVENTS, **changes: Any) -> BatchCheck:
    """A check that refuses nothing for its share of bad rows, unless told."""
    return BatchCheck(table, **{**TERMS, "max_quarantine_share": 1.0, "known_items": None, "seen": Seen(), **changes})


def judge(table: Table = EVENTS, **changes: Any) -> Judge:
    """A judge of the same batch."""
    return Judge(table, **{**TERMS, **changes})


def run(check: BatchCheck, *chunks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, Verdict]:
    """All accepted rows, all quarantine lines, and the verdict."""
    parts = [check.add(c) for c in chunks]
    accepted = pd.concat([p.accepted for p in parts], ignore_index=True)
    return accepted, pd.concat([p.quarantine for p in parts], ignore_index=True), check.finish()


def broken(rows: list[dict[str, Any]], table: Table = EVENTS, **changes: Any) -> list[tuple[int, str, str | None]]:
    """(position, rule, column) of every quarantine line."""
    _, quarantine, _ = run(batch_check(table, **changes), chunk(*rows, table=table))
    return list(quarantine[["position", "rule", "column"]].itertuples(index=False, name=None))
