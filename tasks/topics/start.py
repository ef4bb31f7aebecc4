"""Where LDA starts: topics of a non-negative factorisation, because random starts merge and split what is there."""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy import sparse
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer

from tasks.topics.distance import grouped

MOST_DOCUMENTS = 5_000
"""Documents the start is made from; the rest is for learning."""
ROUNDS = 60
SPARE = 1.5
"""Parts looked for, per topic wanted. Asked for just as many parts as there are themes, a factorisation merges two
themes and splits a third; asked for more, it only splits, and halves can be put together again."""
TWIN = 0.75
"""Share of the usual (median) distance between parts below which two parts are halves of one theme. With 14
planted bilingual themes, two corpora and 14 to 30 parts, halves lay mostly below 0.7 of it, others above 0.85."""


def spectral_start(counts: sparse.csr_matrix, n_topics: int, seed: int) -> np.ndarray:
    """Expected count of each word in each of at most `n_topics` topics (k, v), float32, from counts (n, v).

    The TF-IDF of the documents, which stand in random order, is factorised (NMF from NNDSVD: Boutsidis and
    Gallopoulos, 2008) into half as many parts again as topics are wanted, each document's words are dealt to parts by
    its share in each, and parts that are halves of one theme are put together. So there may be fewer topics than
    wanted: asked for 20 where there are 14 themes, it gives 14.
    """
    sample = counts[:MOST_DOCUMENTS]
    parts = min(math.ceil(SPARE * n_topics), *sample.shape)
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(sample.astype(np.float64))
    model = NMF(parts, init="nndsvd", max_iter=ROUNDS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not be the factorisation's last word
        shares = model.fit_transform(weighted) + 1e-6
    shares /= shares.sum(axis=1, keepdims=True)
    statistics = np.asarray((sample.T @ shares).T)
    group = grouped(statistics / statistics.sum(axis=1, keepdims=True), TWIN, n_topics)
    together = group == np.arange(group.max() + 1)[:, None]  # (k, parts)
    return np.asarray(together @ statistics * (counts.sum() / sample.sum()), dtype=np.float32)
