"""Wide rows as a recommender serves them, for `benchmarks.releases`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import Column, Table
from tasks.releases.offline import ROW_GROUP

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
WIDE = Table(
    "wide",
    "Wide rows as a recommender serves them.",
    (
        schema.USER_ID,
        schema.AS_OF,
        Column("text_vector", "list<float32>", "384 floats"),
        Column("state", "list<float32>", "128 floats"),
        Column("topic_mix", "list<float32>", "50 floats"),
        Column("item_ids", "list<string>", "20 ids"),
        Column("scores", "list<float32>", "20 floats"),
        Column("reasons", "list<string>", "20 short sentences"),
    ),
    key=("user_id",),
    entity="user",
)


def frames(users: int, changed: float = 0.0) -> Iterator[pd.DataFrame]:
    """The rows, 5,000 at a time; the same for the same number, but for the part `changed`."""
    for start in range(0, users, ROW_GROUP):
        rows = min(ROW_GROUP, users - start)
        rng = np.random.default_rng(start)
        made = {c.name: list(rng.random((rows, int(c.meaning.split()[0])), np.float32)) for c in WIDE.features[:3]}
        ids = rng.integers(0, 50_000, (rows, 20))
        frame = pd.DataFrame(
            {"user_id": [f"user-{start + i:08d}" for i in range(rows)], "as_of": [AS_OF] * rows, **made}
        )
        frame["item_ids"] = [[f"item-{i:06d}" for i in row] for row in ids]
        frame["scores"] = list(rng.random((rows, 20), np.float32))
        frame["reasons"] = [[f"because of item-{i:06d}" for i in row] for row in ids]
        moved = np.flatnonzero(np.random.default_rng(start + 1).random(rows) < changed)
        for row in moved:
            frame.at[row, "state"] = rng.random(128, np.float32)
        yield frame
