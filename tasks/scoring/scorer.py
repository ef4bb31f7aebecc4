"""What a scorer is: fitted on interactions, it gives every item a score for a block of users."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Scorer(Protocol):
    """One way to score items.

    `scores` may be asked for users who were not there when it was fitted: it looks at `history`, which has a row for
    every user index, and at what the scorer itself knows of users.
    """

    name: str

    def fit(self, interactions: Interactions) -> Self:
        """Learn from `interactions`; forgets what was learnt before."""
        ...

    def scores(self, users: Indices, history: Interactions) -> Scores:
        """Score of every item for each of `users`, (b, m) float32; NaN where the scorer has nothing to say."""
        ...


def silenced(scores: NDArray[np.floating], users: Mask, items: Mask | None = None) -> Scores:
    """`scores` (b, m) as float32 with NaN in the rows outside `users` (b,) and the columns outside `items` (m,)."""
    quiet = np.asarray(scores, dtype=np.float32)
    quiet[~users] = np.nan
    if items is not None and not items.all():
        quiet[:, ~items] = np.nan
    return quiet
