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
    documents: Sequence[Sequence[str]], *, no_below: int, no_above: float, most: int = 50_000
) -> Vocabulary:
    """Words in at least `no_below` documents and at most the share `no_above` of them; the `most` frequent of these.

    Rare words (names, slips of the pen) cost memory and tell nothing; words that stand in very many documents are
    what everybody says about everything.
    """
    ceiling = no_above * len(documents)
    kept = [(count, word) for word, count in document_frequency(documents).items() if no_below <= count <= ceiling]
    return Vocabulary(tuple(sorted(word for _, word in sorted(kept, key=lambda cw: (-cw[0], cw[1]))[:most])))
