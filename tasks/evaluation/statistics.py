"""How far a mean can be trusted, and whether two methods differ: seeded, vectorised resampling over users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2_000
BLOCK = 2_000_000  # resampled values held at a time: 16 MB


@dataclass(frozen=True)
class Paired:
    """Mean difference of two methods over the same users, its 95 % interval, and the two-sided p-value."""

    difference: float
    low: float
    high: float
    p: float
    users: int


def interval(values: NDArray[np.float64], seed: int, draws: int = DRAWS) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean (Efron & Tibshirani 1993); NaN left out."""
    kept = values[~np.isnan(values)]
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.quantile(_means(kept, seed, draws), [0.025, 0.975])
    return float(low), float(high)


def paired(one: NDArray[np.float64], other: NDArray[np.float64], seed: int, draws: int = DRAWS) -> Paired:
    """`one` − `other` user by user: bootstrap interval, and a sign-flip permutation test for p.

    Under no difference the sign of each user's difference is chance (Smucker, Allan & Carterette 2007); p counts
    the draws at least as far from 0, the data themselves included, so it is never 0.
    """
    gap = one - other
    gap = gap[~np.isnan(gap)]
    if not len(gap):
        return Paired(float("nan"), float("nan"), float("nan"), float("nan"), 0)
    low, high = interval(gap, seed, draws)
    moving = gap[gap != 0]  # the others stay 0 whichever sign they get
    observed = abs(moving.sum())
    rng = np.random.default_rng(seed)
    as_far = 0
    step = max(1, BLOCK // max(len(moving), 1))
    for at in range(0, draws, step):
        signs = rng.integers(0, 2, (min(step, draws - at), len(moving)), dtype=np.int8) * 2 - 1
        as_far += int((np.abs(signs @ moving) >= observed - 1e-12).sum())
    return Paired(float(gap.mean()), low, high, (as_far + 1) / (draws + 1), len(gap))


def _means(values: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.float64]:
    """Means of `draws` resamples `(draws,)`."""
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    step = max(1, BLOCK // len(values))
    for at in range(0, draws, step):
        take = rng.integers(0, len(values), (min(step, draws - at), len(values)))
        means[at : at + len(take)] = values[take].mean(axis=1)
    return means
