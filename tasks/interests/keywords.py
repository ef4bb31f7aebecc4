"""Keywords by class-based TF-IDF: the words that set one user or item apart from all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd
from scipy import sparse


class WordCounts:
    """Word counts of texts: `counts` (n, v) sparse float32, `words` (v,), rows in the order of `texts` (n,)."""

    def __init__(self, tokens: Mapping[str, Sequence[str]], *, no_below: int = 2) -> None:
        """Count token lists by text hash; words in fewer than `no_below` texts (slips, names) are left out."""
        self.texts = pd.Index(tokens.keys(), dtype=object)
        frequency = Counter(chain.from_iterable(set(words) for words in tokens.values()))
        kept = sorted(word for word, count in frequency.items() if count >= no_below)
        self.words = np.array(kept, dtype=object)
        self.counts = _counts(list(tokens.values()), {word: at for at, word in enumerate(kept)})


def class_tf_idf(counts: sparse.csr_matrix, frequency: np.ndarray, words_per_class: float) -> sparse.csr_matrix:
    """W = tf(t, c) · log(1 + A / f(t)) for classes (c, v) (Grootendorst: BERTopic, 2022, equation 3).

    tf is a word's share of the class's words, f (v,) its count over all classes, A the mean number of words a class.
    """
    shares = sparse.diags(1 / np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)) @ counts
    return sparse.csr_matrix(shares @ sparse.diags(np.log1p(words_per_class / np.maximum(frequency, 1e-12))))


def top_per_row(matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """`matrix` with only the `count` largest entries of each row, stored largest first; ties go to the lower column."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    rank = np.arange(len(rows)) - matrix.indptr[rows]
    kept = order[rank < count]
    indptr = np.r_[0, np.cumsum(np.minimum(np.diff(matrix.indptr), count))]
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)


def keyword_lists(
    counts: sparse.csr_matrix, frequency: np.ndarray, words_per_class: float, words: np.ndarray, count: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The `count` best keywords of each class (c, v), best first, and their weights (float32)."""
    best = top_per_row(class_tf_idf(counts, frequency, words_per_class), count)
    cuts = best.indptr[1:-1]
    return np.split(words[best.indices], cuts), np.split(best.data.astype(np.float32), cuts)


def _counts(tokens: Sequence[Sequence[str]], column: Mapping[str, int]) -> sparse.csr_matrix:
    """Counts of known words (n, v)."""
    lengths = np.fromiter((len(t) for t in tokens), dtype=np.int64, count=len(tokens))
    columns = np.fromiter((column.get(w, -1) for w in chain.from_iterable(tokens)), np.int64, int(lengths.sum()))
    rows, known = np.repeat(np.arange(len(tokens)), lengths), columns >= 0
    ones = np.ones(int(known.sum()), dtype=np.float32)
    return sparse.coo_matrix((ones, (rows[known], columns[known])), shape=(len(tokens), len(column))).tocsr()
