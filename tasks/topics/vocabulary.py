"""Words that topics are made of, and documents as sparse word counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from scipy import sparse

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")

COMMON = 0.05
"""Share of documents from which on a word must show that it comes in bursts."""
EVEN = 0.8
"""Documents that hold a word, over those expected by chance, from which on it is said of everything. On two shops,
English and Chinese, words of praise and shopping lay above it and words of themes below 0.75."""


@dataclass(frozen=True)
class Vocabulary:
    """The words a topic model knows, sorted; a word's place is its column everywhere."""

    words: tuple[str, ...]

    @cached_property
    def column(self) -> dict[str, int]:
        """The column of each word."""
        return {word: at for at, word in enumerate(self.words)}

    @cached_property
    def languages(self) -> np.ndarray:
        """Language of each word (v,): `zh` where it has a Han character, else `en`."""
        return np.array(["zh" if _HAN.search(word) else "en" for word in self.words], dtype="<U2")

    def counts(self, documents: Sequence[Sequence[str]]) -> sparse.csr_matrix:
        """Word counts (n, v) of token lists, float32; words that are not known are passed over."""
        get = self.column.get
        lengths = np.fromiter((len(d) for d in documents), dtype=np.int64, count=len(documents))
        columns = np.fromiter((get(w, -1) for w in chain.from_iterable(documents)), np.int64, int(lengths.sum()))
        rows, known = np.repeat(np.arange(len(documents)), lengths), columns >= 0
        ones = np.ones(int(known.sum()), dtype=np.float32)
        shape = (len(documents), len(self.words))
        return sparse.coo_matrix((ones, (rows[known], columns[known])), shape=shape).tocsr()

    def grown(self, words: Iterable[str]) -> Vocabulary:
        """This vocabulary with further words put after its own, so that no column moves."""
        return Vocabulary(self.words + tuple(sorted(set(words) - self.column.keys())))


def document_frequency(documents: Sequence[Sequence[str]]) -> Counter[str]:
    """In how many documents each word occurs."""
    return Counter(chain.from_iterable(map(set, documents)))


def build_vocabulary(
    documents: Sequence[Sequence[str]],
    *,
    no_below: int,
    no_above: float,
    evenness: float = EVEN,
    most: int = 50_000,
) -> Vocabulary:
    """The words that topics are made of: the `most` frequent of those that pass three tests.

    A word must stand in at least `no_below` documents (names and slips of the pen cost memory and tell nothing) and in
    at most the share `no_above` of them. And a word in more than one document of twenty must come in bursts: what
    people say of everything ("great", "不错") is spread as if by chance, a word of a topic is not. The measure is the
    number of documents that hold the word over the number expected if its occurrences fell on words at random (the
    idea of residual IDF: Church and Gale, Inverse Document Frequency, 1995); words above `evenness` are left out.
    """
    ceiling = no_above * len(documents)
    frequency = document_frequency(documents)
    kept = Vocabulary(tuple(sorted(word for word, count in frequency.items() if no_below <= count <= ceiling)))
    counts = kept.counts(documents)
    held = np.asarray((counts > 0).sum(axis=0)).ravel()
    common = held > COMMON * len(documents)
    passed = np.flatnonzero(~common | (held < evenness * _expected_documents(counts)))
    best = passed[np.argsort(-held[passed], kind="stable")[:most]]
    return Vocabulary(tuple(kept.words[column] for column in np.sort(best)))


def _expected_documents(counts: sparse.csr_matrix) -> np.ndarray:
    """Documents expected to hold each word (v,) if its occurrences were spread over all words at random.

    Σ_d 1 − exp(−c_w l_d / L), the sum over documents being taken at 50 quantiles of their lengths.
    """
    lengths, occurrences = np.asarray(counts.sum(axis=1)).ravel(), np.asarray(counts.sum(axis=0)).ravel()
    if not lengths.sum():
        return np.zeros(counts.shape[1])
    shares = np.quantile(lengths / lengths.sum(), (np.arange(50) + 0.5) / 50)
    held = np.zeros(counts.shape[1])
    for share in shares:
        held -= np.expm1(-occurrences * share)
    return np.asarray(held * (counts.shape[0] / len(shares)))
