from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from tasks.errors import ModelError, NotEnoughData
from tasks.scoring import (
    Blend,
    CollaborativeScorer,
    EASEScorer,
    Interactions,
    ItemKNNScorer,
    PopularityScorer,
    SequenceScorer,
    calibrated,
    centred,
    evidence,
    learn,
    top,
)
from tasks.scoring.top import highest

from .worlds import checkerboard, content_scorer

N = 40
numbers = st.floats(-1e3, 1e3, width=32)
gappy = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=numbers | st.just(np.nan)
)


def given_scores(values: np.ndarray, name: str = "given") -> SequenceScorer:
    """A scorer that says `values` (n, m), NaN included."""
    return SequenceScorer(lambda users, history: values[users], name)


@given(gappy)
def test_centred_keeps_the_order_and_puts_the_best_at_one(scores):
    scaled = centred(scores)
    assert (np.isnan(scaled) == np.isnan(scores)).all()
    assert scaled.dtype == np.float32
    for row, made in zip(scores, scaled, strict=True):
        said = ~np.isnan(row)
        if said.any():
            order = np.argsort(row[said], kind="stable")
            assert (np.diff(made[said][order]) >= -1e-5).all()
            assert made[said].max() <= 1 + 1e-5
            assert abs(made[said].mean()) < 1e-2 or abs(made[said]).max() > 50


def test_centred_known_answer():
    assert centred(np.array([[0, 1, 2, np.nan]], np.float32)).tolist()[0][:3] == [-1, 0, 1]
    assert centred(np.array([[3, 3]], np.float32)).tolist() == [[0, 0]]


@given(gappy, st.integers(1, 14))
def test_highest_is_a_full_stable_sort_cut_off(scores, k):
    items, values = highest(scores, k)
    for row, found, best in zip(scores, items, values, strict=True):
        order = [i for i in np.lexsort((np.arange(len(row)), -row)) if not np.isnan(row[i])][:k]
        assert found.tolist() == order + [-1] * (k - len(order))
        assert best[: len(order)].tolist() == row[order].tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(500, 3_000), st.sampled_from([2, 50, 10_000]))
def test_highest_of_many_columns_is_the_same(seed, k, columns, distinct):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, distinct, (3, columns)).astype(np.float32)
    scores[rng.random(scores.shape) < rng.choice([0, 0.3, 0.999])] = np.nan
    items, values = highest(scores, k)
    for row, found, best in zip(scores, items, values, strict=True):
        order = [i for i in np.lexsort((np.arange(columns), -row)) if not np.isnan(row[i])][:k]
        assert found.tolist() == order + [-1] * (k - len(order))
        assert best[: len(order)].tolist() == row[order].tolist()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_calibrated_is_centred_on_what_may_be_shown(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    said = data.draw(hnp.arrays(np.float32, shape, elements=numbers | st.just(np.nan)))
    sequences = [data.draw(st.lists(st.integers(0, shape[1] - 1), min_size=1, max_size=9)) for _ in range(shape[0])]
    blocked = data.draw(st.none() | hnp.arrays(bool, shape[1]))
    history = Interactions.from_sequences([np.array(s) for s in sequences], shape[1])
    found = calibrated({"a": given_scores(said)}, ["a"], np.arange(shape[0]), history, blocked)[0]
    masked = said.copy()
    masked[history.user_of, history.items] = np.nan
    if blocked is not None:
        masked[:, blocked] = np.nan
    np.testing.assert_allclose(found, centred(masked), rtol=1e-3, atol=1e-2)


def test_ties_at_the_cut_go_to_the_lowest_index():
    assert highest(np.ones((2, 1000), np.float32), 3)[0].tolist() == [[0, 1, 2]] * 2


def test_a_missing_scorer_gives_its_weight_to_the_others():
    calibrated = np.array([[[1.0, np.nan]], [[0.5, 0.5]]], np.float32)
    blend = Blend.of(["a", "b"], np.array([3, 1]))
    scores = blend.scores(calibrated, np.array([3]))
    assert scores[0].tolist() == pytest.approx([0.875, 0.5])  # never 0.125, as if a had said 0
    parts = blend.parts(calibrated, np.array([3]))
    assert parts[:, 0].T.tolist() == [pytest.approx([0.75, 0.125]), pytest.approx([0, 0.5])]


def test_an_item_all_are_silent_about_has_no_score():
    blend = Blend.of(["a"], np.ones(1))
    assert np.isnan(blend.scores(np.full((1, 1, 2), np.nan, np.float32), np.array([0]))).all()


def test_a_scorer_of_weight_nought_still_speaks_where_it_is_alone():
    calibrated = np.array([[[np.nan, np.nan]], [[0.2, 1.0]]], np.float32)
    blend = Blend.of(["a", "b"], np.array([1.0, 0.0]))
    assert blend.scores(calibrated, np.array([0]))[0].tolist() == pytest.approx([0.2, 1.0])


def test_weights_depend_on_the_length_of_the_history():
    blend = Blend.of(["a", "b"], np.array([[0, 1], [1, 0]]), edges=(5,))
    calibrated = np.array([[[1.0], [1.0]], [[0.0], [0.0]]], np.float32)
    scores = blend.scores(calibrated, np.array([4, 5]))
    assert scores[0, 0] < 0.01
    assert scores[1, 0] > 0.99


def test_a_blend_survives_json_and_refuses_nonsense():
    blend = Blend.of(["a", "b"], np.array([3, 1]))
    again = Blend.from_json(blend.to_json())
    assert again.names == blend.names
    np.testing.assert_array_equal(again.weights, blend.weights)
    with pytest.raises(ModelError, match="not a blend"):
        Blend.from_json({"names": []})
    with pytest.raises(ModelError, match="sum to 1"):
        Blend(("a",), np.full((4, 1), 2.0))
    with pytest.raises(ModelError, match="weights are"):
        Blend(("a",), np.ones((2, 1)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_seen_item_no_duplicate_parts_sum_and_order_holds(data):
    users, items, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 15)), data.draw(st.integers(1, 8))
    shape = (users, items)
    elements = numbers | st.just(np.nan)
    said = [data.draw(hnp.arrays(np.float32, shape, elements=elements)) for _ in range(2)]
    sequences = [data.draw(st.lists(st.integers(0, items - 1), max_size=20)) for _ in range(users)]
    blocked = data.draw(hnp.arrays(bool, items))
    history = Interactions.from_sequences([np.array(s, np.int64) for s in sequences], items)
    scorers = {"a": given_scores(said[0]), "b": given_scores(said[1]), "popularity": PopularityScorer().fit(history)}
    weights = np.array(data.draw(st.lists(st.floats(0, 5), min_size=3, max_size=3)))
    blend = Blend.of(list(scorers), weights + 1e-6)
    for best in top(blend, scorers, history, np.arange(users), k, blocked):
        for row, user in enumerate(best.users):
            shown = best.items[row][best.items[row] >= 0]
            assert not set(shown) & set(sequences[user])
            assert not blocked[shown].any()
            assert len(set(shown)) == len(shown)
            assert len(shown) == min(k, len(set(range(items)) - set(sequences[user]) - set(np.flatnonzero(blocked))))
            scores = best.scores[row][: len(shown)]
            assert (np.diff(scores) <= 0).all()
            total = best.parts[:, row, : len(shown)].astype(np.float64).sum(axis=0)
            assert np.abs(total - scores).max(initial=0) < 1e-6


def test_the_hybrid_finds_the_withheld_item_of_the_checkerboard():
    board, withheld = checkerboard(N)
    scorers = {
        "collaborative": CollaborativeScorer(factors=8).fit(board),
        "ease": EASEScorer(regularization=5).fit(board),
        "itemknn": ItemKNNScorer().fit(board),
        "content": content_scorer(N).fit(board),
        "popularity": PopularityScorer().fit(board),
    }
    blend = Blend.of(list(scorers), np.ones(5))
    best = next(top(blend, scorers, board, np.arange(N), 1))
    assert (best.items[:, 0] == withheld).all()


def test_learning_finds_the_scorer_that_knows():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 30, 3_000)
    knows = rng.normal(size=(3_000, 30)).astype(np.float32)
    knows[np.arange(3_000), truth] += 4
    noise = rng.normal(size=(3_000, 30)).astype(np.float32)
    history = Interactions.from_sequences([[30]] * 3_000, 31)
    columns = np.full((3_000, 1), np.nan, np.float32)
    scorers = {n: given_scores(np.hstack([v, columns])) for n, v in (("noise", noise), ("knows", knows))}
    targets = sparse.csr_matrix((np.ones(3_000), (np.arange(3_000), truth)), shape=(3_000, 31))
    seen = evidence(scorers, ["noise", "knows"], np.arange(3_000), history, targets, width=20)
    weights = learn(["noise", "knows"], seen).weights
    assert (weights[:, 1] > 0.9).all()


def test_learning_gives_each_history_length_its_own_scorer():
    rng = np.random.default_rng(0)
    n, m = 3_000, 25
    truth = rng.integers(0, m - 1, n)
    lengths = np.where(np.arange(n) < n // 2, 1, 8)
    good = rng.normal(size=(n, m)).astype(np.float32)
    good[np.arange(n), truth] += 5
    bad = rng.normal(size=(n, m)).astype(np.float32)
    short = (lengths == 1)[:, None]
    scorers = {"a": given_scores(np.where(short, good, bad)), "b": given_scores(np.where(short, bad, good))}
    history = Interactions.from_sequences([[m - 1] * k for k in lengths], m)
    targets = sparse.csr_matrix((np.ones(n), (np.arange(n), truth)), shape=(n, m))
    blend = learn(["a", "b"], evidence(scorers, ["a", "b"], np.arange(n), history, targets, width=10))
    assert blend.weights[1, 0] > 0.7  # 1–4 events
    assert blend.weights[2, 1] > 0.7  # 5–19 events


def test_nothing_held_out_is_not_enough_to_learn_from():
    history = Interactions.from_sequences([[0]], 2)
    with pytest.raises(NotEnoughData):
        evidence({"a": given_scores(np.ones((1, 2)))}, ["a"], np.array([0]), history, sparse.csr_matrix((1, 2)))
