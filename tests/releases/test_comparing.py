"""Comparing two releases whose differences are planted."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import schema
from tasks.errors import ReleaseError
from tasks.releases import comparing
from tasks.releases.comparing import rank_biased_overlap
from tasks.releases.offline import write_offline
from tests.releases.planted import AS_OF, frame

OLD, NEW = "r20260301_00000001", "r20260302_00000002"
rankings = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


def write(home, release, tops, as_of=AS_OF):
    """Recommendations: by user, item ids best first."""
    users = sorted(tops)
    rows = frame(schema.RECOMMENDATIONS, len(users), as_of=as_of)
    rows = rows.assign(user_id=users, item_ids=[list(tops[u]) for u in users])
    write_offline(home, release, schema.RECOMMENDATIONS, [rows], as_of=as_of)


def test_changed_tops_are_counted_and_named_in_a_file_only(tmp_path):
    write(tmp_path, OLD, {"same": "abcdefghijk", "swapped": "ab", "new items": "abcd", "gone": "a"})
    write(tmp_path, NEW, {"same": "abcdefghijz", "swapped": "ba", "new items": "abxy", "come": "a", "come too": "b"})
    found = comparing.top_changes(tmp_path, OLD, NEW, changed_users=tmp_path / "users")
    assert (found.users, found.changed, found.added, found.removed) == (3, 2, 2, 1)
    assert found.share == pytest.approx(2 / 3)
    assert found.jaccard == pytest.approx((1 + 1 + 2 / 6) / 3)
    assert set((tmp_path / "users").read_text().splitlines()) == {"swapped", "new items"}
    assert comparing.top_changes(tmp_path, OLD, NEW, top=1).changed == 1
    same = comparing.top_changes(tmp_path, OLD, OLD)
    assert (same.changed, same.jaccard, same.overlap) == (0, 1, pytest.approx(1))


def test_no_user_in_both(tmp_path):
    write(tmp_path, OLD, {"ann": "a"})
    write(tmp_path, NEW, {"ben": "a"})
    found = comparing.top_changes(tmp_path, OLD, NEW)
    assert (found.users, found.share, found.jaccard, found.overlap) == (0, None, None, None)


def test_rows_are_compared_by_content_not_by_time(tmp_path):
    table, rows = schema.USER_TOPICS, frame(schema.USER_TOPICS, 6)
    write_offline(tmp_path, OLD, table, [rows.iloc[:5]], as_of=AS_OF)
    later = AS_OF + timedelta(days=1)
    now = rows.iloc[2:].assign(as_of=later).reset_index(drop=True)
    now.at[0, "topic_mix"] = now.at[0, "topic_mix"] + 1
    write_offline(tmp_path, NEW, table, [now], as_of=later)
    assert comparing.row_changes(tmp_path, OLD, NEW, table) == comparing.RowChanges(
        added=1, removed=2, changed=1, same=2
    )


def test_a_release_that_is_gone_is_named(tmp_path):
    write(tmp_path, OLD, {"ann": "a"})
    with pytest.raises(ReleaseError, match=f"release {NEW} has no rows of user_recommendations"):
        comparing.top_changes(tmp_path, OLD, NEW)


def test_cards_side_by_side():
    old = {"metric": "ndcg@10", "results": {"hybrid": {"ndcg@10": 0.20, "hr@10": 0.5, "interval": [0.17, 0.23]}}}
    new = {"metric": "ndcg@10", "results": {
        "hybrid": {"ndcg@10": 0.30, "hr@10": 0.4, "novelty": None, "interval": [0.26, 0.34]}, "content": {"hr@10": 1}
    }}  # fmt: skip
    found = comparing.card_changes(old, new)
    assert set(found) == {"hybrid"}
    main = found["hybrid"]["ndcg@10"]
    assert main.difference == pytest.approx(0.1)
    assert main.interval == pytest.approx((0.05, 0.15))  # 0.03 and 0.04 add as the sides of a right angle: 0.05
    assert found["hybrid"]["hr@10"].difference == pytest.approx(-0.1)
    assert found["hybrid"]["hr@10"].interval is None
    assert comparing.card_changes({}, {}) == {}


def test_rank_biased_overlap_by_hand():
    assert rank_biased_overlap("ab", "cd") == 0
    # agreement 0 at depth 1, then 1: (1−p)/p · p² + p² = p, so the first place weighs 1 − p
    assert rank_biased_overlap("ab", "ba", 0.9) == pytest.approx(0.9)
    # the short list ends after a hit and is taken to go on so
    assert rank_biased_overlap("a", "ab", 0.5) == pytest.approx(1)
    assert rank_biased_overlap("", "") == 1
    assert rank_biased_overlap("", "ab") == 0


@given(rankings, rankings)
def test_rank_biased_overlap_is_a_likeness(one, other):
    value = rank_biased_overlap(one, other)
    assert -1e-9 <= value <= 1 + 1e-9
    assert value == pytest.approx(rank_biased_overlap(other, one))
    assert rank_biased_overlap(one, one) == pytest.approx(1)


@given(rankings, st.data())
def test_a_swap_at_the_top_weighs_more_than_one_below(ranking, data):
    if len(ranking) < 3:
        return
    place = data.draw(st.integers(1, len(ranking) - 2))

    def swapped(at):
        return [*ranking[:at], ranking[at + 1], ranking[at], *ranking[at + 2 :]]

    assert rank_biased_overlap(ranking, swapped(0)) < rank_biased_overlap(ranking, swapped(place))
