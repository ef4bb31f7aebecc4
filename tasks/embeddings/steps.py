"""Histories as packed batches: the first events of all users, then the second ones, and so on, without padding.

Shapes: b users, longest history first; t events in the longest; s events in all; k numbers in a text vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import schema
from tasks.embeddings.histories import NONE, Histories

_MIDDLE = (schema.RATING_MIN + schema.RATING_MAX) / 2
_HALF_RANGE = (schema.RATING_MAX - schema.RATING_MIN) / 2
_GAP_SCALE = 5.0  # log(1 + hours) of a week is about 5: brings gaps to the size of the other inputs

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """What the model reads of one packed batch."""

    items: Tensor
    """(s,) row of the item, `NONE` where there is none."""
    kinds: Tensor
    """(s,) place in `schema.KINDS`."""
    numbers: Tensor
    """(s, 3) gap, rating and whether there is a rating, each about the size of 1."""
    texts: Tensor | None
    """(s, k) text vectors, zeros where there is no text; None where the model reads none."""
    sizes: Tensor
    """(t,) users that have a first, second … event."""


def steps_of(histories: Histories, rows: Rows, sizes: Rows, gaps: Rows, text_size: int, device: torch.device) -> Steps:
    """The events `rows` (s,) of `histories` with batch sizes `sizes` (t,), on `device`.

    `gaps` (e,) are the seconds before each event of `histories`; `text_size` is 0 for a model that reads no text.
    """
    rated = np.isfinite(histories.ratings[rows])
    rating = np.where(rated, (histories.ratings[rows] - _MIDDLE) / _HALF_RANGE, 0)
    numbers = np.stack((np.log1p(gaps[rows] / 3600) / _GAP_SCALE, rating, rated), 1).astype(np.float32)  # (s, 3)
    texts = None
    if text_size:
        given = histories.texts[rows]
        texts = np.zeros((len(rows), text_size), np.float32)  # (s, k)
        texts[given != NONE] = histories.text_vectors[given[given != NONE]]
    return Steps(
        torch.from_numpy(histories.items[rows].astype(np.int64)).to(device),
        torch.from_numpy(histories.kinds[rows].astype(np.int64)).to(device),
        torch.from_numpy(numbers).to(device),
        None if texts is None else torch.from_numpy(texts).to(device),
        torch.from_numpy(sizes),  # torch wants these on the CPU
    )


def packed(starts: Rows, lengths: Rows) -> tuple[Rows, Rows]:
    """Rows (s,) in packed order of b histories that start at rows `starts` (b,), longest first, and sizes (t,)."""
    places = np.arange(lengths[0])[:, None]  # (t, 1)
    there = places < lengths  # (t, b)
    return (places + starts)[there], there.sum(1)


def pieces(histories: Histories, users: int, chunk: int) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Users (b,), rows (s,) and sizes (t,) of batches that read every history once, from front to back.

    A batch has at most `users` histories and reads at most `chunk` events of each.
    """
    lengths = histories.lengths
    order = np.argsort(-lengths, kind="stable")
    for first in range(0, len(order), users):
        batch = order[first : first + users]
        for start in range(0, int(lengths[batch[0]]), chunk):
            reached = batch[lengths[batch] > start]  # (b,): those whose history goes this far, still longest first
            rows, sizes = packed(histories.offsets[reached] + start, np.minimum(lengths[reached] - start, chunk))
            yield reached, rows, sizes
