"""Text to vectors with a BERT-family encoder (Devlin et al., 2019, https://arxiv.org/abs/1810.04805).

The vector of a text is the mean of its token vectors, padding left out, at unit length (Sentence-BERT: Reimers and
Gurevych, 2019, https://arxiv.org/abs/1908.10084).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer
from transformers import logging as transformers_logging

from tasks.embeddings.device import has_bfloat16, resolve
from tasks.embeddings.weights import digest, locate
from tasks.errors import ModelError, SpaceMismatch

POOLING = "masked mean, unit length"
WINDOW = 8192
"""Texts tokenised and sorted by length together; it bounds memory, and leaves hardly any padding."""

Vectors = NDArray[np.float32]
Progress = Callable[[int], object]
"""Called with the number of things just done; the `update` of a tqdm bar fits."""


class Encoder:
    """A model that gives each text one unit vector."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        identity: str,
        device: torch.device,
        max_tokens: int,
        batch_size: int,
        bfloat16: bool,
    ) -> None:
        self.device = device
        self.max_tokens = max_tokens
        self.bfloat16 = bfloat16
        self.fingerprint = hashlib.sha256(f"{identity}|{max_tokens}|{POOLING}".encode()).hexdigest()[:16]
        """Names the space: weights, architecture, tokenizer, cut-off and pooling; equal exactly where those are."""
        self._model = model.eval().to(device)
        self._tokenizer = tokenizer
        self._budget = batch_size * max_tokens

    @classmethod
    def load(cls, name: str, *, device: str, max_tokens: int, batch_size: int, bfloat16: bool | None = None) -> Encoder:
        """The encoder called `name`: `default` (the pinned package), a folder, or a name on the hub.

        `device` is auto, cpu or cuda; `max_tokens` cuts longer texts; a forward pass holds at most
        `batch_size * max_tokens` tokens, so more texts where they are short. `bfloat16` None takes it where the device
        multiplies it in hardware: about twice as fast, cosine to float32 above 0.999, and so the same space.
        Raises `ModelError` for weights that are missing, damaged or not the pinned ones.
        """
        folder, place = locate(name), resolve(device)
        model, tokenizer = _read(folder)
        limit = min(int(model.config.max_position_embeddings), int(tokenizer.model_max_length))
        if not 3 <= max_tokens <= limit:
            raise ModelError(f"encoder {name!r} reads 3 to {limit} tokens, not {max_tokens}; change encoder_max_tokens")
        return cls(
            model,
            tokenizer,
            identity=_identity(folder, tokenizer),
            device=place,
            max_tokens=max_tokens,
            batch_size=batch_size,
            bfloat16=has_bfloat16(place) if bfloat16 is None else bfloat16,
        )

    @property
    def size(self) -> int:
        """Length d of a vector."""
        return int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Unit vectors (n, d) of `texts`, in their order; the companions of a text in its batch do not matter.

        Raises `ModelError` naming the positions of texts without a character; `progress` hears how many were done.
        """
        blank = [i for i, text in enumerate(texts) if not text.strip()]
        if blank:
            raise ModelError(f"{len(blank)} of {len(texts)} texts are empty, the first at {blank[0]}; leave them out")
        vectors = np.zeros((len(texts), self.size), np.float32)  # (n, d)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            for start in range(0, len(texts), WINDOW):
                tokens = self._tokens(texts[start : start + WINDOW])
                for rows in batches(np.array([len(t) for t in tokens]), self._budget):
                    vectors[start + rows] = self._pooled([tokens[row] for row in rows])
                    if progress:
                        progress(len(rows))
        return vectors

    def unknown_token_share(self, texts: Sequence[str]) -> float:
        """Share of the tokens of `texts` that the encoder has no entry for; NaN where there is no token.

        It cannot tell such words apart, so where the share is high its vectors say little.
        """
        tokens = self._tokens(texts, special=False)
        total = sum(len(t) for t in tokens)
        unknown = sum(int((t == self._tokenizer.unk_token_id).sum()) for t in tokens)
        return unknown / total if total else float("nan")

    def _tokens(self, texts: Sequence[str], *, special: bool = True) -> list[NDArray[np.int32]]:
        """Token ids of each text, cut at `max_tokens`; arrays, because lists of Python ints take ten times the room."""
        if not texts:
            return []
        coded = self._tokenizer(
            list(texts),
            add_special_tokens=special,
            truncation=True,
            max_length=self.max_tokens,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return [np.array(ids, np.int32) for ids in coded["input_ids"]]

    def _pooled(self, tokens: Sequence[NDArray[np.int32]]) -> Vectors:
        """Unit vectors (b, d) of one batch of b texts, the longest first, of t tokens."""
        lengths = np.array([len(t) for t in tokens])  # (b,)
        filled = np.arange(lengths[0]) < lengths[:, None]  # (b, t)
        ids = np.full(filled.shape, self._tokenizer.pad_token_id, np.int64)  # (b, t)
        ids[filled] = np.concatenate(tokens)
        mask = torch.from_numpy(filled).to(self.device)  # (b, t)
        output = self._model(input_ids=torch.from_numpy(ids).to(self.device), attention_mask=mask.long())
        hidden = output.last_hidden_state.float()  # (b, t, d)
        weight = mask.unsqueeze(-1).float()  # (b, t, 1)
        mean = (hidden * weight).sum(1) / weight.sum(1)  # (b, d)
        pooled: Vectors = functional.normalize(mean, dim=1).cpu().numpy()  # (b, d)
        return pooled


def check_space(a: str, b: str) -> None:
    """Raise `SpaceMismatch` where the fingerprints `a` and `b` name two spaces."""
    if a != b:
        raise SpaceMismatch(f"vectors of encoder {a} and of encoder {b} do not mix; encode both with one of them")


def batches(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers in batches, longest first, each of at most `budget` tokens with its padding, or of one row."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        count = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + count]
        start += count


def _read(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer of `folder`; refuses weights that would be filled with random numbers."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, report = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"encoder folder {folder.name!r} cannot be read ({type(error).__name__}); fetch it again"
        ) from error
    absent = [key for key in report["missing_keys"] if not key.startswith("pooler.")]  # mean pooling needs no pooler
    if absent or report["mismatched_keys"]:
        raise ModelError(f"encoder folder {folder.name!r} lacks {len(absent)} weights that its config.json asks for")
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise ModelError(f"encoder folder {folder.name!r} needs a fast tokenizer (tokenizer.json) with a padding token")
    return model, tokenizer


def _identity(folder: Path, tokenizer: Any) -> str:
    """What makes vectors comparable, apart from cut-off and pooling: weights, architecture and tokenizer."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    rules.update(truncation=None, padding=None)  # set anew at each call
    words = hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
    shape = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    return f"{digest(folder)}|{shape}|{words}"
