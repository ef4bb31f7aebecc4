from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from tasks.evaluation import coverage, from_lists, from_ranks, mid_ranks, of_lists


def relevant(rows: list[list[int]], m: int) -> sparse.csr_matrix:
    dense = np.zeros((len(rows), m))
    for row, items in enumerate(rows):
        dense[row, items] = 1
    return sparse.csr_matrix(dense)


def test_rank_metrics_known_answers():
    found = from_ranks(np.array([1.0, 3.0, 6.0, 10.5]))
    assert found["hr@5"].tolist() == [1, 1, 0, 0]
    assert found["hr@10"].tolist() == [1, 1, 1, 0]
    assert found["ndcg@10"] == pytest.approx([1, 0.5, 1 / np.log2(7), 0])
    assert found["mrr"] == pytest.approx([1, 1 / 3, 1 / 6, 1 / 10.5])


def test_list_metrics_known_answers():
    lists = np.array([[4, 1, 3], [0, 1, 2], [2, -1, -1], [0, 1, 2]])
    found = from_lists(lists, relevant([[1, 3, 5, 6], [9], [2], []], 10), k=3)
    ideal3 = 1 + 1 / np.log2(3) + 0.5
    assert found["recall@3"][:3] == pytest.approx([2 / 4, 0, 1])
    assert found["precision@3"][:3] == pytest.approx([2 / 3, 0, 1 / 3])
    assert found["ndcg@3"][:3] == pytest.approx([(1 / np.log2(3) + 0.5) / ideal3, 0, 1])
    assert found["mrr@3"][:3] == pytest.approx([1 / 2, 0, 1])
    assert found["map@3"][:3] == pytest.approx([(1 / 2 + 2 / 3) / 3, 0, 1])
    assert found["hr@3"][:3] == pytest.approx([1, 0, 1])
    assert all(np.isnan(values[3]) for values in found.values())


def test_equal_scores_share_the_middle_of_their_places():
    scores = np.array([[5.0, 1, 1, 1, 0], [2, 2, 2, 2, 2], [np.nan, 3, np.nan, np.nan, 1]], np.float32)
    assert mid_ranks(scores, np.array([2, 0, 0])).tolist() == [3, 3, 4]


def test_items_that_are_not_allowed_take_no_place():
    scores = np.array([[9.0, 8, 7, 7]], np.float32)
    allowed = np.array([[False, True, True, True]])
    assert mid_ranks(scores, np.array([2]), allowed).tolist() == [2.5]
    assert mid_ranks(scores, np.array([0]), allowed).tolist() == [1]


@given(hnp.arrays(np.float32, (3, 8), elements=st.integers(0, 3)), st.integers(0, 7))
def test_mid_rank_is_the_mean_rank_over_all_orders_of_the_ties(scores, target):
    ranks = mid_ranks(scores, np.full(3, target))
    for row, rank in zip(scores, ranks, strict=True):
        best, worst = 1 + (row > row[target]).sum(), (row >= row[target]).sum()
        assert rank == (best + worst) / 2


@given(st.data())
def test_lists_and_ranks_agree_where_one_item_is_relevant(data):
    scores = np.random.default_rng(data.draw(st.integers(0, 99))).permuted(np.tile(np.arange(20.0), (4, 1)), axis=1)
    targets = np.array(data.draw(st.lists(st.integers(0, 19), min_size=4, max_size=4)))
    by_rank = from_ranks(mid_ranks(scores, targets), [10])
    by_list = from_lists(np.argsort(-scores, axis=1)[:, :10], relevant([[t] for t in targets], 20), 10)
    np.testing.assert_allclose(by_rank["ndcg@10"], by_list["ndcg@10"], atol=1e-12)
    np.testing.assert_allclose(by_rank["hr@10"], by_list["recall@10"], atol=1e-12)


@given(
    hnp.arrays(np.int64, (5, 10), elements=st.integers(-1, 30)),
    st.lists(st.lists(st.integers(0, 30)), min_size=5, max_size=5),
)
def test_metrics_lie_between_nought_and_one(lists, wanted):
    lists = np.stack([np.pad(np.unique(row), (0, 10 - len(np.unique(row))), constant_values=-1) for row in lists])
    for values in from_lists(lists, relevant(wanted, 31)).values():
        kept = values[~np.isnan(values)]
        assert ((kept >= 0) & (kept <= 1 + 1e-12)).all()


def test_what_the_lists_are_like_known_answers():
    counts = np.array([7, 0, 1, 0, 0])
    lists = np.array([[0, 1], [2, -1], [-1, -1]])
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [1, 0]], float)
    found = of_lists(lists, counts, vectors)
    surprise = -np.log2((counts + 1) / 13)
    assert found["novelty@10"][:2] == pytest.approx([(surprise[0] + surprise[1]) / 2, surprise[2]])
    assert found["popularity_share@10"][:2] == pytest.approx([0.5, 0])
    assert found["diversity@10"][0] == pytest.approx(1)
    assert np.isnan(found["diversity@10"][1])
    assert np.isnan(found["novelty@10"][2])
    assert coverage(lists, 5) == pytest.approx(3 / 5)


def test_diversity_is_one_minus_the_mean_pairwise_cosine():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(9, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lists = np.array([[0, 3, 5, 8]])
    cosines = [vectors[a] @ vectors[b] for a in lists[0] for b in lists[0] if a < b]
    assert of_lists(lists, np.ones(9, int), vectors)["diversity@10"][0] == pytest.approx(1 - np.mean(cosines))


def test_no_users_no_figures():
    found = from_lists(np.zeros((0, 10), np.int64), sparse.csr_matrix((0, 5)))
    assert all(values.shape == (0,) for values in found.values())


def test_an_independent_library_measures_the_same():
    fixture = json.loads((Path(__file__).parent / "fixtures" / "rectools_metrics.json").read_text())
    lists, targets = np.array(fixture["lists"]), relevant(fixture["relevant"], fixture["items"])
    for k in (5, 10):
        ours = from_lists(lists, targets, k)
        for name, values in ours.items():
            np.testing.assert_allclose(values, fixture["metrics"][name], rtol=0, atol=1e-9, err_msg=name)
        assert coverage(lists, fixture["items"], k) == pytest.approx(fixture["metrics"][f"coverage@{k}"], abs=1e-9)


def test_ranks_measure_what_lists_do_where_one_item_is_wanted():
    fixture = json.loads((Path(__file__).parent / "fixtures" / "rectools_metrics.json").read_text())
    lists = np.array(fixture["lists"])
    wanted = np.array([row[user % 10] if user % 3 else row[0] + 100 for user, row in enumerate(lists)])
    ranks = np.array([user % 10 + 1.0 if user % 3 else 11.0 for user in range(len(lists))])
    by_rank, by_list = from_ranks(ranks), from_lists(lists, relevant([[item] for item in wanted], 200), 10)
    for name in ("hr@10", "ndcg@10"):
        np.testing.assert_allclose(by_rank[name], by_list[name], rtol=0, atol=1e-12)
