"""A fitted model as a folder of two files: tensors, and a card that says what they are. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tasks.errors import ModelError

FORMAT = "penchant-sequence-1"
TENSORS, CARD = "sequence.safetensors", "sequence.json"


def write_folder(folder: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write both files into `folder`; the same model gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / TENSORS)
    (folder / CARD).write_text(json.dumps({"format": FORMAT, **card}, ensure_ascii=False, indent=1))


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Card and tensors that `write_folder` wrote; raises `ModelError` for a folder missing, damaged or foreign."""
    try:
        card = json.loads((folder / CARD).read_text())
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"sequence model {folder.name!r} is missing or damaged ({type(error).__name__}); fit it again"
        ) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ModelError(f"folder {folder.name!r} holds no sequence model of the format {FORMAT}")
    return card, tensors
