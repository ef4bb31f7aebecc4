"""A profile counts rightly, adds up however a batch was cut, and tells nothing about anybody."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.quality.profile import Profile, bucket, total
from tasks.text import text_hash

START = datetime(2026, 3, 1, tzinfo=UTC)


def accepted(*rows: tuple[str, str, float | None, str | None, str | None, float]) -> pd.DataFrame:
    """Accepted rows: user, kind, rating, text, language, hours after the start."""
    frame = pd.DataFrame(list(rows), columns=["user_id", "kind", "rating", "text", "language", "hours"])
    frame["rating"] = frame["rating"].astype("float32")
    frame["event_time"] = pd.to_datetime([START + timedelta(hours=h) for h in frame.pop("hours")], utc=True).as_unit(
        "us"
    )
    frame["text_hash"] = [None if text is None else text_hash(text) for text in frame["text"]]
    return frame


ROWS = (
    ("ann", "review", 4.5, "Warm tone, warm strings", "en", 0.0),
    ("ben", "review", 1.0, "很好很好", "zh", 1.0),
    ("ann", "view", None, None, None, 2.0),
    ("cat", "rating", 5.0, None, None, 30.0),
    ("ann", "search", None, "guitar", "en", 31.0),
)


def test_what_is_counted() -> None:
    profile = Profile.of(accepted(*ROWS))
    assert profile.rows == 5
    assert profile.days == {"2026-03-01": 3, "2026-03-02": 2}
    assert profile.languages == {"en": 2, "zh": 1}
    assert profile.kinds == {
        "review with rating and text": 2, "view": 1, "rating with rating": 1, "search with text": 1,
    }  # fmt: skip
    assert profile.ratings == {"9": 1, "2": 1, "10": 1}  # half stars
    assert profile.lengths == {"18": 1, "8": 1, "10": 1}  # 23, 4 and 6 characters, in quarters of a doubling
    words = {"warm": 2, "tone": 1, "strings": 1, "很": 2, "好": 2, "guitar": 1}
    assert profile.words == {bucket(word): count for word, count in words.items()}
    assert (profile.first, profile.last) == (START, START + timedelta(hours=31))
    assert (profile.users, profile.span) == (3, 2)


def test_no_rows_give_the_empty_profile() -> None:
    assert Profile.of(accepted(*ROWS).head(0)) == Profile()
    assert (Profile().users, Profile().span) == (0, 0)


def test_stragglers_are_no_part_of_the_span_and_holes_are() -> None:
    days = {"2026-03-01": 1, "2026-03-10": 100, "2026-03-12": 80}
    assert Profile(rows=181, days=days).span == 3


def test_words_of_a_share_of_the_texts_are_those_of_the_same_texts_in_any_piece() -> None:
    frame = accepted(
        *((f"u{n}", "review", None, f"word{chr(97 + n % 26)} text{chr(97 + n // 26)}", "en", 0.0) for n in range(400))
    )
    whole = Profile.of(frame, word_share=0.25)
    assert 120 < sum(whole.words.values()) < 280  # of 800
    assert total(Profile.of(frame[at : at + 7], word_share=0.25) for at in range(0, 400, 7)) == whole


def test_users_are_counted_within_a_percent() -> None:
    frame = accepted(*ROWS).iloc[np.zeros(50_000, dtype=int)].assign(user_id=[f"user-{n}" for n in range(50_000)])
    assert Profile.of(frame).users == pytest.approx(50_000, rel=0.01)


def test_it_is_kept_as_json_without_anything_that_points_to_a_person() -> None:
    profile = Profile.of(accepted(*ROWS))
    assert Profile.from_json(json.loads(json.dumps(profile.to_json()))) == profile
    kept = json.dumps(profile.sealed().to_json())
    assert Profile.from_json(json.loads(kept)).users == 3
    assert not [word for word in ("ann", "warm", "tone", "guitar", "很") if word in kept.lower()]
    assert profile.sealed().user_bits == 0
    with pytest.raises(ValueError, match="sealed"):
        profile.sealed() + profile


row = st.tuples(
    st.sampled_from(["ann", "ben", "cat", "dan"]),
    st.sampled_from(["review", "view", "rating"]),
    st.one_of(st.none(), st.floats(1, 5)),
    st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)),
    st.one_of(st.none(), st.sampled_from(["en", "zh"])),
    st.floats(0, 100),
)


@given(st.lists(row, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_pieces_add_up_to_the_whole_however_it_was_cut(rows: list[tuple], cuts: list[int]) -> None:
    frame = accepted(*rows)
    edges = [0, *sorted(cuts), len(frame)]
    pieces = [frame.iloc[a:b] for a, b in pairwise(edges)]
    assert total(Profile.of(piece) for piece in pieces if len(piece)) == Profile.of(frame)
