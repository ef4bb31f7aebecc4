"""What a user's interest is read from: weighted, time-decayed links from users to texts and items.

An event of age a weighs 2^(−a / half-life). Ages are counted from the user's own latest event, not from `as_of`: a
weighted mean is the same either way, very old events do not underflow, and a user who did nothing new keeps exactly
the same features. Every event must lie at or before `as_of`; a later one raises `LeakError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import sparse

from tasks.columns import Table, empty
from tasks.errors import LeakError, ModelError, SpaceMismatch
from tasks.schema import EVENTS, RATING_MAX, RATING_MIN, TEXT_KINDS, USER_ID

USER_ROWS = 10_000
"""Users worked on at a time; bounds memory at users × width of a vector."""

TEXT_WEIGHTS: dict[str, float] = dict.fromkeys(TEXT_KINDS, 1.0)
"""Weight of the user's own words, by kind: whatever people write is equally about what they think of."""

ITEM_WEIGHTS: dict[str, float] = {
    "purchase": 1.0,
    "rating": 0.8,
    "review": 0.5,
    "comment": 0.5,
    "question": 0.5,
    "chat": 0.5,
    "search": 0.5,
    "click": 0.3,
    "view": 0.1,
}
"""Weight of the item acted upon, by kind, in units of one's own words. A purchase costs money and says as much as
words do. A rating takes a decision. Where words were written the item only adds to them. Clicks and views are cheap
and often idle; shops see some ten views for a purchase, so ten views weigh as much as one purchase."""

_USER, _ITEM, _KIND, _RATING = USER_ID.name, EVENTS["item_id"].name, EVENTS["kind"].name, EVENTS["rating"].name
_HASH, _TIME = EVENTS["text_hash"].name, EVENTS["event_time"].name


def refuse_future(events: pd.DataFrame, as_of: datetime) -> None:
    """Raise `LeakError` where an event is later than `as_of`."""
    late = int((events[_TIME] > as_of).sum())
    if late:
        raise LeakError(
            f"{late} of {len(events)} events are later than as_of {as_of.isoformat()}; leave them out or move as_of"
        )


def in_blocks(events: pd.DataFrame, as_of: datetime) -> Iterator[tuple[np.ndarray, np.ndarray, pd.DataFrame]]:
    """Events in blocks of users: user ids (u,), the row of each event's user (e,), the events (e).

    Users come in sorted order; an event of a later date than `as_of` raises `LeakError`.
    """
    refuse_future(events, as_of)
    codes, users = pd.factorize(events[_USER], sort=True)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(0, len(users) + USER_ROWS, USER_ROWS))
    for block, (first, last) in enumerate(pairwise(bounds)):
        if first < last:
            start = block * USER_ROWS
            rows = order[first:last]
            yield np.asarray(users[start : start + USER_ROWS]), codes[rows] - start, events.iloc[rows]


def decay(rows: np.ndarray, times: pd.Series, half_life_days: float) -> np.ndarray:
    """2^(−age / half-life) of each event (e,), its age being counted from the latest event of the same row."""
    days = times.to_numpy(dtype="datetime64[us]").astype(np.int64) / 86_400e6
    latest = np.full(int(rows.max()) + 1 if len(rows) else 0, -np.inf)
    np.maximum.at(latest, rows, days)
    result: np.ndarray = np.exp2((days - latest[rows]) / half_life_days)
    return result


def text_links(
    rows: np.ndarray,
    events: pd.DataFrame,
    texts: pd.Index,
    weights: np.ndarray,
    *,
    kinds: Mapping[str, float] = TEXT_WEIGHTS,
    size: int,
) -> sparse.csr_matrix:
    """Weight of each text in each user (size, texts): the sum over the user's events that carry the text.

    Raises `ModelError` where a text that counts is not in `texts`.
    """
    strength = weights * events[_KIND].map(kinds).fillna(0.0).to_numpy(dtype=np.float64)
    said = events[_HASH].notna().to_numpy() & (strength > 0)
    columns = texts.get_indexer(events.loc[said, _HASH])
    if (columns < 0).any():
        raise ModelError(
            f"{int((columns < 0).sum())} texts were not processed; compute the features of every text first"
        )
    return sparse.csr_matrix((strength[said], (rows[said], columns)), shape=(size, len(texts)))


def item_links(
    rows: np.ndarray, events: pd.DataFrame, items: pd.Index, weights: np.ndarray, *, size: int
) -> sparse.csr_matrix:
    """Weight of each item in each user (size, items): decayed strength of acting on it, scaled by what it was rated.

    A rating r multiplies the weight by (r − 1) / 4, so that an item somebody could not stand is no interest of
    theirs; an event without a rating counts in full. Items that are not in `items` are passed over: shops delist.
    """
    strength = weights * events[_KIND].map(ITEM_WEIGHTS).fillna(0.0).to_numpy(dtype=np.float64)
    pleased = (events[_RATING].to_numpy(dtype=np.float64, na_value=np.nan) - RATING_MIN) / (RATING_MAX - RATING_MIN)
    strength *= np.where(np.isnan(pleased), 1.0, pleased)
    columns = items.get_indexer(events[_ITEM])
    known = (columns >= 0) & (strength > 0)
    return sparse.csr_matrix((strength[known], (rows[known], columns[known])), shape=(size, len(items)))


def weighted_means(*parts: tuple[sparse.csr_matrix, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows with any evidence (r,) and the weighted mean of what they are linked to (r, d), float64.

    Each part is links (rows, n) and what they link to (n, d); a part with n = 0 says nothing.
    """
    filled = [(links, matrix) for links, matrix in parts if links.nnz]
    if not filled:
        return np.empty(0, dtype=np.int64), np.empty((0, 0))
    weight = np.sum([np.asarray(links.sum(axis=1)) for links, _ in filled], axis=0).reshape(-1, 1)
    kept = np.flatnonzero(weight[:, 0] > 0)
    total = np.sum([_product(links[kept], matrix) for links, matrix in filled], axis=0)
    return kept, total / weight[kept]


def _product(links: sparse.csr_matrix, matrix: np.ndarray) -> np.ndarray:
    """links @ matrix in double precision, touching only the rows of `matrix` that are linked to."""
    used = np.unique(links.indices)
    result: np.ndarray = links[:, used] @ matrix[used].astype(np.float64)
    return result


def one_encoder(*columns: pd.Series) -> str:
    """The encoder that all rows name; raises `SpaceMismatch` where there are two, `ModelError` where there is none."""
    names = sorted({name for column in columns for name in column.unique()})
    if len(names) > 1:
        raise SpaceMismatch(
            f"vectors of {len(names)} encoders ({', '.join(names)}) cannot be mixed; encode all texts again"
        )
    if not names:
        raise ModelError("there is no vector at all; encode the texts first")
    return str(names[0])


def stacked(lists: pd.Series, what: str) -> np.ndarray:
    """A list column as a matrix (n, d), float32; raises `ModelError` where the lists differ in length."""
    if not len(lists):
        return np.empty((0, 0), dtype=np.float32)
    try:
        return np.vstack(lists.to_numpy()).astype(np.float32, copy=False)
    except ValueError:
        raise ModelError(f"{what}: rows of different lengths; they come from different models") from None


def block_frame(table: Table, parts: Sequence[Mapping[str, object]], as_of: datetime) -> pd.DataFrame:
    """The rows of all blocks as one frame of `table`, dated `as_of`; no rows give an empty frame with its columns."""
    frames = [pd.DataFrame(part) for part in parts]
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return empty(table)
    return pd.concat(filled, ignore_index=True).assign(as_of=pd.Timestamp(as_of))[list(table.names)]
