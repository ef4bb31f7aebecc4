"""Small worlds with a known answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import empty
from tasks.scoring import ContentFeatures, ContentScorer, IdMap, Interactions

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def checkerboard(n: int = 40) -> tuple[Interactions, np.ndarray]:
    """Even users have all even items, odd users all odd ones, each but one: that one must be recommended first.

    (implicit's `tests/recommender_base_test.py` has the same world.)
    """
    rng = np.random.default_rng(0)
    withheld = np.array([2 * (u // 2 % (n // 2)) + u % 2 for u in range(n)])
    sequences = []
    for user in range(n):
        own = np.arange(user % 2, n, 2)
        sequences.append(rng.permutation(own[own != withheld[user]]))
    return Interactions.from_sequences(sequences, n), withheld


def block_vectors(n: int = 40, dims: int = 8) -> np.ndarray:
    """Item vectors (n, dims) of the checkerboard: even and odd items point two ways, with a little noise."""
    rng = np.random.default_rng(1)
    directions = np.eye(dims)[:2][np.arange(n) % 2]
    return (directions + 0.05 * rng.normal(size=(n, dims))).astype(np.float32)


def content_scorer(n: int = 40) -> ContentScorer:
    """Content of the checkerboard, users by their history alone."""
    vectors = block_vectors(n)
    nobody = np.full((n, vectors.shape[1]), np.nan, np.float32)
    return ContentScorer(ContentFeatures("e1", nobody, nobody), ContentFeatures("e1", vectors, vectors))


def event(user: str, item: str | None, kind: str = "purchase", days_ago: float = 10, **more: Any) -> dict[str, Any]:
    """One row of `schema.EVENTS`."""
    values: dict[str, Any] = dict.fromkeys(schema.EVENTS.names)
    values |= {"user_id": user, "item_id": item, "kind": kind, "batch_id": "b"}
    values |= {"event_time": AS_OF - timedelta(days=days_ago), "event_id": f"{user}{item}{kind}{days_ago}"}
    return values | more


def events(*rows: dict[str, Any]) -> pd.DataFrame:
    """A frame of `schema.EVENTS`."""
    frame = pd.DataFrame(list(rows), columns=list(schema.EVENTS.names)) if rows else empty(schema.EVENTS)
    frame["rating"] = frame["rating"].astype("float32")
    frame["event_time"] = pd.to_datetime(frame["event_time"], utc=True)
    return frame


def maps(frame: pd.DataFrame, users: list[str] | None = None, items: list[str] | None = None) -> tuple[IdMap, IdMap]:
    """Id maps of all users and items of `frame`, or of those given."""
    return (
        IdMap(users or sorted(frame["user_id"].unique()), personal=True),
        IdMap(items or sorted(frame["item_id"].dropna().unique())),
    )
