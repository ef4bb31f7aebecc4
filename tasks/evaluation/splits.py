"""Splitting what is known into what a model may see and what it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks import schema
from tasks.errors import LeakError, NotEnoughData

Indices = NDArray[np.int64]
ACTS = ("review", "comment", "click", "rating", "purchase")
"""Kinds that count as wanting an item; a view may be a mistake and a question an aversion."""


def temporal(
    events: pd.DataFrame, cut: datetime, kinds: Iterable[str] = ACTS, least_rating: float = 3.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Global temporal split: events before `cut`, and the (user, item) pairs wanted from `cut` on.

    Pairs: new items only (the user never touched them before), of `kinds`, not rated below `least_rating`; one row a
    pair, columns user_id and item_id. Raises `NotEnoughData` where a side is empty.
    """
    user, item = schema.USER_ID.name, schema.ITEM_ID.name
    before = events[events["event_time"] < cut]
    after = events[(events["event_time"] >= cut) & events[item].notna() & events["kind"].isin(list(kinds))]
    after = after[~(after["rating"] < least_rating)]
    known = pd.MultiIndex.from_frame(before.loc[before[item].notna(), [user, item]].drop_duplicates())
    pairs = after[[user, item]].drop_duplicates()
    wanted = pairs[~pd.MultiIndex.from_frame(pairs).isin(known)].reset_index(drop=True)
    if before.empty or wanted.empty:
        raise NotEnoughData(
            f"temporal split at {cut.isoformat()}: {len(before)} events before, {len(wanted)} new pairs after; "
            "move the cut"
        )
    return before, wanted


def leave_one_out(indptr: Indices, items: Indices) -> tuple[list[Indices], Indices, Indices]:
    """Per user, in time order: what models may see (all but the last two), the validation item, the test item.

    `indptr` (n + 1,), `items` (e,) flat. A user with fewer than three events keeps all of them and has −1 twice.
    """
    starts, ends = indptr[:-1], indptr[1:]
    enough = ends - starts >= 3
    train = [items[a : b - 2 if ok else b] for a, b, ok in zip(starts, ends, enough, strict=True)]
    validation, test = np.full(len(starts), -1, np.int64), np.full(len(starts), -1, np.int64)
    validation[enough], test[enough] = items[ends[enough] - 2], items[ends[enough] - 1]
    return train, validation, test


def halves(user_ids: Iterable[str], salt: str = "card") -> NDArray[np.bool_]:
    """True for the half of the users that figures are measured on, False for the half that weights are learned on.

    By a hash of the id, so that a user stays on his side from run to run and machine to machine.
    """
    digests = (hashlib.blake2b(f"{salt}\0{user}".encode(), digest_size=1).digest()[0] for user in user_ids)
    return np.fromiter((digest & 1 for digest in digests), dtype=np.int64).astype(bool)


def refuse_leak(times: pd.Series, cut: datetime, what: str) -> None:
    """Raise `LeakError` where any of `times` is at or after `cut`, the moment from which labels are taken."""
    late = int((times >= cut).sum())
    if late:
        raise LeakError(f"{what}: {late} rows are dated at or after {cut.isoformat()}, where the labels begin")
