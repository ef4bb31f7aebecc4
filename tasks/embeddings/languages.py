"""What a language gets from an encoder: whether its texts land where their translations land."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.errors import ModelError


@dataclass(frozen=True)
class Alignment:
    """How near texts lie to their translations."""

    parallel: float
    """Mean cosine of a text and its translation."""
    random: float
    """Mean cosine of a text and the translation of another."""
    found: float
    """Share of texts whose nearest translation is their own, both directions; 1/n by chance."""


def alignment(left: NDArray[np.float32], right: NDArray[np.float32]) -> Alignment:
    """Alignment of unit vectors `left` (n, d) and `right` (n, d), row by row translations of each other.

    Holds an (n, n) matrix: give it a sample of a few thousand. Raises `ModelError` for other shapes or n < 2.
    """
    if left.shape != right.shape or len(left) < 2:
        raise ModelError(f"alignment needs two or more pairs of vectors, not {left.shape} and {right.shape}")
    cosine = left @ right.T  # (n, n)
    own = np.diagonal(cosine)  # (n,)
    others = (cosine.sum() - own.sum()) / (cosine.size - len(own))
    rows = np.arange(len(own))
    found = ((cosine.argmax(1) == rows).mean() + (cosine.argmax(0) == rows).mean()) / 2
    return Alignment(float(own.mean()), float(others), float(found))
