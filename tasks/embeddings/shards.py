"""Which texts are still to be encoded, and which shard encodes them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def missing(wanted: Iterable[str | None], have: Iterable[str]) -> list[str]:
    """The distinct hashes of `wanted` that `have` lacks, in order of first sight; nulls are no text."""
    unique = pd.Index(pd.Series(list(wanted), dtype=object).dropna().unique())
    return list(unique[~unique.isin(pd.Index(list(have), dtype=object))])


def shard_of(keys: Iterable[str], shards: int) -> NDArray[np.int64]:
    """The shard (n,) from 0 to `shards` - 1 of each key: by its content alone, so the same in every run."""
    hashed: NDArray[np.uint64] = pd.util.hash_array(
        np.array(list(keys), dtype=object), categorize=False
    )  # SipHash with a fixed key
    return np.asarray(hashed % np.uint64(shards), np.int64)
