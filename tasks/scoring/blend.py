"""The blend: a weighted sum of calibrated scores, its weights learned on held-out data for each history length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import ModelError
from tasks.scoring.scorer import Scores

FLOOR = 1e-3  # least weight: a scorer that stands alone still decides, however little it helps beside others
EDGES = (1, 5, 20)
"""Bounds of the history-length buckets: nothing, a first look, some, a lot."""


@dataclass(frozen=True)
class Blend:
    """Weights (buckets, scorers), each row summing to 1, for the scorers `names`.

    A scorer that is silent about an item gives its weight to the others, in proportion to theirs; an item that all are
    silent about has no score.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    edges: tuple[int, ...] = EDGES

    def __post_init__(self) -> None:
        if self.weights.shape != (len(self.edges) + 1, len(self.names)):
            raise ModelError(
                f"blend: weights are {self.weights.shape}, not {(len(self.edges) + 1, len(self.names))} "
                "(history-length buckets, scorers)"
            )
        if not (self.weights > 0).all() or not np.allclose(self.weights.sum(1), 1):
            raise ModelError("blend: weights must be above 0 and sum to 1 in each bucket")

    @classmethod
    def of(cls, names: Sequence[str], weights: NDArray[np.floating], edges: Sequence[int] = EDGES) -> Blend:
        """A blend of any non-negative weights (buckets, scorers) or (scorers,), floored and brought to sum 1."""
        rows = np.broadcast_to(np.asarray(weights, dtype=np.float64), (len(edges) + 1, len(names)))
        return cls(tuple(names), normalised(rows), tuple(edges))

    def bucket(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which row of the weights each history length uses `(b,)`."""
        return np.asarray(np.searchsorted(self.edges, lengths, side="right"), dtype=np.int64)

    def parts(self, calibrated: Scores, lengths: NDArray[np.int64]) -> Scores:
        """What each scorer gives to each score, (s, b, …) as `calibrated`; 0 where it is silent."""
        weights = self._shaped(calibrated, lengths)
        said = ~np.isnan(calibrated)
        share = np.where(said, weights, 0)
        total = share.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(said, calibrated, 0) * (share / np.where(total > 0, total, np.nan)), np.float32)

    def scores(self, calibrated: Scores, lengths: NDArray[np.int64]) -> Scores:
        """Blended scores (b, m) of calibrated ones (s, b, m); NaN where all scorers are silent."""
        total, heard, term = (np.zeros(calibrated.shape[1:], np.float32) for _ in range(3))
        for weight, scores in zip(self._shaped(calibrated, lengths), calibrated, strict=True):
            missing = np.isnan(scores)
            np.multiply(scores, weight, out=term)
            np.copyto(term, 0, where=missing)
            total += term
            np.copyto(term, weight)
            np.copyto(term, 0, where=missing)
            heard += term
        with np.errstate(invalid="ignore"):
            total /= heard
        return total

    def to_json(self) -> dict[str, Any]:
        """The blend as plain JSON values."""
        return {"names": list(self.names), "edges": list(self.edges), "weights": self.weights.tolist()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Blend:
        """The blend that `to_json` wrote; raises `ModelError` where keys are missing."""
        try:
            return cls(tuple(value["names"]), np.asarray(value["weights"], dtype=np.float64), tuple(value["edges"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"not a blend: it has the keys {sorted(value)}") from error

    def _shaped(self, calibrated: Scores, lengths: NDArray[np.int64]) -> Scores:
        """The weights of each user as (s, b, 1, …), to multiply `calibrated` with."""
        rows = self.weights[self.bucket(lengths)].T.astype(np.float32)
        return np.asarray(rows.reshape(*rows.shape, *(1 for _ in calibrated.shape[2:])), dtype=np.float32)


def normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights with each row brought to sum 1, none below `FLOOR`."""
    shares = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-300)
    floored = np.maximum(shares, FLOOR)
    return np.asarray(floored / floored.sum(axis=-1, keepdims=True), dtype=np.float64)
