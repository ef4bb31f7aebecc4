"""Class-based TF-IDF by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from tasks.interests.keywords import WordCounts, class_tf_idf, top_per_row


def test_the_formula() -> None:
    counts = sparse.csr_matrix(np.array([[3.0, 1.0], [0.0, 4.0]]))
    frequency = np.array([3.0, 5.0])
    expected = [[3 / 4 * np.log1p(4 / 3), 1 / 4 * np.log1p(4 / 5)], [0, np.log1p(4 / 5)]]
    np.testing.assert_allclose(class_tf_idf(counts, frequency, 4.0).toarray(), expected, rtol=1e-6)


@given(arrays.arrays(np.float64, (4, 7), elements=st.sampled_from([0.0, 1.0, 2.0, 3.0])), st.integers(1, 8))
@settings(deadline=None)
def test_the_largest_of_each_row_stand_first(dense: np.ndarray, count: int) -> None:
    best = top_per_row(sparse.csr_matrix(dense), count)
    for row in range(4):
        stored = best.data[best.indptr[row] : best.indptr[row + 1]]
        expected = np.sort(dense[row][dense[row] > 0])[::-1][:count]
        assert stored.tolist() == expected.tolist()


def test_words_of_one_text_only_are_left_out() -> None:
    counts = WordCounts({"t1": ["a", "a", "b"], "t2": ["a"], "t3": []})
    assert counts.words.tolist() == ["a"]
    assert counts.counts.toarray().tolist() == [[2], [1], [0]]
    assert WordCounts({}).counts.shape == (0, 0)
