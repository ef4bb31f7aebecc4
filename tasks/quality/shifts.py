"""Has a batch shifted against recent ones? Tests that know how much batches differ among themselves.

A test that knows sampling noise only finds every large batch guilty. Here each of the recent batches is compared with
the others in the same way as the new one with all of them: what they differ by is the yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Distance = Callable[[Array, Array], float]
"""How far two histograms (c,) lie apart."""

LEAST_EXPECTED = 5.0
"""Categories in which fewer are expected are counted together (Cochran, 1954)."""
MOST_FREEDOM = 10
"""Categories rise and fall together, words with their subject: no more of them are counted as independent."""
NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution in terms of its median absolute deviation."""


class Shift(NamedTuple):
    """statistic: of the test. p: that chance alone shifts a batch so far. effect: how far, beyond what is usual."""

    statistic: float
    p: float
    effect: float


def shift_of_shares(new: Array, recent: Array, distance: Distance) -> Shift | None:
    """Whether the histogram `new` (c,) differs from those of `recent` (k, c); None where too little was counted.

    A G-test of homogeneity between the batch and all recent ones together, in units of its mean over the recent
    batches, each against the others: the F-test of quasi-likelihood (McCullagh & Nelder, 1989, §4.5), whose dispersion
    is never below that of mere sampling. A batch larger than is usual counts no more than a usual one, because what
    sets batches apart does not shrink as they grow. The effect is `distance`, less its median over recent batches.
    """
    others = recent.sum(0) - recent  # (k, c)
    pairs = [_g_test(one, rest) for one, rest in zip(recent, others, strict=True) if one.sum() and rest.sum()]
    usual = [g / freedom for g, freedom in pairs if freedom]
    g, freedom = _g_test(new, recent.sum(0)) if new.sum() and recent.sum() else (0.0, 0)
    if not freedom or len(usual) < 2:
        return None
    fair = min(1.0, float(np.median(recent.sum(1))) / new.sum())
    statistic = g * fair / freedom / max(1.0, float(np.mean(usual)))
    counted = min(freedom, MOST_FREEDOM)
    apart = [distance(one, rest) for one, rest in zip(recent, others, strict=True) if one.sum() and rest.sum()]
    effect = distance(new, recent.sum(0)) - float(np.median(apart))
    return Shift(statistic, float(stats.f.sf(statistic, counted, counted * len(usual))), max(effect, 0.0))


def shift_of_size(rows: int, days: int, recent: Sequence[tuple[int, int]]) -> Shift:
    """Whether a batch of `rows` rows over `days` days is too small or too large beside `recent` ones (rows, days).

    A batch's size is the smaller of two ratios to the medians: of rows, and of rows per day. So days that are missing
    from a batch show, and one that catches up on a week is not too large. The logarithm of the size is t-tested with
    the spread of the recent ones (by their median absolute deviation, so that one odd batch does not blind the test),
    never below that of Poisson counts. The effect is the factor, 1 or more.
    """
    counts = np.array([r for r, _ in recent], dtype=float) + 0.5
    rates = counts / np.maximum([d for _, d in recent], 1)
    usual, rate = np.median(counts), np.median(rates)
    sizes = np.minimum(np.log(counts / usual), np.log(rates / rate))
    size = min(math.log((rows + 0.5) / usual), math.log((rows + 0.5) / max(days, 1) / rate))
    middle = np.median(sizes)
    spread = max(NORMAL_MAD * float(np.median(np.abs(sizes - middle))), 1 / math.sqrt(usual))
    apart = size - float(middle)
    statistic = apart / (spread * math.sqrt(1 + 1 / len(sizes)))
    return Shift(statistic, float(2 * stats.t.sf(abs(statistic), len(sizes) - 1)), math.exp(abs(apart)))


def differing_share(one: Array, other: Array) -> float:
    """Share of `one` that would have to be something else to look like `other`: the total variation distance, 0–1."""
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)


def moved_by(step: float) -> Distance:
    """The mean way from one histogram to the other, whose bins are `step` apart: the first Wasserstein distance."""

    def distance(one: Array, other: Array) -> float:
        return float(step * np.abs(np.cumsum(one / one.sum() - other / other.sum())).sum())

    return distance


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values, corrected for their number, in the order given.

    Holm (1979), https://www.jstor.org/stable/4615733: the chance of even one false alarm stays below the level.
    """
    order = np.argsort(ps)
    corrected, highest = [1.0] * len(ps), 0.0
    for place, at in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - place) * ps[at]))
        corrected[at] = highest
    return corrected


def _g_test(one: Array, other: Array) -> tuple[float, int]:
    """G of the table of both histograms, and its degrees of freedom: 0 where one category remains."""
    table: NDArray[Any] = _merged(np.stack([one, other]))
    if table.shape[1] < 2:
        return 0.0, 0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    ratio = np.divide(table, expected, out=np.ones_like(table), where=table > 0)
    return float(2 * (table * np.log(ratio)).sum()), table.shape[1] - 1


def _merged(table: Array) -> Array:
    """`table` (2, c) without empty columns and with the rare ones as one column."""
    table = table[:, table.sum(0) > 0]
    expected = table.sum(0) * table.sum(1).min() / table.sum()
    rare = expected < LEAST_EXPECTED
    if not rare.any():
        return table
    joined = table[:, rare].sum(1, keepdims=True)
    table, expected = table[:, ~rare], np.append(expected[~rare], expected[rare].sum())
    if expected[-1] >= LEAST_EXPECTED or not table.shape[1]:
        return np.hstack([table, joined])
    smallest = int(np.argmin(expected[:-1]))
    table[:, smallest] += joined[:, 0]
    return table
