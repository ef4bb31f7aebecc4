import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.embeddings.histories import NONE, Histories, of_sequences
from tasks.embeddings.lessons import lessons_from
from tasks.embeddings.sequence import SequenceConfig, SequenceModel
from tasks.embeddings.training import batch_users, fit_sequence
from tasks.errors import ModelError, NotEnoughData, SpaceMismatch

ITEMS = 24
IDS = [f"item-{i}" for i in range(ITEMS)]
CONFIG = SequenceConfig(state_size=32, learning_rate=1e-2, dropout=0.1)


def walks(users: int, length: int, seed: int = 0) -> list[list[int]]:
    """Histories in which item i is always followed by i + 1, round and round."""
    return [
        [(int(s) + i) % ITEMS for i in range(length)] for s in np.random.default_rng(seed).integers(0, ITEMS, users)
    ]


def fit(histories: Histories, epochs: int = 12, seed: int = 0, **more: Any) -> SequenceModel:
    content = np.zeros((ITEMS, 2), np.float32)
    known = {"item_ids": IDS, "encoder": "space", "config": CONFIG, "device": "cpu"}
    return fit_sequence(histories, content, epochs=epochs, seed=seed, **{**known, **more})


@pytest.fixture(scope="module")
def fitted() -> SequenceModel:
    return fit(of_sequences(walks(200, 8)))


def test_the_planted_rule_is_learned(fitted: SequenceModel) -> None:
    unseen = walks(50, 6, seed=9)
    scores = fitted.scores(fitted.states(of_sequences([w[:-1] for w in unseen])).h)
    assert (scores.argmax(1) == [w[-1] for w in unseen]).mean() == 1


def test_the_curve_tells_how_it_went(fitted: SequenceModel) -> None:
    assert 2 <= len(fitted.curve) <= 12
    assert fitted.curve[-1].loss < fitted.curve[0].loss
    assert max(epoch.ndcg for epoch in fitted.curve) > 0.9


def test_the_same_seed_gives_the_same_model_and_leaves_torch_alone() -> None:
    histories = of_sequences(walks(40, 5))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (fit(histories, epochs=2, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["identity.weight"], other["identity.weight"])


def test_a_second_fit_knows_nothing_of_the_first(fitted: SequenceModel) -> None:
    backwards = [w[::-1] for w in walks(200, 8)]
    again = fit(of_sequences(backwards))
    scores = again.scores(again.states(of_sequences([[5], [9]])).h)
    assert scores.argmax(1).tolist() == [4, 8]


def test_training_stops_when_held_out_users_gain_no_more_and_keeps_the_best() -> None:
    noise = np.random.default_rng(0).integers(0, ITEMS, (80, 6)).tolist()
    heard: list[int] = []
    model = fit(of_sequences(noise), epochs=40, patience=2, validation_share=0.5, progress=heard.append)
    ndcg = [epoch.ndcg for epoch in model.curve]
    assert sum(heard) == len(ndcg) < 40
    assert len(ndcg) - 1 - int(np.argmax(ndcg)) == 2


def test_without_held_out_users_all_epochs_are_run() -> None:
    model = fit(of_sequences(walks(20, 4)), epochs=3, validation_share=0)
    assert [epoch.ndcg for epoch in model.curve] == [None] * 3


def test_content_alone_places_a_new_item() -> None:
    """Item 0 is followed by the even half, item 1 by the odd half; a new item is known by its content only."""
    rng = np.random.default_rng(0)
    content = np.eye(2, dtype=np.float32)[np.arange(ITEMS) % 2]
    histories = of_sequences([[s % 2, *(2 + s % 2 + 2 * rng.permutation(11)[:4])] for s in range(200)])
    config = SequenceConfig(state_size=16, learning_rate=1e-2, dropout=0.1)
    model = fit_sequence(
        histories, content, item_ids=IDS, encoder="space", config=config, seed=0, device="cpu", epochs=10
    )
    grown = model.with_items([*IDS, "even", "odd"], np.concatenate((content, np.eye(2, dtype=np.float32))))
    scores = grown.scores(grown.states(of_sequences([[0], [1]])).h)
    assert scores[0, -2] > scores[0, -1]
    assert scores[1, -1] > scores[1, -2]


def test_too_little_data_is_refused() -> None:
    with pytest.raises(NotEnoughData):
        fit(of_sequences([[1], [2]]))


def test_an_item_without_a_vector_is_refused() -> None:
    with pytest.raises(ModelError, match="beyond the 24"):
        fit(of_sequences([[1, 24]]))


def test_a_saved_model_is_the_same_model(fitted: SequenceModel, tmp_path: Path) -> None:
    fitted.save(tmp_path / "a")
    loaded = SequenceModel.load(tmp_path / "a", encoder="space", device="cpu")
    histories = of_sequences(walks(5, 4, seed=2))
    np.testing.assert_array_equal(loaded.states(histories).h, fitted.states(histories).h)
    np.testing.assert_array_equal(loaded.scores(loaded.states(histories).h), fitted.scores(fitted.states(histories).h))
    assert (loaded.item_ids, loaded.encoder, loaded.config) == (IDS, "space", CONFIG)
    assert loaded.curve == fitted.curve
    loaded.save(tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_model_of_another_space_is_refused(fitted: SequenceModel, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    with pytest.raises(SpaceMismatch, match="space"):
        SequenceModel.load(tmp_path, encoder="another", device="cpu")


def change_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "sequence.json").read_text())
    (folder / "sequence.json").write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "sequence.json").unlink(),
        lambda folder: (folder / "sequence.json").write_text("{"),
        lambda folder: (folder / "sequence.json").write_text("[]"),
        lambda folder: (folder / "sequence.safetensors").unlink(),
        lambda folder: (folder / "sequence.safetensors").write_bytes(b"\x00" * 100),
        lambda folder: change_card(folder, format="other"),
        lambda folder: change_card(folder, item_ids=["one"]),
        lambda folder: change_card(folder, config={"state_size": 8}),
        lambda folder: change_card(folder, config={"unknown": 8}),
        lambda folder: change_card(folder, curve=None),
        shutil.rmtree,
    ],
)
def test_a_damaged_or_foreign_folder_is_refused(
    fitted: SequenceModel, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    fitted.save(tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(ModelError, match=r"'model'|sequence model"):
        SequenceModel.load(tmp_path / "model", encoder="space", device="cpu")


def test_given_answers_are_tried_and_every_lesson_is_learned() -> None:
    paths = walks(60, 6)
    before = of_sequences([path[:-1] for path in paths])
    answers = np.array([path[-1] if user % 2 else NONE for user, path in enumerate(paths)])
    lessons = lessons_from(before, 0.5, np.random.default_rng(0), answers)
    assert lessons.answers.tolist() == [path[-1] for path in paths[1::2]]
    assert lessons.held_out.items.tolist() == [item for path in paths[1::2] for item in path[:-1]]
    assert (lessons.targets != NONE).sum() == 60 * 4  # all but what comes after a history's end
    reached: list[float] = []
    model = fit(before, epochs=6, answers=answers, better=lambda best: reached.append(best.curve[-1].ndcg))
    assert reached == sorted(reached)
    assert reached[-1] == max(epoch.ndcg for epoch in model.curve)


def test_batches_hold_some_two_thousand_events() -> None:
    long, short, few = (of_sequences([[0] * length] * users) for users, length in ((900, 200), (9_000, 5), (90, 5)))
    assert [batch_users(h, 200) for h in (long, short, few)] == [10, 128, 8]
    assert batch_users(long, 50) == 20
