from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.embeddings import sequence
from tasks.embeddings.histories import NONE, Histories, of_sequences
from tasks.embeddings.sequence import SequenceConfig, SequenceModel, State
from tasks.errors import ModelError

ITEMS, WIDTH, TEXTS = 6, 8, 3
RNG = np.random.default_rng(5)
CONTENT = RNG.normal(size=(ITEMS, 4)).astype(np.float32)
TEXT_VECTORS = RNG.normal(size=(5, TEXTS)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    """A model with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = SequenceConfig(state_size=WIDTH)
        made = SequenceModel(config, CONTENT, item_ids=list("abcdef"), text_size=TEXTS, encoder="space")
        torch.nn.init.normal_(made.kind.weight)
    return made.eval()


def some_histories(lengths: list[int], seed: int = 0) -> Histories:
    """Random histories of these lengths, with every kind of gap: no item, no text, no rating."""
    rng, events = np.random.default_rng(seed), sum(lengths)
    return Histories(
        offsets=np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))),
        items=rng.integers(NONE, ITEMS, events).astype(np.int32),
        seconds=10**9 + np.cumsum(rng.integers(0, 10**6, events)),
        kinds=rng.integers(0, 9, events).astype(np.int16),
        ratings=np.where(rng.random(events) < 0.5, np.nan, rng.integers(1, 6, events)).astype(np.float32),
        texts=rng.integers(NONE, 5, events).astype(np.int32),
        text_vectors=TEXT_VECTORS,
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.data())
def test_stepping_on_equals_a_pass_over_everything(
    model: SequenceModel, lengths: list[int], data: st.DataObject
) -> None:
    histories = some_histories(lengths)
    cuts = np.array([data.draw(st.integers(0, n)) for n in lengths], np.int64)
    middle = model.states(histories.between(np.zeros_like(cuts), cuts))
    stepped = model.step(middle, histories.between(cuts, histories.lengths))
    whole = model.states(histories)
    for name in ("h", "c", "seconds"):
        np.testing.assert_allclose(getattr(stepped, name), getattr(whole, name), atol=1e-5)


def test_a_history_longer_than_a_chunk_is_read_in_pieces(model, monkeypatch: pytest.MonkeyPatch) -> None:
    histories = some_histories([23, 0, 7, 50])
    whole = model.states(histories)
    monkeypatch.setattr(sequence, "CHUNK", 7)
    monkeypatch.setattr(sequence, "BATCH", 3)
    np.testing.assert_allclose(model.states(histories).h, whole.h, atol=1e-5)


def test_a_batch_gives_what_one_by_one_gives(model: SequenceModel) -> None:
    histories = some_histories([3, 9, 0, 1])
    alone = [model.states(histories.of(np.array([user]))).h[0] for user in range(4)]
    np.testing.assert_allclose(model.states(histories).h, alone, atol=1e-5)


def test_the_state_follows_everything_that_is_read(model: SequenceModel) -> None:
    base = replace(some_histories([4]), items=np.int32([0, 1, 2, 3]), texts=np.int32([0, 1, 2, 3]))
    base = replace(base, ratings=np.float32([1, 2, 3, 4]), kinds=np.int16([0, 1, 2, 3]))
    changes = {
        "items": np.int32([0, 1, 2, NONE]),
        "texts": np.int32([0, 1, 2, NONE]),
        "ratings": np.float32([1, 2, 3, np.nan]),
        "kinds": np.int16([0, 1, 2, 8]),
        "seconds": base.seconds + np.array([0, 0, 0, 10**7]),
    }
    for name, values in changes.items():
        moved = np.abs(model.states(replace(base, **{name: values})).h - model.states(base).h).max()
        assert moved > 1e-4, name


def test_no_rating_is_not_the_middle_rating(model: SequenceModel) -> None:
    rated = replace(some_histories([1]), ratings=np.float32([3]))
    unrated = replace(rated, ratings=np.float32([np.nan]))
    assert np.abs(model.states(rated).h - model.states(unrated).h).max() > 1e-4


def test_nothing_in_nothing_out(model: SequenceModel) -> None:
    state = model.states(some_histories([]))
    assert (state.h.shape, state.c.shape, state.seconds.shape) == ((0, WIDTH), (0, WIDTH), (0,))
    assert model.scores(state.h).shape == (0, ITEMS)
    assert not model.states(some_histories([0])).h.any()


def test_scores_are_log_probabilities(model: SequenceModel) -> None:
    scores = model.scores(model.states(some_histories([3, 5, 0])).h)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)


def test_a_new_catalogue_keeps_what_was_learned(model: SequenceModel) -> None:
    grown = model.with_items(["new", *"fedcba"], np.concatenate((RNG.normal(size=(1, 4)), CONTENT[::-1])))
    histories = some_histories([5, 2])
    renamed = replace(histories, items=np.where(histories.items == NONE, NONE, 6 - histories.items).astype(np.int32))
    np.testing.assert_allclose(grown.states(renamed).h, model.states(histories).h, atol=1e-6)
    before, after = (m.scores(model.states(histories).h) for m in (model, grown))
    np.testing.assert_allclose(np.diff(after[:, :0:-1]), np.diff(before), atol=1e-4)
    np.testing.assert_allclose(
        grown.items()[0].detach(), grown.from_content(grown.content[0]).detach(), atol=1e-6
    )  # an item that was never seen stands for its content alone


def test_what_does_not_fit_is_refused(model: SequenceModel) -> None:
    with pytest.raises(ModelError, match="an item beyond the 6 it knows"):
        model.states(of_sequences([[0, 6]]))
    with pytest.raises(ModelError, match="2 states, but histories of 1 users"):
        model.step(State.start(2, WIDTH), some_histories([3]))
    with pytest.raises(ModelError, match="text vectors are 2 long, not 3"):
        model.states(replace(some_histories([9]), text_vectors=TEXT_VECTORS[:, :2]))
    with pytest.raises(ModelError, match="item vectors are 3 long, not 4"):
        model.with_items(list("abcdef"), CONTENT[:, :3])
    with pytest.raises(ModelError, match="5 items"):
        SequenceModel(SequenceConfig(), CONTENT, item_ids=list("abcde"), text_size=0, encoder="")
    with pytest.raises(ModelError, match="finite"):
        SequenceModel(SequenceConfig(), CONTENT * np.nan, item_ids=list("abcdef"), text_size=0, encoder="")
