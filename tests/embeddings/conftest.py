"""A two-layer random BERT, small enough to be built anew for each session."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from tasks.embeddings.encoder import Encoder

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{c}" for c in LETTERS), "好", "书")


def _write_bert(folder: Path, *, seed: int = 0) -> Path:
    """A folder with a random BERT of two layers, 16 wide, that reads the letters a to z and two Chinese characters."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: row for row, token in enumerate(VOCABULARY)}
    BertTokenizerFast(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=64, **shape))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def write_bert() -> Callable[..., Path]:
    return _write_bert


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_bert(tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture(scope="session")
def encoder(bert: Path) -> Encoder:
    return Encoder.load(str(bert), device="cpu", max_tokens=32, batch_size=4, bfloat16=False)
