import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.embeddings.shards import missing, shard_of


def test_missing_are_the_new_ones_once_in_order() -> None:
    assert missing(["c", "a", None, "c", "b", float("nan")], ["a"]) == ["c", "b"]
    assert missing([], ["a"]) == []
    assert missing(["a"], []) == ["a"]


def test_shards_stay_the_same_for_ever() -> None:
    assert shard_of(["a", "b", "好", ""], 1000).tolist() == [504, 975, 714, 774]


@given(st.lists(st.text(max_size=40)), st.integers(1, 50))
def test_a_key_has_one_shard_whatever_its_company(keys: list[str], shards: int) -> None:
    together = shard_of(keys, shards)
    assert ((together >= 0) & (together < shards)).all()
    assert together.tolist() == [int(shard_of([key], shards)[0]) for key in keys]


def test_shards_are_about_equal() -> None:
    counts = np.bincount(shard_of([f"{i:032x}" for i in range(8000)], 8), minlength=8)
    assert counts.min() > 850
    assert counts.max() < 1150
