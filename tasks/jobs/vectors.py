"""Reading what neural jobs need: a saved sequence model, dated histories, vectors of texts and of items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks import schema
from tasks.errors import ArtifactError
from tasks.jobs.workspace import Refs
from tasks.settings import Settings
from tasks.store import Store

if TYPE_CHECKING:
    from tasks.embeddings import Histories, SequenceModel

SEQUENCE_MODEL = "sequence_model"
_HASH, _VECTOR = schema.TEXT_HASH.name, schema.TEXT_VECTORS["vector"].name


def load_sequence(store: Store, settings: Settings, refs: Refs) -> SequenceModel:
    """The sequence model of `refs` on the settings' device."""
    from tasks.embeddings import SequenceModel

    model: SequenceModel = SequenceModel.load(store.folder(refs[SEQUENCE_MODEL]), device=settings.device)
    return model


def histories(store: Store, refs: Refs, events: pd.DataFrame, items: pd.DataFrame, users: Sequence[str]) -> Histories:
    """Dated histories of `users` with the vectors of what they wrote."""
    from tasks.embeddings import build_histories

    hashes = events[_HASH].dropna().unique()
    names, matrix = store.read_matrix(refs[schema.TEXT_VECTORS.name], schema.TEXT_VECTORS, _VECTOR, hashes)
    return build_histories(
        events, items[schema.ITEM_ID.name].tolist(), list(users), text_hashes=list(names), text_vectors=matrix
    )


def item_vectors(store: Store, refs: Refs, events: pd.DataFrame, items: pd.DataFrame) -> np.ndarray:
    """Mean vector of each item's own texts, unit length (m, d); of what people wrote about it where it has none.

    An item without either has a vector of zeros. Raises `ArtifactError` where a text was not encoded.
    """
    from tasks.interests import item_texts

    columns = [schema.ITEM_ID.name, _HASH]
    own = item_texts(items)[columns]
    about = events.loc[events[_HASH].notna() & ~events[schema.ITEM_ID.name].isin(own[schema.ITEM_ID.name]), columns]
    texts = pd.concat([own, about.dropna()], ignore_index=True)
    names, matrix = store.read_matrix(refs[schema.TEXT_VECTORS.name], schema.TEXT_VECTORS, _VECTOR, set(texts[_HASH]))
    rows = pd.Index(names).get_indexer(texts[_HASH])
    if (rows < 0).any():
        raise ArtifactError(f"{int((rows < 0).sum())} texts have no vector; run encode_shard for every shard")
    place = pd.Index(items[schema.ITEM_ID.name]).get_indexer(texts[schema.ITEM_ID.name])
    total = np.zeros((len(items), matrix.shape[1]), np.float32)
    np.add.at(total, place[place >= 0], matrix[rows[place >= 0]])
    unit: np.ndarray = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return unit


def text_vectors(store: Store, refs: Refs, hashes: pd.Series) -> pd.DataFrame:
    """Rows of `schema.TEXT_VECTORS` for `hashes`, in their order; raises `ArtifactError` where one is missing."""
    vectors = store.read_frame(refs[schema.TEXT_VECTORS.name], schema.TEXT_VECTORS)
    rows = pd.Index(vectors[_HASH]).get_indexer(hashes)
    if (rows < 0).any():
        raise ArtifactError(f"{int((rows < 0).sum())} texts have no vector; run encode_shard for every shard")
    return vectors.iloc[rows].reset_index(drop=True)
