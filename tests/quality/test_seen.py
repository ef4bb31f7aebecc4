"""What was seen before, against a plain dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.quality import Seen
from tasks.quality.seen import Claims, hashes
from tasks.schema import EVENTS

from .frames import batch_check, chunk, run

PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=20)


def arrays(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    columns = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


@given(st.lists(PAIRS, max_size=6), PAIRS)
def test_it_finds_what_a_dictionary_finds(added: list[list[tuple[int, int]]], asked: list[tuple[int, int]]) -> None:
    seen, plain = Seen(), {}
    for pairs in added:
        seen.add(*arrays(pairs))
        plain.update(pairs)
    known, contents = seen.find(arrays(asked)[0])
    assert known.tolist() == [key in plain for key, _ in asked]
    assert contents[known].tolist() == [plain[key] for key, _ in asked if key in plain]


@given(PAIRS, st.lists(PAIRS, max_size=4), st.booleans())
def test_claims_are_settled_as_one_row_at_a_time_would(
    before: list[tuple[int, int]], chunks: list[list[tuple[int, int]]], updates: bool
) -> None:
    seen = Seen()
    seen.add(*arrays(before))
    claims, old, owners = Claims(seen, updates=updates), dict(before), {}
    for pairs in chunks:
        conflicts, repeats = claims.settle(*arrays(pairs))
        for (key, content), conflict, repeat in zip(pairs, conflicts, repeats, strict=True):
            first = key not in owners and (updates or key not in old)
            expected = content if first else owners.get(key, old.get(key))
            if first:
                owners[key] = content
            assert conflict == (content != expected)
            assert repeat == (content == expected and (not first or old.get(key) == content))


def test_many_additions_stay_in_few_runs() -> None:
    seen = Seen()
    for start in range(0, 5000, 10):
        seen.add(np.arange(start, start + 10, dtype=np.uint64), np.zeros(10, dtype=np.uint64))
    assert len(seen) == 5000
    assert len(seen._runs) < 13


def test_language_and_batch_are_no_content_but_everything_else_is() -> None:
    accepted, _, _ = run(batch_check(), chunk({"event_id": "a", "language": "en"}))
    key, content = hashes(accepted[list(Seen.columns(EVENTS))], EVENTS)
    assert hashes(accepted.assign(language="zh", batch_id="b9"), EVENTS) == (key, content)
    later = accepted["event_time"] + np.timedelta64(1, "us")
    changes = {"item_id": "i2", "kind": "chat", "rating": np.float32(1), "text_hash": "0" * 32, "event_time": later}
    for name, value in changes.items():
        assert hashes(accepted.assign(**{name: value}), EVENTS)[1] != content
    assert hashes(accepted.assign(item_id=None), EVENTS)[1] != hashes(accepted.assign(item_id=""), EVENTS)[1]
