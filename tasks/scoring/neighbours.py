"""Item-to-item scores: what stands beside, or right after, the things a user liked.

Simple methods that most sequence models fail to beat; they serve as baselines and, where they earn it, in the blend.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tasks.errors import ModelError
from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Mask, Scores, silenced

ROWS = 1_024  # items whose similarities are held densely at a time: ROWS × items × 4 bytes
CROWDED = 0.5  # share of pairs from which a dense matrix is the smaller one, and the faster one to multiply with


class ItemKNNScorer:
    """Cosine between items' users (Sarwar et al. 2001), summed over the liked items, each × `decay` per later event.

    Keeps the `neighbours` nearest of each item (None: all); `shrinkage` damps similarities that rest on few users.
    """

    def __init__(
        self, neighbours: int | None = 200, shrinkage: float = 0.0, decay: float = 0.7, name: str = "itemknn"
    ) -> None:
        self.name = name
        self.neighbours, self.shrinkage, self.decay = neighbours, shrinkage, decay
        self.similarity: sparse.csr_matrix | Scores | None = None
        self.known: Mask = np.zeros(0, bool)

    def fit(self, interactions: Interactions) -> Self:
        """Similarities, computed by blocks of items so that no full matrix is held."""
        liked = interactions.liked(cap=1.0)
        columns = liked.T.tocsr()
        norms = np.sqrt(np.asarray(columns.multiply(columns).sum(1)).ravel())
        self.known = norms > 0
        blocks = [self._similar(columns, liked, norms, at) for at in range(0, interactions.n_items, ROWS)]
        similarity = sparse.vstack(blocks).tocsr() if blocks else sparse.csr_matrix((0, 0), dtype=np.float32)
        crowded = similarity.nnz > CROWDED * interactions.n_items**2
        self.similarity = similarity.toarray() if crowded else similarity
        return self

    def scores(self, users: Indices, history: Interactions) -> Scores:
        """Sum of similarities to the user's liked items (b, m)."""
        if self.similarity is None:
            raise ModelError(f"{self.name}: fit before asking for scores")
        return from_items(self.similarity, users, history, self.decay, self.known)

    def _similar(
        self, columns: sparse.csr_matrix, liked: sparse.csr_matrix, norms: NDArray[np.float64], at: int
    ) -> sparse.csr_matrix:
        """Rows `at` to `at + ROWS` of the similarity matrix, each with its nearest items only."""
        both = (columns[at : at + ROWS] @ liked).tocoo()
        row, col = both.row, both.col
        value = both.data / (norms[at + row] * norms[col] + self.shrinkage)
        value[at + row == col] = 0
        block = sparse.csr_matrix((value.astype(np.float32), (row, col)), shape=both.shape)
        block.eliminate_zeros()
        return block if self.neighbours is None else strongest(block, self.neighbours)


class MarkovScorer:
    """Counts of what came right after the user's latest item; where they tie or end, popularity decides.

    First-order Markov chain; `backoff` of the probability goes to popularity (Jelinek–Mercer smoothing).
    """

    def __init__(self, backoff: float = 1e-3, name: str = "markov") -> None:
        self.name, self.backoff = name, backoff
        self.follows: sparse.csr_matrix | None = None
        self.share: Scores = np.zeros(0, np.float32)

    def fit(self, interactions: Interactions) -> Self:
        """Count pairs of neighbours in time, dislikes as targets left out."""
        interactions = interactions.distinct()  # a purchase after a view of the same thing leads nowhere
        here, there = np.arange(len(interactions.items) - 1), np.arange(1, len(interactions.items))
        user = interactions.user_of
        together = (user[here] == user[there]) & (interactions.weights[there] > 0)
        here, there = interactions.items[here[together]], interactions.items[there[together]]
        shape = (interactions.n_items, interactions.n_items)
        counts = sparse.csr_matrix((np.ones(len(here), np.float32), (here, there)), shape=shape)
        totals = np.maximum(np.asarray(counts.sum(1)).ravel(), 1)
        self.follows = (sparse.diags(1 / totals) @ counts).tocsr().astype(np.float32)
        popular = np.bincount(interactions.items[interactions.weights > 0], minlength=interactions.n_items)
        self.share = (popular / max(popular.sum(), 1)).astype(np.float32)
        return self

    def scores(self, users: Indices, history: Interactions) -> Scores:
        """(1 − backoff) · P(item after the latest) + backoff · popularity (b, m); silent without a latest item."""
        if self.follows is None:
            raise ModelError(f"{self.name}: fit before asking for scores")
        latest = history.of(users).latest()
        scores = self.follows[np.maximum(latest, 0)].toarray() * np.float32(1 - self.backoff)
        return silenced(scores + np.float32(self.backoff) * self.share, latest >= 0)


def strongest(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """The `k` largest entries of each row of `matrix`; equal ones by column."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    place = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    keep = order[place < k]
    return sparse.csr_matrix((matrix.data[keep], (row[keep], matrix.indices[keep])), shape=matrix.shape)


def from_items(
    weights: sparse.csr_matrix | Scores, users: Indices, history: Interactions, decay: float, known: Mask
) -> Scores:
    """Liked items × item-item `weights` (b, m); silent for users without a liked item and for unknown items."""
    profile = history.of(users).liked(decay, cap=1.0)
    scores = profile @ weights
    dense = scores.toarray() if sparse.issparse(scores) else np.asarray(scores)
    return silenced(dense, np.diff(profile.indptr) > 0, known)
