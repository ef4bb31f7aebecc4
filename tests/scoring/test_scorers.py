"""What every scorer must do, and what each one must find."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from tasks.errors import ModelError, NotEnoughData, SpaceMismatch
from tasks.scoring import (
    CollaborativeScorer,
    ContentFeatures,
    ContentScorer,
    EASEScorer,
    Interactions,
    ItemKNNScorer,
    MarkovScorer,
    PopularityScorer,
    Scorer,
    SequenceScorer,
    TransitionScorer,
    load,
    save,
    top,
)
from tasks.scoring.blend import Blend

from .worlds import AS_OF, block_vectors, checkerboard, content_scorer, event, events, maps

N = 40


def sequence_scorer() -> SequenceScorer:
    """Users drawn to the direction of their own parity."""
    vectors = block_vectors(N)
    return SequenceScorer.from_states(vectors[:N], vectors)


SCORERS: dict[str, Callable[[], Scorer]] = {
    "collaborative": lambda: CollaborativeScorer(factors=8, iterations=10),
    "content": lambda: content_scorer(N),
    "sequence": sequence_scorer,
    "popularity": PopularityScorer,
    "itemknn": ItemKNNScorer,
    "markov": MarkovScorer,
    "transition": lambda: TransitionScorer(regularization=5),
    "ease": lambda: EASEScorer(regularization=5),
}
LEARNT = [name for name in SCORERS if name != "sequence"]


@pytest.mark.parametrize("name", SCORERS)
class TestContract:
    def test_same_seed_same_output(self, name):
        board, _ = checkerboard(N)
        users = np.arange(N)
        one, two = (SCORERS[name]().fit(board).scores(users, board) for _ in range(2))
        np.testing.assert_array_equal(one, two)

    def test_refit_refits(self, name):
        board, _ = checkerboard(N)
        other = Interactions.from_sequences([np.arange(5)] * N, N)
        refitted = SCORERS[name]().fit(other).fit(board)
        np.testing.assert_array_equal(
            refitted.scores(np.arange(4), board), SCORERS[name]().fit(board).scores(np.arange(4), board)
        )

    def test_a_batch_equals_one_by_one(self, name):
        board, _ = checkerboard(N)
        scorer = SCORERS[name]().fit(board)
        users = np.array([7, 0, 3])
        singly = np.concatenate([scorer.scores(users[i : i + 1], board) for i in range(3)])
        np.testing.assert_allclose(scorer.scores(users, board), singly, rtol=1e-4, atol=1e-6)

    def test_no_users_no_rows(self, name):
        board, _ = checkerboard(N)
        scores = SCORERS[name]().fit(board).scores(np.empty(0, np.int64), board)
        assert scores.shape == (0, N)
        assert scores.dtype == np.float32

    def test_scores_are_float32_and_of_every_item(self, name):
        board, _ = checkerboard(N)
        scores = SCORERS[name]().fit(board).scores(np.arange(3), board)
        assert scores.shape == (3, N)
        assert scores.dtype == np.float32

    def test_nothing_to_say_about_nobody(self, name):
        board, _ = checkerboard(N)
        nobody = Interactions.from_sequences([np.empty(0, np.int64)] * N, N)
        scores = SCORERS[name]().fit(board).scores(np.arange(2), nobody)
        assert np.isnan(scores).all() == (name != "popularity")

    def test_saved_and_loaded_it_says_the_same(self, name, tmp_path):
        board, _ = checkerboard(N)
        scorer = SCORERS[name]().fit(board)
        if name in ("content", "sequence"):
            with pytest.raises(ModelError, match="made from other tables"):
                save(scorer, tmp_path)
            return
        save(scorer, tmp_path)
        users = np.arange(5)
        np.testing.assert_array_equal(load(tmp_path).scores(users, board), scorer.scores(users, board))

    def test_scoring_leaves_the_model_as_it_was(self, name):
        board, _ = checkerboard(N)
        scorer = SCORERS[name]().fit(board)
        first = scorer.scores(np.arange(3), board)
        first[:] = -1
        assert not (scorer.scores(np.arange(3), board) == -1).all()


@pytest.mark.parametrize("name", ["collaborative", "content", "sequence", "itemknn", "ease"])
def test_the_withheld_item_of_the_checkerboard_comes_first(name):
    board, withheld = checkerboard(N)
    scorer = SCORERS[name]().fit(board)
    blend = Blend.of([name], np.ones(1))
    best = next(top(blend, {name: scorer}, board, np.arange(N), 3))
    if name in ("content", "sequence"):  # all items of a colour are alike to them: the right colour is all they know
        assert (best.items[:, 0] % 2 == withheld % 2).all()
    else:
        assert (best.items[:, 0] == withheld).all()


def test_scorers_that_were_not_fitted_say_so():
    board, _ = checkerboard(N)
    for name in ("collaborative", "popularity", "itemknn", "markov", "transition", "ease"):
        with pytest.raises(ModelError, match="fit before"):
            SCORERS[name]().scores(np.arange(2), board)


def test_items_nobody_touched_are_passed_over_in_silence():
    history = Interactions.from_sequences([np.array([0, 1]), np.array([1, 2]), np.array([0, 2])], 4)
    for scorer in (CollaborativeScorer(factors=2), ItemKNNScorer(), EASEScorer()):
        scores = scorer.fit(history).scores(np.arange(3), history)
        assert np.isnan(scores[:, 3]).all()
        assert not np.isnan(scores[:, :3]).any()


def test_no_liked_item_is_not_enough_for_the_collaborative_ones():
    nothing = Interactions.from_sequences([np.empty(0, np.int64)], 3)
    for scorer in (CollaborativeScorer(factors=2), EASEScorer(), TransitionScorer()):
        with pytest.raises(NotEnoughData):
            scorer.fit(nothing)


def test_markov_counts_what_came_next_and_backs_off_to_popularity():
    history = Interactions.from_sequences([[0, 1], [0, 1], [0, 2], [3, 5], [3, 4], [3, 0]], 6)
    scores = MarkovScorer(backoff=0.01).fit(history).scores(np.array([0]), Interactions.from_sequences([[5, 0]], 6))
    assert scores[0, 1] == pytest.approx(0.99 * 2 / 3 + 0.01 * 2 / 12, abs=1e-6)
    assert scores[0, 2] == pytest.approx(0.99 / 3 + 0.01 * 1 / 12, abs=1e-6)
    assert np.argsort(-scores[0]).tolist()[:2] == [1, 2]


def test_itemknn_is_the_cosine_and_recency_halves():
    history = Interactions.from_sequences([[0, 1], [0, 1], [0, 2]], 3)
    knn = ItemKNNScorer(decay=0.5).fit(history)
    cosine_01, cosine_02 = 2 / np.sqrt(3 * 2), 1 / np.sqrt(3)
    asked = Interactions.from_sequences([[1, 2], [2, 1]], 3)
    assert knn.scores(np.array([0, 1]), asked)[:, 0] == pytest.approx(
        [0.5 * cosine_01 + cosine_02, cosine_01 + 0.5 * cosine_02]
    )


def test_itemknn_keeps_only_the_nearest():
    board, _ = checkerboard(N)
    knn = ItemKNNScorer(neighbours=3).fit(board)
    assert np.diff(knn.similarity.indptr).max() == 3
    everything = ItemKNNScorer(neighbours=None).fit(Interactions.from_sequences([np.arange(5)] * 3, 5))
    assert isinstance(everything.similarity, np.ndarray)  # dense is smaller where nearly all pairs are there


def test_ease_equals_its_closed_form():
    rng = np.random.default_rng(0)
    history = Interactions.from_sequences([rng.choice(12, 5, replace=False) for _ in range(30)], 12)
    x = history.seen().toarray()
    inverse = np.linalg.inv(x.T @ x + 20 * np.eye(12))
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    scores = EASEScorer(regularization=20, decay=1.0).fit(history).scores(np.arange(30), history)
    np.testing.assert_allclose(scores, x @ weights, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("made", [EASEScorer, TransitionScorer])
def test_a_linear_model_of_the_most_used_items_is_silent_about_the_others(made):
    used = [[0, 3, 4]] * 5 + [[4, 0, 3]] * 4
    rare = [[1, 2]]
    some = made(max_items=3).fit(Interactions.from_sequences(used + rare, 5))
    few = made().fit(Interactions.from_sequences([[0, 1, 2]] * 5 + [[2, 0, 1]] * 4, 3))
    scores = some.scores(np.array([0, 1]), Interactions.from_sequences([[3], [1]], 5))
    expected = few.scores(np.array([0]), Interactions.from_sequences([[1]], 3))
    np.testing.assert_allclose(scores[0, [0, 3, 4]], expected[0])
    assert np.isnan(scores[0, [1, 2]]).all()
    assert np.isnan(scores[1]).all()  # a user of rare items alone


def test_a_disliked_item_pulls_nobody_towards_its_like():
    rows = [event(f"e{i}", item) for i in range(6) for item in ("a", "b")]
    rows += [event(f"o{i}", item) for i in range(6) for item in ("c", "d")]
    frame = events(*rows, event("u", "a", "review", rating=1.0), event("u", "c", "review", rating=5.0))
    users, items = maps(frame)
    history = Interactions.from_events(frame, users, items, AS_OF)
    b, d = items.index(["b", "d"])
    for scorer in (CollaborativeScorer(factors=4), ItemKNNScorer(), EASEScorer(regularization=1)):
        scores = scorer.fit(history).scores(users.index(["u"]), history)[0]
        assert scores[d] > scores[b]
        assert scores[b] < 0.05


def test_popularity_forgets():
    rows = [event(f"u{i}", "old", days_ago=100) for i in range(5)] + [event("v", "new", days_ago=1)]
    frame = events(*rows)
    users, items = maps(frame)
    history = Interactions.from_events(frame, users, items, AS_OF)
    new, old = items.index(["new", "old"])
    decayed = PopularityScorer(half_life_days=10).fit(history).scores(np.array([0]), history)[0]
    assert np.exp(decayed[new] - decayed[old]) == pytest.approx(2 ** ((100 - 1) / 10) / 5, rel=1e-3)
    plain = PopularityScorer().fit(history).scores(np.array([0]), history)[0]
    assert np.exp(plain[old]) == pytest.approx(5 / 6)


def test_content_follows_the_users_own_text_where_there_is_any():
    vectors = block_vectors(6)
    mine = np.full((2, vectors.shape[1]), np.nan, np.float32)
    mine[1] = vectors[1]
    nobody = Interactions.from_sequences([[], []], 6)
    scorer = ContentScorer(ContentFeatures("e", mine, mine), ContentFeatures("e", vectors, vectors)).fit(nobody)
    scores = scorer.scores(np.arange(2), nobody)
    assert np.isnan(scores[0]).all()
    assert set(np.argsort(-scores[1])[:3]) == {1, 3, 5}


def test_content_by_topics_alone():
    topics = np.array([[0.9, 0.1], [0.1, 0.9]], np.float32)
    blank = np.full((2, 3), np.nan, np.float32)
    nobody = Interactions.from_sequences([[], []], 2)
    scorer = ContentScorer(ContentFeatures("e", blank, blank, topics), ContentFeatures("e", blank, blank, topics))
    assert scorer.fit(nobody).scores(np.arange(2), nobody).argmax(axis=1).tolist() == [0, 1]


def test_vectors_of_two_encoders_never_meet():
    vectors = block_vectors(6)
    with pytest.raises(SpaceMismatch, match=r"e1.*e2"):
        ContentScorer(ContentFeatures("e1", vectors, vectors), ContentFeatures("e2", vectors, vectors))


def test_a_sequence_model_of_the_wrong_shape_is_refused():
    board, _ = checkerboard(N)
    with pytest.raises(ModelError, match="not"):
        SequenceScorer(lambda users, history: np.zeros((1, 1), np.float32)).scores(np.arange(2), board)
    with pytest.raises(ModelError, match="wide"):
        SequenceScorer.from_states(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32))


def test_a_damaged_or_foreign_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="FileNotFoundError"):
        load(tmp_path)
    board, _ = checkerboard(N)
    save(PopularityScorer().fit(board), tmp_path)
    whole = (tmp_path / "learnt.npz").read_bytes()
    for damaged in (b"not an archive", whole[: len(whole) // 2]):
        (tmp_path / "learnt.npz").write_bytes(damaged)
        with pytest.raises(ModelError, match="fit it again"):
            load(tmp_path)
    with pytest.raises(ModelError, match="fit before saving"):
        save(PopularityScorer(), tmp_path)


def test_transition_is_the_ridge_of_what_comes_next_on_what_came_before():
    history = Interactions.from_sequences([[0, 1, 2], [2, 1], [3]], 4)
    x = np.array([[1, 0, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0]])
    y = np.array([[0, 1, 0.25, 0], [0, 0, 1, 0], [0, 1, 0, 0]])
    weights = np.linalg.solve(x.T @ x + 3 * np.eye(4), x.T @ y)
    scorer = TransitionScorer(regularization=3, decay=0.5, ahead=0.25, recency=0.5).fit(history)
    scores = scorer.scores(np.array([0]), history)[0]
    np.testing.assert_allclose(scores[:3], (np.array([0.25, 0.5, 1, 0]) @ weights)[:3], rtol=1e-5, atol=1e-6)
    assert np.isnan(scores[3])


def test_transition_learns_order_where_itemknn_cannot():
    history = Interactions.from_sequences([[0, 1, 2, 3]] * 5 + [[3, 0, 1, 2]] * 5, 4)
    asked = Interactions.from_sequences([[1]], 4)
    assert TransitionScorer(1.0, ahead=0).fit(history).scores(np.array([0]), asked)[0].argmax() == 2
    knn = ItemKNNScorer().fit(history).scores(np.array([0]), asked)[0]
    assert knn[0] == knn[2]


def test_attributes_let_like_items_lend_to_each_other():
    history = Interactions.from_sequences([[0, 1]] * 6 + [[2, 3]], 4)
    like = sparse.csr_matrix(np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32))
    asked = Interactions.from_sequences([[2]], 4)
    plain, smooth = (
        TransitionScorer(1.0, attributes=like, attribute_share=share).fit(history).scores(np.array([0]), asked)[0]
        for share in (0.0, 1.0)
    )
    assert plain[1] == pytest.approx(0, abs=1e-6)
    assert smooth[1] > 0.1
    prior = np.linalg.inv(np.eye(4) + (like @ like.T).toarray())
    x = np.array([[1, 0, 0, 0]] * 6 + [[0, 0, 1, 0]])
    y = np.array([[0, 1, 0, 0]] * 6 + [[0, 0, 0, 1]])
    np.testing.assert_allclose(smooth, np.linalg.solve(x.T @ x + prior, x.T @ y)[2], rtol=1e-4, atol=1e-6)
