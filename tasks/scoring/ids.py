"""External ids on one side, dense indices on the other; a model never sees an id, a frame never sees an index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.errors import ModelError

Indices = NDArray[np.int64]
SHOWN = 5  # ids quoted in a message; more would hide it


class IdMap:
    """A fixed, ordered set of ids; position is index.

    `personal` ids (people's) are counted in error messages, others are quoted. Raises `ModelError` on a repeated id.
    """

    def __init__(self, ids: Iterable[str], *, personal: bool = False) -> None:
        self._index = pd.Index(list(ids), dtype=object)
        self.personal = personal
        if not self._index.is_unique:
            repeated = self._index[self._index.duplicated()].unique()
            raise ModelError(f"ids must be unique; {self._said(repeated)} repeated: drop the repeats first")

    def __len__(self) -> int:
        return len(self._index)

    @property
    def ids(self) -> NDArray[Any]:
        """All ids `(n,)`, in order of index."""
        return np.asarray(self._index.to_numpy(), dtype=object)

    def index(self, ids: Iterable[str]) -> Indices:
        """Index of each id `(len(ids),)`; raises `ModelError` naming the ids that the map does not have."""
        wanted = pd.Index(list(ids), dtype=object)
        found = self._index.get_indexer(wanted)
        if (found < 0).any():
            missing = wanted[found < 0].unique()
            raise ModelError(
                f"{self._said(missing)} not among the {len(self)} known; build the map from the same tables"
            )
        return np.asarray(found, dtype=np.int64)

    def find(self, ids: Iterable[str]) -> Indices:
        """Index of each id `(len(ids),)`, −1 where the map does not have it."""
        return np.asarray(self._index.get_indexer(pd.Index(list(ids), dtype=object)), dtype=np.int64)

    def _said(self, ids: pd.Index) -> str:
        if self.personal:
            return f"{len(ids)} ids"
        return f"{len(ids)} ids ({', '.join(map(str, ids[:SHOWN]))}{', …' if len(ids) > SHOWN else ''})"
