"""Long- and short-term interest in the encoder's space, the drift between them, and evolution h* = [h; v]."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from tasks.errors import ModelError
from tasks.interests.evidence import (
    block_frame,
    decay,
    in_blocks,
    item_links,
    one_encoder,
    stacked,
    text_links,
    weighted_means,
)
from tasks.schema import EVENTS, ITEM_CONTENT, TEXT_HASH, TEXT_VECTORS, USER_EVOLUTION, USER_ID, USER_VECTORS

_USER, _TIME, _VECTOR, _ENCODER = USER_ID.name, EVENTS["event_time"].name, TEXT_VECTORS["vector"].name, "encoder"
_LONG, _SHORT = USER_VECTORS["long_term"].name, USER_VECTORS["short_term"].name


def user_vectors(
    events: pd.DataFrame,
    text_vectors: pd.DataFrame,
    item_content: pd.DataFrame,
    *,
    as_of: datetime,
    long_half_life_days: float,
    short_half_life_days: float,
) -> pd.DataFrame:
    """Long- and short-term interest of each user (`schema.USER_VECTORS`), unit length, and drift 1 − cosine.

    Each is the exponentially decayed mean of the vectors of the user's own texts and of the items acted upon, with
    the weights of `evidence.TEXT_WEIGHTS` and `evidence.ITEM_WEIGHTS`. A user without any such evidence, or whose
    evidence cancels to nothing, is absent: there is no vector for "unknown". Raises `SpaceMismatch` where text and
    item vectors come from different encoders, `ModelError` where a text has no vector.
    """
    texts, items = pd.Index(text_vectors[TEXT_HASH.name]), pd.Index(item_content[ITEM_CONTENT["item_id"].name])
    said, about = stacked(text_vectors[_VECTOR], TEXT_VECTORS.name), stacked(item_content[_VECTOR], ITEM_CONTENT.name)
    encoder = one_encoder(text_vectors[_ENCODER], item_content[_ENCODER])
    parts = []
    for users, rows, block in in_blocks(events, as_of):
        spaces = (texts, said), (items, about)
        long_rows, long = _term(rows, block, spaces, long_half_life_days, len(users))
        short_rows, short = _term(rows, block, spaces, short_half_life_days, len(users))
        known = np.intersect1d(long_rows, short_rows)
        long, short = long[np.searchsorted(long_rows, known)], short[np.searchsorted(short_rows, known)]
        drift = np.clip(1 - np.einsum("ij,ij->i", long, short), 0, 2)
        parts.append(
            {
                _USER: users[known],
                _LONG: list(long.astype(np.float32)),
                _SHORT: list(short.astype(np.float32)),
                USER_VECTORS["drift"].name: drift.astype(np.float32),
                _ENCODER: encoder,
            }
        )
    return block_frame(USER_VECTORS, parts, as_of)


def user_evolution(
    states: np.ndarray, user_ids: Sequence[str], user_vectors: pd.DataFrame, *, model: str, as_of: datetime
) -> pd.DataFrame:
    """h* = [h; v] of each user (`schema.USER_EVOLUTION`): LSTM states (n, h) followed by short-term text vectors.

    Rows of `states` belong to `user_ids`; users without a short-term vector are absent. Raises `ModelError` where
    states and ids differ in number.
    """
    if len(states) != len(user_ids):
        raise ModelError(f"{len(states)} states for {len(user_ids)} users; pass the ids that the states were made for")
    place = pd.Index(user_vectors[_USER]).get_indexer(pd.Index(user_ids, dtype=object))
    known = np.flatnonzero(place >= 0)
    if not len(known):
        return block_frame(USER_EVOLUTION, [], as_of)
    vectors = stacked(user_vectors[_SHORT].iloc[place[known]], USER_VECTORS.name)
    joined = np.hstack([states[known].astype(np.float32), vectors])
    part = {
        _USER: np.asarray(user_ids, dtype=object)[known],
        USER_EVOLUTION["evolution"].name: list(joined),
        USER_EVOLUTION["state_size"].name: states.shape[1],
        USER_EVOLUTION["model"].name: model,
    }
    return block_frame(USER_EVOLUTION, [part], as_of)


def _term(
    rows: np.ndarray,
    events: pd.DataFrame,
    spaces: tuple[tuple[pd.Index, np.ndarray], tuple[pd.Index, np.ndarray]],
    half_life_days: float,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Users (r,) whose decayed mean over texts and items has a direction, and that direction (r, d)."""
    (texts, said), (items, about) = spaces
    weights = decay(rows, events[_TIME], half_life_days)
    own = text_links(rows, events, texts, weights, size=size)
    acted = item_links(rows, events, items, weights, size=size)
    kept, mean = weighted_means((own, said), (acted, about))
    vectors, directed = unit(mean)
    return kept[directed], vectors[directed]


def unit(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, d) scaled to unit length, and which of them have a direction at all (n,)."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12), length[:, 0] > 1e-9
