import numpy as np
import pytest

from tasks.embeddings.histories import NONE, of_sequences
from tasks.embeddings.lessons import Lessons, lessons_from, next_new_items
from tasks.errors import NotEnoughData

SEQUENCES = [[3, 3, 4, 3, 5], [3], [], [6, 7, 6]]


def targets(lessons: Lessons) -> list[int]:
    return lessons.targets.tolist()


def test_the_target_is_the_next_item_that_is_new_to_the_user() -> None:
    rows = next_new_items(of_sequences(SEQUENCES))
    assert rows.tolist() == [2, 2, 4, 4, NONE, NONE, 7, NONE, NONE]
    everything = lessons_from(of_sequences(SEQUENCES), 0, np.random.default_rng(0))
    assert targets(everything) == [4, 4, 5, 5, NONE, NONE, 7, NONE, NONE]
    assert len(everything.answers) == 0


def test_events_without_an_item_lead_to_the_next_item_too() -> None:
    assert next_new_items(of_sequences([[NONE, 3, NONE, NONE, 4]])).tolist() == [1, 4, 4, 4, NONE]
    assert next_new_items(of_sequences([[NONE], [NONE]])).tolist() == [NONE, NONE]


def test_what_is_held_out_is_never_a_target_nor_shown() -> None:
    sequences = [[10 * u, 10 * u + 1, 10 * u + 2, 10 * u + 2] for u in range(20)]
    lessons = lessons_from(of_sequences(sequences), 0.5, np.random.default_rng(1))
    assert len(lessons.answers) == len(lessons.held_out) == 10
    assert not set(lessons.answers.tolist()) & set(targets(lessons))
    assert not set(lessons.answers.tolist()) & set(lessons.held_out.items.tolist())
    assert lessons.held_out.items.reshape(10, 2)[:, 0].tolist() == [a - 2 for a in lessons.answers]


def test_batches_hold_the_latest_events_of_each_user_with_a_target_once() -> None:
    sequences = [list(range(n)) for n in (1, 2, 5, 9, 30)]
    histories = of_sequences(sequences)
    lessons = lessons_from(histories, 0, np.random.default_rng(0))
    seen = np.concatenate([rows for rows, _ in lessons.batches(2, 4, np.random.default_rng(0))])
    expected = [histories.offsets[u] + i for u, s in enumerate(sequences) if len(s) > 1 for i in range(len(s))[-4:]]
    assert sorted(seen.tolist()) == expected


def test_nothing_to_learn_is_refused() -> None:
    for sequences in ([], [[1], [2, 2]]):
        with pytest.raises(NotEnoughData, match="two different items"):
            lessons_from(of_sequences(sequences), 0, np.random.default_rng(0))
    with pytest.raises(NotEnoughData):
        lessons_from(of_sequences([[1, 2]]), 1.0, np.random.default_rng(0))


class Oracle:
    """Scores items by their number, the highest first."""

    def states(self, histories):
        self.asked = len(histories)
        return self

    @property
    def h(self):
        return np.zeros((self.asked, 1), np.float32)

    def scores(self, h):
        return np.tile(np.arange(20, dtype=np.float32), (len(h), 1))


def test_ndcg_by_hand() -> None:
    shown = of_sequences([[19, 18], [0], [0]])
    lessons = Lessons(shown, np.zeros(0, np.int64), shown, np.array([17, 17, 1]))
    # first among the new ones; third, behind 19 and 18; last of nineteen
    assert lessons.ndcg(Oracle()) == pytest.approx((1 + 1 / np.log2(4) + 1 / np.log2(20)) / 3)


def test_equal_scores_take_the_middle_rank() -> None:
    shown = of_sequences([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]])
    lessons = Lessons(shown, np.zeros(0, np.int64), shown, np.array([17]))
    level = Oracle()
    level.scores = lambda h: np.zeros((len(h), 20), np.float32)
    assert lessons.ndcg(level) == pytest.approx(1 / np.log2(1 + 3))  # five are left, the middle is the third
