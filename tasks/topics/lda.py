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
THRESHOLD = 1e-3
"""Mean change of a document's γ below which it stands still (gensim's default)."""


def exp_expected_log(parameters: np.ndarray) -> np.ndarray:
    """exp E[log x] of Dirichlet distributions, one a row: (n, k) → (n, k)."""
    expected = psi(parameters) - psi(parameters.sum(axis=1, keepdims=True))
    return np.asarray(np.exp(expected), dtype=np.float32)


def infer_gamma(counts: sparse.csr_matrix, words: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Variational Dirichlet parameters γ (n, k) of the topic mix of each row of `counts` (n, v).

    `words` is exp E[log β], transposed (v, k). Each document stops by itself, so its γ does not depend on the
    documents beside it; one without known words keeps γ = α, the prior.
    """
    n_topics = len(alpha)
    tokens = np.asarray(counts.sum(axis=1), dtype=np.float32).reshape(-1, 1)
    gamma = (alpha + tokens / n_topics).astype(np.float32)  # start of Blei's lda-c: every topic takes its share
    moving = np.flatnonzero(tokens[:, 0] > 0)
    for _ in range(ITERATIONS):
        if not len(moving):
            break
        part = counts if len(moving) == len(gamma) else counts[moving]
        fresh = alpha + _responsibility(part, words, gamma[moving])
        change = np.abs(fresh - gamma[moving]).mean(axis=1)
        gamma[moving] = fresh
        moving = moving[change >= THRESHOLD]
    return gamma


def _responsibility(counts: sparse.csr_matrix, words: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Expected number of tokens of each document that each topic explains (n, k)."""
    theta = exp_expected_log(gamma)
    result: np.ndarray = theta * (_over_norm(counts, words, theta) @ words)
    return result


def _over_norm(counts: sparse.csr_matrix, words: np.ndarray, theta: np.ndarray) -> sparse.csr_matrix:
    """Each count divided by its normaliser Σ_k θ_dk β_kw (n, v); Lee and Seung's trick, which needs no φ (n, v, k)."""
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    norm = np.einsum("ij,ij->i", theta[rows], words[counts.indices]) + np.float32(1e-30)
    return sparse.csr_matrix((counts.data / norm, counts.indices, counts.indptr), shape=counts.shape)


class SparseLda(LdaModel):  # type: ignore[misc]
    """gensim's `LdaModel` over the rows of a count matrix; the E-step and the start are ours, the learning is its."""

    def __init__(self, n_words: int, **settings: Any) -> None:
        self._counts = sparse.csr_matrix((0, n_words), dtype=np.float32)
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
        """Run `passes` passes of online learning over `counts` (n, v)."""
        self._counts, done = counts, 0

        def advance(documents: int) -> None:
            nonlocal done
            before, done = done, done + documents
            if progress and done // counts.shape[0] > before // counts.shape[0]:
                progress(1)

        self._after_chunk = advance
        self.update(range(counts.shape[0]), passes=passes)

    def inference(self, chunk: Sequence[int], collect_sstats: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """γ (n, k) of the rows numbered in `chunk` and, where wanted, expected counts of words in topics (k, v)."""
        counts, words = self._counts[np.asarray(chunk)], np.ascontiguousarray(self.expElogbeta.T)
        gamma = infer_gamma(counts, words, self.alpha)
        self._after_chunk(len(chunk))
        if not collect_sstats:
            return gamma, None
        theta = exp_expected_log(gamma)
        expected = (_over_norm(counts, words, theta).T @ theta) * words
        return gamma, np.ascontiguousarray(expected.T, dtype=self.dtype)
