"""Copies of what another user wrote are found, whatever the pieces the batch comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.quality import Seen, Signed
from tasks.quality.copies import COMPARED_FROM, PERMUTATIONS, Copies, signatures
from tasks.schema import EVENTS

from .frames import batch_check, chunk, run

EN = "This little amplifier is loud and clear, and it stays in tune for weeks on end. I would gladly buy it again."
ZH = "这把吉他的声音很好，价格便宜，物流也很快，质量不错，弦距低，手感轻，推荐大家购买，老师也说好。"
OTHER = "The strap came loose after two days of playing, so I sent it back and asked for a leather one instead of it."


def stopped(*rows: dict[str, Any], **options: Any) -> list[int]:
    """Positions of the rows that are told to be copies."""
    _, quarantine, _ = run(batch_check(**options), chunk(*rows))
    assert set(quarantine["rule"]) <= {"near_duplicate"}
    return quarantine["position"].tolist()


def post(text: str, user: str, **changes: Any) -> dict[str, Any]:
    return {"text": text, "user_id": user, **changes}


@pytest.mark.parametrize("copy", [EN, EN.upper(), EN.replace("weeks", "months"), EN + " Really!", f"Hi. {EN}"])
def test_another_user_s_copy_is_stopped_and_the_first_one_stays(copy: str) -> None:
    assert stopped(post(EN, "u1"), post(OTHER, "u2"), post(copy, "u3")) == [3]


def test_chinese_copies_are_stopped_too() -> None:
    assert stopped(post(ZH, "u1"), post(f"{ZH[:-1]}！", "u2")) == [2]


def test_ten_copies_of_one_text_are_all_stopped() -> None:
    assert stopped(*(post(EN, f"u{n}") for n in range(10))) == list(range(2, 11))


def test_own_copies_short_texts_and_other_kinds_are_let_be() -> None:
    short = "Great product, works as described!"
    assert len(short) < COMPARED_FROM
    rows = [post(EN, "u1"), post(EN, "u1", item_id="i2"), *(post(short, f"u{n}") for n in range(5))]
    rows += [post(EN, "u8", kind="chat", rating=None), post(EN, "u9", kind="search", rating=None)]
    assert stopped(*rows) == []


def test_a_copy_of_the_recent_past_is_stopped_and_the_past_is_bounded() -> None:
    accepted, _, _ = run(batch_check(), chunk(post(EN, "u1"), post(OTHER, "u2")))
    past = Signed.of([accepted[list(Signed.columns())]], most=10)
    assert stopped(post(EN, "u3", event_id="new"), recent=past) == [1]
    assert stopped(post(EN, "u1", event_id="again"), recent=past) == []
    last = Signed.of([accepted], most=1)
    assert len(last.users) == 1
    assert stopped(post(EN, "u3", event_id="n"), post(OTHER, "u4", event_id="x"), recent=last) == [2]


def test_a_batch_that_comes_again_is_all_repeats_and_its_copies_stay_out() -> None:
    rows = [post(EN, "u1"), post(EN, "u2"), post(EN, "u2", event_id="e2")]
    accepted, _, _ = run(batch_check(batch_id="b0"), chunk(*rows))
    past = {"seen": Seen.of([accepted], EVENTS), "recent": Signed.of([accepted], most=9)}
    _, quarantine, verdict = run(batch_check(**past), chunk(*rows))
    assert (verdict.rows.repeated, quarantine["position"].tolist()) == (1, [2, 3])


def test_a_stopped_copy_does_not_own_its_id() -> None:
    rows = [post(EN, "u1"), post(EN, "u2", event_id="x"), post(OTHER, "u3", event_id="x")]
    accepted, quarantine, _ = run(batch_check(), chunk(*rows))
    assert (list(accepted["event_id"]), quarantine["position"].tolist()) == (["e1", "x"], [2])


def test_as_info_copies_are_counted_and_accepted() -> None:
    check = batch_check(changes={"near_duplicate": {"severity": "info"}})
    accepted, _, verdict = run(check, chunk(post(EN, "u1"), post(EN, "u2")))
    assert len(accepted) == 2
    assert verdict.ledger.set_index("rule")["rows_failed"]["near_duplicate"] == 1


WORDS = ["loud", "clear", "strings", "buzzing", "amplifier", "yesterday", "吉他", "声音", "recommended", "tuner"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=10, max_size=25).map(" ".join)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([EN, EN[:-9], ZH, OTHER]) | TEXTS, st.sampled_from("abc")), min_size=1),
    st.sets(st.integers(1, 30), max_size=3),
)
def test_pieces_of_a_batch_give_the_same_copies(rows: list[tuple[str, str]], cuts: set[int]) -> None:
    frame = chunk(*(post(text, user) for text, user in rows))
    pieces = [p.reset_index(drop=True) for p in np.split(frame, sorted(c for c in cuts if c < len(frame)))]
    whole, parts = run(batch_check(), frame), run(batch_check(), *pieces)
    pd.testing.assert_frame_equal(whole[1], parts[1])
    pd.testing.assert_frame_equal(whole[2].ledger, parts[2].ledger)


@given(st.lists(st.text(min_size=30, max_size=60), min_size=1, max_size=6))
def test_a_signature_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    kept = [text.encode("utf-8", "replace").decode() for text in texts]
    together = signatures(pa.array(kept, type=pa.large_string()))
    alone = [signatures(pa.array([text], type=pa.large_string()))[0] for text in kept]
    assert together.tolist() == np.array(alone).tolist()
    assert together.shape == (len(kept), PERMUTATIONS)


def test_likeness_estimates_what_the_sets_have_in_common() -> None:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 10**6, (200, 2, 60)).astype(str)
    shared = rng.integers(0, 60, 200)
    texts = []
    for n in range(200):
        words[n, 1, : shared[n]] = words[n, 0, : shared[n]]
        texts += [" ".join(words[n, 0]), " ".join(words[n, 1])]
    matrix = signatures(pa.array(texts, type=pa.large_string()))
    sets = [{t.encode()[i : i + 8] for i in range(len(t) - 7)} for t in texts]
    exact = np.array([len(a & b) / len(a | b) for a, b in zip(sets[::2], sets[1::2], strict=True)])
    estimated = (matrix[::2] == matrix[1::2]).mean(axis=1)
    # MinHash is unbiased with variance J(1 − J)/24; sampling one piece in four adds some
    assert abs((estimated - exact).mean()) < 0.02
    assert np.sqrt(((estimated - exact) ** 2).mean()) < 0.11


def test_texts_are_found_among_many() -> None:
    copies = Copies(Signed.none())
    rng = np.random.default_rng(2)
    matrix = rng.integers(0, 2**32, (5_000, PERMUTATIONS), dtype=np.uint32)
    ordinals = np.arange(5_000, dtype=np.uint64)
    assert not copies.likeness(Signed(matrix, ordinals, ordinals)).any()
    likeness = copies.likeness(Signed(matrix[::100], ordinals[::100] + 10_000, ordinals[::100] + 10_000))
    assert (likeness == 1).all()
