"""Reading what the ranking benchmark is run on: histories in order, and what is known of the items."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from scipy import sparse

from tasks import schema
from tasks.embeddings.encoder import Encoder
from tasks.errors import LeakError, SourceError
from tasks.evaluation import leave_one_out
from tasks.scoring import IdMap, Interactions
from tasks.sources.files import read_files
from tasks.sources.load import load_mapping

ID_COLUMNS = ("sas_id", "item_id", "id")
"""Columns of an item text file that may hold the id used in the sequences, the first that is there."""


@dataclass(frozen=True)
class Corpus:
    """Histories of n users over m items, split: models see `train`, `validation` (n,) chooses, `test` (n,) measures.

    `before_test` are the histories at test time: the train part and the validation item. −1 where a user has none.
    `attributes` CSR (m, f) with rows of length 1 or 0; `vectors` (m, d) unit, NaN without text.
    """

    items: IdMap
    train: Interactions
    before_test: Interactions
    validation: np.ndarray
    test: np.ndarray
    attributes: sparse.csr_matrix | None = None
    vectors: np.ndarray | None = None
    encoder: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `LeakError` where what models see holds more than the histories without their last two items."""
        held = self.validation >= 0
        longer = self.before_test.lengths - self.train.lengths
        seen = self.before_test.latest() != self.validation
        early = np.delete(self.before_test.items, self.before_test.indptr[1:][held] - 1)
        if (longer != held).any() or (seen & held).any() or not np.array_equal(early, self.train.items):
            wrong = int(((longer != held) | (seen & held)).sum()) or len(held)
            raise LeakError(f"the training part of {wrong} histories is not what came before the validation item")


def read_corpus(
    *,
    sequences: Path | None,
    events: Path | None,
    mapping: Path | None,
    item_text: Path | None,
    item_attributes: Path | None,
    encode: Callable[[], Encoder],
    cut_share: float | None = None,
) -> Corpus:
    """The corpus of the files given; text vectors come from the encoder that `encode` loads, where there is text.

    Split by leaving out each user's last two items, or, with `cut_share`, at the moment before which that share of all
    events lies (`_at`). Raises `SourceError` where a cut is asked for and only the order of the events is known.
    """
    if sequences is not None and cut_share is None:
        raw, texts = _sequences(sequences), {}
    elif events is not None:
        raw, texts = _events(events, mapping, cut_share)
    else:
        raise SourceError("name a file with --sequences or --events; a split at a time needs --events")
    ids = IdMap(sorted({item for row in raw for item, _ in row}, key=_natural))
    flat, lengths = ids.index([item for row in raw for item, _ in row]), [len(row) for row in raw]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if cut_share is None:
        train, validation, test = leave_one_out(indptr, flat)
    else:
        train, validation, test = _at(np.array([late for row in raw for _, late in row], bool), indptr, flat)
    seen = [np.append(t, v) if v >= 0 else t for t, v in zip(train, validation, strict=True)]
    texts |= _item_text(item_text, ids) if item_text else {}
    vectors, encoder = _vectors(texts, ids, encode) if texts else (None, "")
    return Corpus(
        ids,
        Interactions.from_sequences(train, len(ids)),
        Interactions.from_sequences(seen, len(ids)),
        validation,
        test,
        _attributes(item_attributes, ids) if item_attributes else None,
        vectors,
        encoder,
        {"users": len(raw), "items": len(ids), "interactions": len(flat), "measured": int((test >= 0).sum())},
    )


def _at(late: np.ndarray, indptr: np.ndarray, items: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """As `leave_one_out`, at a time: the test item is a user's first `late` (e,) one, the validation item the last
    before. Only users with two earlier items have a validation item, only those with one a test item; −1 else."""
    train, validation, test = [], np.full(len(indptr) - 1, -1, np.int64), np.full(len(indptr) - 1, -1, np.int64)
    for user, (a, b) in enumerate(itertools.pairwise(indptr)):
        early = b - a - int(late[a:b].sum())
        validation[user] = items[a + early - 1] if early >= 2 else -1
        test[user] = items[a + early] if 0 < early < b - a else -1
        train.append(items[a : a + early - (early >= 2)])
    return train, validation, test


def _sequences(path: Path) -> list[list[tuple[str, bool]]]:
    """One user a line: the user, then his items in the order of time; none is late."""
    with _opened(path) as file:
        return [[(item, False) for item in words[1:]] for line in file if len(words := line.split()) > 1]


def _events(
    path: Path, mapping: Path | None, cut_share: float | None
) -> tuple[list[list[tuple[str, bool]]], dict[str, str]]:
    """Histories of an event file, ties in the order of the file, whether each event is after the cut, and what was
    written about each item.

    The text of a user's last two events is left out, or that of what is after the cut and of the one event before: it
    was written when the answer was known.
    """
    chunks = read_files([path], load_mapping(mapping), schema.EVENTS, chunk_rows=50_000)
    frame = pd.concat(list(chunks), ignore_index=True).dropna(subset=["user_id", "item_id", "event_time"])
    frame = frame.sort_values(["user_id", "event_time"], kind="stable").drop_duplicates(["user_id", "item_id"])
    left = frame.groupby("user_id").cumcount(ascending=False)
    late = pd.Series(False, index=frame.index)
    if cut_share is not None:
        late = frame["event_time"] > frame["event_time"].quantile(cut_share, interpolation="lower")
        left = frame[~late].groupby("user_id").cumcount(ascending=False).reindex(frame.index, fill_value=-1) + 1
    told = frame[(left >= 2) & frame["text"].notna()]
    texts = told.groupby("item_id")["text"].apply(" ".join).to_dict()
    rows = pd.Series(list(zip(frame["item_id"], late, strict=True)), index=frame.index)
    return rows.groupby(frame["user_id"], sort=False).apply(list).tolist(), texts


def _item_text(path: Path, ids: IdMap) -> dict[str, str]:
    """All text of each item: the columns of words, in their order."""
    with _opened(path) as file:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    key = next((name for name in ID_COLUMNS if name in frame), None)
    if key is None:
        raise SourceError(f"{path.name}: no column {' or '.join(ID_COLUMNS)}; name the column with the items' ids so")
    words = [c for c in frame if c != key and frame[c].str.contains("[^0-9.,]").mean() > 0.5]
    frame = frame[(ids.find(frame[key]) >= 0) & ~frame[key].duplicated()]
    return dict(zip(frame[key], frame[words].agg(". ".join, axis=1).str.strip(), strict=True))


def _vectors(texts: dict[str, str], ids: IdMap, encode: Callable[[], Encoder]) -> tuple[np.ndarray, str]:
    """Unit vectors (m, d) of the items' texts and the encoder's fingerprint."""
    model = encode()
    known = [item for item in texts if texts[item].strip()]
    vectors = np.full((len(ids), model.size), np.nan, np.float32)
    vectors[ids.index(known)] = model.encode([texts[item] for item in known])
    return vectors, model.fingerprint


def _attributes(path: Path, ids: IdMap) -> sparse.csr_matrix:
    """TF-IDF of the attributes, CSR (m, f), each row of length 1: what few items share tells most."""
    with _opened(path) as file:
        given: dict[str, Sequence[Any]] = json.load(file)
    pairs = [(item, str(name)) for item, names in given.items() for name in names]
    names = IdMap(sorted({name for _, name in pairs}))
    row, column = ids.find([item for item, _ in pairs]), names.index([name for _, name in pairs])
    kept = row >= 0
    counts = sparse.csr_matrix((np.ones(kept.sum()), (row[kept], column[kept])), shape=(len(ids), len(names)))
    counts.data[:] = 1
    rarity = np.log(len(ids) / np.maximum(np.asarray(counts.sum(0)).ravel(), 1))
    weighted = counts @ sparse.diags(rarity)
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    return (sparse.diags(1 / np.maximum(norms, 1e-12)) @ weighted).tocsr().astype(np.float32)


def _opened(path: Path) -> IO[str]:
    if not path.is_file():
        raise SourceError(f"{path.name}: no such file")
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _natural(item: str) -> tuple[int, str]:
    """Numbers by size, names after them by letter."""
    return (int(item), "") if item.isdigit() else (1 << 62, item)
