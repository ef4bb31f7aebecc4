"""Collaborative scores by implicit-feedback matrix factorisation: people who liked the same things.

Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets", fitted by the `implicit` library.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from tasks.errors import ModelError, NotEnoughData
from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Scores, silenced


class CollaborativeScorer:
    """Alternating least squares over weights as confidence; a disliked item is a confident zero.

    A user is folded in from the history at scoring time, so new events count without a new fit; there each liked item
    weighs × `recency` per item touched later. Silent for users
    without a liked item and for items nobody touched. Defaults: `factors` and `regularization` in the range that
    Rendle et al. (2022), "Revisiting the performance of iALS", find to work across data sets.
    """

    def __init__(
        self,
        factors: int = 64,
        regularization: float = 0.1,
        alpha: float = 4.0,
        iterations: int = 15,
        recency: float = 1.0,
        seed: int = 0,
        threads: int = 1,
        name: str = "collaborative",
    ) -> None:
        self.name = name
        self.factors, self.regularization, self.alpha = factors, regularization, alpha
        self.iterations, self.recency, self.seed, self.threads = iterations, recency, seed, threads
        self.model: AlternatingLeastSquares | None = None
        self.known = np.zeros(0, bool)

    def fit(self, interactions: Interactions) -> Self:
        """Factorise; raises `NotEnoughData` where nobody liked anything."""
        matrix = interactions.matrix()
        if not (matrix.data > 0).any():
            raise NotEnoughData("collaborative: no user liked an item; at least one positive event is needed")
        self.model = self._unfitted()
        with threadpool_limits(1, "blas"):  # implicit runs its own threads; BLAS threads below them make it crawl
            self.model.fit(matrix, show_progress=False)
        self.known = np.bincount(matrix.indices, minlength=interactions.n_items) > 0
        return self

    @property
    def item_factors(self) -> Scores:
        """Taste vector of each item `(m, factors)`; all that folding a user in needs, so all that is saved."""
        if self.model is None:
            raise ModelError(f"{self.name}: fit before asking for scores")
        return np.asarray(self.model.item_factors, dtype=np.float32)

    @item_factors.setter
    def item_factors(self, factors: Scores) -> None:
        self.model = self._unfitted()
        self.model.item_factors = factors

    def scores(self, users: Indices, history: Interactions) -> Scores:
        """Inner product of the folded-in user and each item (b, m)."""
        items = self.item_factors
        rows = history.of(users)
        block, liking = rows.matrix(), np.diff(rows.liked().indptr) > 0
        if self.recency < 1:
            block = block.minimum(0) + rows.liked(self.recency)
        with threadpool_limits(1, "blas"):
            assert self.model is not None
            folded = self.model.recalculate_user(np.arange(len(users)), block) if len(users) else items[:0]
        return silenced(folded @ items.T, liking, self.known)

    def _unfitted(self) -> AlternatingLeastSquares:
        return AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.regularization,
            alpha=self.alpha,
            iterations=self.iterations,
            random_state=self.seed,
            num_threads=self.threads,
        )
