"""Small hand-written frames."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tasks.schema import EVENTS, ITEM_CONTENT, ITEMS, TEXT_TOPICS, TEXT_VECTORS

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)


def events(*rows: dict[str, Any]) -> pd.DataFrame:
    """Events from rows that name what matters; `days_ago` counts back from `AS_OF`, and a text is its own hash."""
    frame = pd.DataFrame(
        [
            {
                "event_id": f"e{number}",
                "user_id": row["user"],
                "item_id": row.get("item"),
                "kind": row["kind"],
                "rating": row.get("rating", np.nan),
                "text": row.get("text"),
                "language": row.get("language", "en" if row.get("text") else None),
                "text_hash": row.get("text"),
                "event_time": AS_OF - timedelta(days=row.get("days_ago", 0)),
                "batch_id": "b",
            }
            for number, row in enumerate(rows)
        ],
        columns=list(EVENTS.names),
    )
    return frame.astype({"rating": "float32", "event_time": "datetime64[us, UTC]"})


def text_topics(mixes: dict[str, Sequence[float]]) -> pd.DataFrame:
    rows = [np.asarray(mix, dtype=np.float32) for mix in mixes.values()]
    return pd.DataFrame({"text_hash": list(mixes), TEXT_TOPICS["topic_mix"].name: rows})


def text_vectors(vectors: dict[str, Sequence[float]], encoder: str = "enc") -> pd.DataFrame:
    rows = [np.asarray(vector, dtype=np.float32) for vector in vectors.values()]
    return pd.DataFrame({"text_hash": list(vectors), TEXT_VECTORS["vector"].name: rows, "encoder": encoder})


def contents(items: dict[str, tuple[Sequence[float], Sequence[float]]], encoder: str = "enc") -> pd.DataFrame:
    """Item content of which only topic mix and vector matter."""
    frame = pd.DataFrame({"item_id": list(items), "encoder": encoder}, columns=list(ITEM_CONTENT.names))
    frame["topic_mix"] = [np.asarray(mix, dtype=np.float32) for mix, _ in items.values()]
    frame["vector"] = [np.asarray(vector, dtype=np.float32) for _, vector in items.values()]
    return frame


def catalogue(*rows: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(ITEMS.names))
    frame["categories"] = [["all"]] * len(rows)
    return frame


def topics(labels: Sequence[str], chinese: Sequence[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"topic_id": range(len(labels)), "label": labels, "label_zh": chinese})
