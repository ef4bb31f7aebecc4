"""gensim's online LDA with its E-step done for a whole chunk of documents at once in sparse products.

Hoffman, Blei, Bach: Online Learning for Latent Dirichlet Allocation (2010). gensim's own E-step is a Python loop over
documents that starts from random numbers; this one gives the same fixed point, many times faster, and the same mix for
the same text on every call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gensim.models import LdaModel
from scipy import sparse
from scipy.special import psi

Progress = Callable[[int], object]
"""Called with 1 after every pass over the documents."""

ITERATIONS = 100
LEARNING_ITERATIONS = 30
"""Most iterations per document and pass while learning: γ goes on in the next pass from where it stopped, and an E-step
need not be finished for EM to converge (Neal and Hinton, 1998)."""
THRESHOLD = 1e-3
"""Mean change of a document's γ below which it stands still (gensim's default)."""
BATCH = 8192
"""Words worked on at a time, so that they and their topics stay in the processor's cache."""
_TINY = np.float32(1e-30)


def exp_expected_log(parameters: np.ndarray) -> np.ndarray:
    """exp E[log x] of Dirichlet distributions, one a row: (n, k) → (n, k)."""
    expected = psi(parameters) - psi(parameters.sum(axis=1, keepdims=True))
    return np.asarray(np.exp(expected), dtype=np.float32)


def infer_gamma(
    counts: sparse.csr_matrix,
    words: np.ndarray,
    alpha: np.ndarray,
    start: np.ndarray | None = None,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """Variational Dirichlet parameters γ (n, k) of the topic mix of each row of `counts` (n, v), float32.

    `words` is exp E[log β], transposed (v, k). Iteration begins at `start` (n, k) where given, else with every topic
    taking its share of the words (Blei's lda-c). Each document stops by itself, so its γ does not depend on the
    documents beside it; one without known words keeps γ = α, the prior.
    """
    tokens, lengths = np.asarray(counts.sum(axis=1)).reshape(-1, 1), np.diff(counts.indptr)
    gamma = np.asarray(alpha + tokens / len(alpha), dtype=np.float32)
    filled = np.flatnonzero(lengths)
    if start is not None:
        gamma[filled] = start[filled]
    cuts = np.flatnonzero(np.diff(np.cumsum(lengths[filled]) // BATCH)) + 1
    for rows in np.split(filled, cuts):
        if len(rows):
            entries = slice(counts.indptr[rows[0]], counts.indptr[rows[-1] + 1])  # rows between are empty
            near = words[counts.indices[entries]]
            gamma[rows] = _fixed_point(counts.data[entries], near, lengths[rows], gamma[rows], alpha, iterations)
    return gamma


def _fixed_point(
    counts: np.ndarray, words: np.ndarray, lengths: np.ndarray, gamma: np.ndarray, alpha: np.ndarray, iterations: int
) -> np.ndarray:
    """γ (n, k) at rest, for documents whose entries (e,) and topic weights of words (e, k) stand one after another."""
    result, place, live = gamma.copy(), np.arange(len(gamma)), np.ones(len(gamma), dtype=bool)
    for _ in range(iterations):
        fresh = alpha + _responsibility(counts, words, lengths, gamma)
        result[place[live]] = fresh[live]
        live &= np.abs(fresh - gamma).mean(axis=1) >= THRESHOLD
        gamma = fresh
        if not live.any():
            break
        if live.mean() < 0.75:  # copying costs as much as an iteration; do it where it pays
            entries = np.repeat(live, lengths)
            counts, words, lengths, gamma, place = (
                counts[entries],
                words[entries],
                lengths[live],
                gamma[live],
                place[live],
            )
            live = np.ones(len(gamma), dtype=bool)
    return result


def _responsibility(counts: np.ndarray, words: np.ndarray, lengths: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Expected number of tokens of each document that each topic explains (n, k).

    With Lee and Seung's trick: a count is divided by its normaliser Σ_k θ_dk β_kw, and no φ (n, v, k) is needed.
    """
    theta = exp_expected_log(gamma)
    ratio = counts / (np.einsum("ij,ij->i", np.repeat(theta, lengths, axis=0), words) + _TINY)
    starts = np.cumsum(lengths) - lengths
    return np.asarray(theta * np.add.reduceat(words * ratio[:, None], starts, axis=0))


def expected_counts(counts: sparse.csr_matrix, words: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Expected count of each word in each topic over all documents (k, v), the statistics of the M-step."""
    theta, rows = exp_expected_log(gamma), np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    norm = np.einsum("ij,ij->i", theta[rows], words[counts.indices]) + _TINY
    ratio = sparse.csr_matrix((counts.data / norm, counts.indices, counts.indptr), shape=counts.shape)
    return np.ascontiguousarray(((ratio.T @ theta) * words).T)


class SparseLda(LdaModel):  # type: ignore[misc]
    """gensim's `LdaModel` over the rows of a count matrix; the E-step and the start are ours, the learning is its."""

    def __init__(self, n_words: int, **settings: Any) -> None:
        self._counts, self._gamma = sparse.csr_matrix((0, n_words), dtype=np.float32), np.empty((0, 0), np.float32)
        self._after_chunk: Callable[[int], None] = lambda documents: None
        super().__init__(id2word=dict.fromkeys(range(n_words), ""), eval_every=None, **settings)

    def start_from(self, statistics: np.ndarray, *, documents: int = 0, steps_of: int = 0) -> None:
        """Begin at expected word counts per topic (k, v), which came from `documents` other documents.

        The more documents were learned from (`steps_of`), the smaller the steps from here on.
        """
        self.state.sstats[...] = statistics
        self.state.numdocs, self.num_updates = documents, steps_of
        self.sync_state()

    def learn(self, counts: sparse.csr_matrix, *, passes: int, progress: Progress | None = None) -> None:
        """Run `passes` passes of online learning over `counts` (n, v).

        A document's γ is remembered from pass to pass; starting from it takes a fraction of the iterations.
        """
        self._counts, done = counts, 0
        self._gamma = np.asarray(self.alpha + counts.sum(axis=1) / self.num_topics, dtype=np.float32)

        def advance(documents: int) -> None:
            nonlocal done
            before, done = done, done + documents
            if progress and done // counts.shape[0] > before // counts.shape[0]:
                progress(1)

        self._after_chunk = advance
        self.update(range(counts.shape[0]), passes=passes)

    def inference(self, chunk: Sequence[int], collect_sstats: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """γ (n, k) of the rows numbered in `chunk` and, where wanted, expected counts of words in topics (k, v)."""
        rows, words = np.asarray(chunk), np.ascontiguousarray(self.expElogbeta.T)
        counts = self._counts[rows]
        self._gamma[rows] = gamma = infer_gamma(counts, words, self.alpha, self._gamma[rows], LEARNING_ITERATIONS)
        self._after_chunk(len(chunk))
        return gamma, expected_counts(counts, words, gamma) if collect_sstats else None
