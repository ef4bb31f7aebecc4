"""Which rows were accepted before, in 16 bytes a row, so that repeats are found without keeping the rows.

A row is known by two 64-bit hashes: of its key and of its content. Two keys out of ten million share a hash with
probability 3e-6 (birthday bound n² / 2⁶⁵); such a row would go to quarantine, where it is seen, and a row is dropped
as a repeat only where both hashes agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.columns import Table
from tasks.schema import EVENTS, TEXT_HASH

Hashes = NDArray[np.uint64]

NULL = "\ufffe"
"""Stands for null in a hash; a code point that is no character, so no accepted value holds it."""

_BATCH_ID = "batch_id"
_TEXT, _LANGUAGE = EVENTS["text"].name, EVENTS["language"].name


class Seen:
    """Key hash → content hash of accepted rows; of a key that comes twice the later content counts."""

    def __init__(self) -> None:
        self._runs: list[tuple[Hashes, Hashes]] = []

    @staticmethod
    def columns(table: Table) -> tuple[str, ...]:
        """The columns that rows are known by; a reader of accepted rows need read no others."""
        left_out = {_BATCH_ID, *((_TEXT, _LANGUAGE) if TEXT_HASH.name in table.names else ())}
        return tuple(name for name in table.names if name not in left_out)

    @classmethod
    def of(cls, frames: Iterable[pd.DataFrame], table: Table) -> Seen:
        """What the accepted rows in `frames`, oldest first, make known; `columns` says which columns they need."""
        seen = cls()
        for frame in frames:
            seen.add(*hashes(frame, table))
        return seen

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._runs)

    def add(self, keys: Hashes, contents: Hashes) -> None:
        """Take in rows; runs of like size are merged, so a look-up searches few and adding stays cheap."""
        run = _latest(keys, contents)
        while self._runs and len(self._runs[-1][0]) <= 2 * len(run[0]):
            older = self._runs.pop()
            run = _latest(np.concatenate([older[0], run[0]]), np.concatenate([older[1], run[1]]))
        if len(run[0]):
            self._runs.append(run)

    def merged(self) -> tuple[Hashes, Hashes]:
        """All keys in order and their contents, (n,) each."""
        runs = self._runs or [(np.zeros(0, np.uint64), np.zeros(0, np.uint64))]
        return _latest(*(np.concatenate(column) for column in zip(*runs, strict=True)))

    def find(self, keys: Hashes) -> tuple[NDArray[np.bool_], Hashes]:
        """Which `keys` are known, (n,), and the content of those that are, (n,)."""
        known, contents = np.zeros(len(keys), dtype=bool), np.zeros(len(keys), dtype=np.uint64)
        for run_keys, run_contents in self._runs:  # oldest first: a later run overwrites
            at = np.minimum(np.searchsorted(run_keys, keys), len(run_keys) - 1)
            hit = run_keys[at] == keys
            known |= hit
            contents[hit] = run_contents[at[hit]]
        return known, contents


class Claims:
    """Who came first with an id: each id of a batch belongs to the first sound row that has it.

    before: what was accepted in earlier batches; it is not changed. updates: True where a later batch may bring other
    content for a known id, as a catalogue does; within one batch an id never may have two contents.
    """

    def __init__(self, before: Seen, *, updates: bool) -> None:
        self._before, self._updates, self._batch = before, updates, Seen()

    def settle(self, keys: Hashes, contents: Hashes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which sound rows conflict with the owner of their id, and which repeat an accepted row; (n,) each."""
        known, old = self._before.find(keys)
        claimed, owned = self._batch.find(keys)
        settled = claimed if self._updates else claimed | known
        expected = np.where(claimed, owned, old)
        expected[~settled] = _first(keys[~settled], contents[~settled])
        claims = ~settled & (np.arange(len(keys)) == _first(keys, np.arange(len(keys))))
        self._batch.add(keys[claims], contents[claims])
        same = contents == expected
        return ~same, same & (~claims | (known & (contents == old)))


def hashes(frame: pd.DataFrame, table: Table) -> tuple[Hashes, Hashes]:
    """Hashes of the key and of the content of each accepted row, (n,) each.

    The batch is no content. Neither is the language of an event: where it was detected, a better detector must not
    turn a repeat into a conflict. The text is known by `text_hash` where there is one.
    """
    columns = [table[name] for name in Seen.columns(table)]
    hashed = {c.name: _hash(_plain(frame[c.name], c.type), few=bool(c.one_of)) for c in columns}
    key = _mix(hashed.pop(name) for name in table.key)
    return key, _mix(hashed.values())


def _hash(values: NDArray[Any], *, few: bool) -> Hashes:
    """SipHash of each value; of a column of few different values each is hashed once."""
    return np.asarray(pd.util.hash_array(values, categorize=few), dtype=np.uint64)


def _mix(columns: Iterable[Hashes]) -> Hashes:
    """One hash of several: a polynomial modulo 2⁶⁴ in Knuth's multiplier, so that columns cannot be swapped."""
    total: Hashes = np.zeros(1, dtype=np.uint64)
    for column in columns:
        total = total * np.uint64(6364136223846793005) + column
    return total


def _plain(column: pd.Series, kind: str) -> NDArray[Any]:
    """The column in one form whatever form it came in, so that equal values have equal hashes."""
    if kind == "timestamp":
        return np.asarray(column.astype("datetime64[us, UTC]").dt.tz_localize(None), dtype="datetime64[us]")
    if kind.startswith("list"):
        return np.array(["\x1f".join(map(str, values)) for values in column], dtype=object)
    if kind == "string":
        values, absent = column.to_numpy(dtype=object), column.isna().to_numpy()
        return np.where(absent, NULL, values) if absent.any() else values
    return np.asarray(column.to_numpy(kind, na_value=np.nan))


def _first(keys: Hashes, values: NDArray[Any]) -> NDArray[Any]:
    """For each row the value of the first row with its key."""
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return values[first[group]]


def _latest(keys: Hashes, contents: Hashes) -> tuple[Hashes, Hashes]:
    """The rows in order of their keys, of equal keys the last."""
    order = np.argsort(keys, kind="stable")
    keys, contents = keys[order], contents[order]
    last = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.zeros(0, dtype=bool)
    return keys[last], contents[last]
