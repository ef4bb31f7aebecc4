"""A fitted sequence model as a folder: weights and item vectors, config, item ids and the encoder's fingerprint."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tasks.embeddings.device import resolve
from tasks.embeddings.encoder import check_space
from tasks.embeddings.sequence import Epoch, SequenceConfig, SequenceModel
from tasks.errors import ModelError

FORMAT = "penchant-sequence-1"
WEIGHTS, CARD = "sequence.safetensors", "sequence.json"


def save_sequence(model: SequenceModel, folder: Path) -> None:
    """Write `model` into `folder`; the same model gives the same bytes, and nothing else is needed to load it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    card = {
        "format": FORMAT,
        "encoder": model.encoder,
        "text_size": model.text_size,
        "config": asdict(model.config),
        "curve": [asdict(epoch) for epoch in model.curve],
        "item_ids": model.item_ids,
    }
    (folder / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1))


def load_sequence(folder: Path, *, encoder: str, device: str) -> SequenceModel:
    """The model that `save_sequence` wrote into `folder`, for vectors in the space `encoder`, on `device`.

    Raises `ModelError` where the folder is missing, damaged or of another kind, `SpaceMismatch` where the model was
    fitted in another space.
    """
    card, tensors = _read(folder)
    check_space(str(card["encoder"]), encoder)
    try:
        model = SequenceModel(
            SequenceConfig(**card["config"]),
            tensors["content"].numpy(),
            item_ids=card["item_ids"],
            text_size=card["text_size"],
            encoder=card["encoder"],
        )
        model.load_state_dict(tensors)
        model.curve = [Epoch(**epoch) for epoch in card["curve"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"sequence model {folder.name!r}: weights and card do not fit ({type(error).__name__}); fit it again"
        ) from error
    return model.to(resolve(device)).eval()


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        card = json.loads((folder / CARD).read_text())
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"sequence model {folder.name!r} is missing or damaged ({type(error).__name__}); fit it again"
        ) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ModelError(f"folder {folder.name!r} holds no sequence model of the format {FORMAT}")
    return card, tensors
