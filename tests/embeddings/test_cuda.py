"""A GPU gives what the CPU gives, within a stated tolerance."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.embeddings import Encoder, SequenceConfig, SequenceModel, fit_sequence, of_sequences

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")


def test_vectors_of_both_have_a_cosine_above_0_999(encoder: Encoder, bert: Path) -> None:
    texts = ["a good book", "好书", "the same words " * 40]
    gpu = Encoder.load(str(bert), device="cuda", max_tokens=32, batch_size=4)
    assert gpu.fingerprint == encoder.fingerprint
    assert (gpu.encode(texts) * encoder.encode(texts)).sum(1).min() > 0.999


def test_states_and_scores_of_both_differ_by_less_than_0_01(tmp_path: Path) -> None:
    histories = of_sequences([[s % 6, (s + 1) % 6, (s + 2) % 6] for s in range(60)])
    model = fit_sequence(
        histories,
        np.eye(6, dtype=np.float32),
        item_ids=list("abcdef"),
        encoder="space",
        config=SequenceConfig(state_size=16, learning_rate=1e-2),
        seed=0,
        device="cuda",
        epochs=5,
    )
    model.save(tmp_path)
    cpu = SequenceModel.load(tmp_path, device="cpu")
    states = cpu.states(histories).h
    np.testing.assert_allclose(model.states(histories).h, states, atol=1e-2)
    np.testing.assert_allclose(model.scores(states), cpu.scores(states), atol=1e-2)
