"""An LSTM over a user's dated history that predicts the next item (Hochreiter and Schmidhuber, 1997; GRU4Rec: Hidasi
et al., 2016, https://arxiv.org/abs/1511.06939; full softmax: Petrov and Macdonald, 2023,
https://arxiv.org/abs/2308.07192).

Shapes: n users, s steps of a batch, m items, d numbers in an item vector, k in a text vector, w = width of the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from tasks import schema
from tasks.embeddings.device import resolve
from tasks.embeddings.encoder import check_space
from tasks.embeddings.histories import NONE, Histories
from tasks.embeddings.model_folder import read_folder, write_folder
from tasks.embeddings.steps import Steps, pieces, steps_of
from tasks.errors import ModelError

CHUNK = 512
"""Steps read at a time; a longer history carries its state from chunk to chunk, so memory stays bounded."""
BATCH = 512
"""Users read at a time when nothing is learned."""


@dataclass(frozen=True)
class SequenceConfig:
    """What the model is and how it learns.

    Changed one at a time, on 10,261 reviews of 900 items with three seeds, no other value had a better NDCG@10 on
    validation items than these defaults (0.062, before weights were averaged; dropout 0.2 and 0.6, smoothing 0 and 0.1,
    rate 0.001 and 0.004, width 64 and 256, 32 and 64 users).
    """

    state_size: int = 128
    """Width of the state h and of an item's representation."""
    max_length: int = 200
    """Latest events of a history that are learned from (SASRec, 2018, uses 50 or 200); states read all of it."""
    dropout: float = 0.4
    label_smoothing: float = 0.05
    learning_rate: float = 2e-3
    batch_users: int = 128


@dataclass(frozen=True)
class State:
    """Where the model stands after each user's history; all that is needed to step on from there."""

    h: NDArray[np.float32]
    """(n, w) the state that is published."""
    c: NDArray[np.float32]
    """(n, w) the LSTM's cell."""
    seconds: NDArray[np.int64]
    """(n,) time of the last event read, 0 where none was."""

    @classmethod
    def start(cls, users: int, width: int) -> State:
        """The state before any event."""
        return cls(
            np.zeros((users, width), np.float32), np.zeros((users, width), np.float32), np.zeros(users, np.int64)
        )

    def __len__(self) -> int:
        return len(self.h)


@dataclass(frozen=True)
class Epoch:
    """How one pass over the histories went."""

    loss: float
    """Mean cross-entropy with label smoothing, in nats."""
    ndcg: float | None
    """NDCG of the held-out users' last new item among all items; None where no user was held out."""


class SequenceModel(nn.Module):
    """The LSTM, with what stands for each item: an embedding of its id plus a projection of its content."""

    content: Tensor

    def __init__(
        self,
        config: SequenceConfig,
        item_vectors: NDArray[np.float32],
        *,
        item_ids: Sequence[str],
        text_size: int,
        encoder: str,
    ) -> None:
        """A fresh model of the items `item_ids` with content `item_vectors` (m, d), random from torch's generator.

        `text_size` is k, 0 for a model that reads no text; `encoder` names the space of both kinds of vectors.
        Raises `ModelError` where ids and vectors do not fit or a vector is not finite.
        """
        if len(item_ids) != len(item_vectors) or not np.isfinite(item_vectors).all():
            raise ModelError(f"sequence model: {len(item_ids)} items, {item_vectors.shape} vectors; all must be finite")
        super().__init__()
        width = config.state_size
        self.config, self.item_ids, self.text_size, self.encoder = config, list(item_ids), text_size, encoder
        self.curve: list[Epoch] = []
        self.register_buffer("content", torch.tensor(item_vectors, dtype=torch.float32))  # (m, d)
        self.identity = nn.Embedding(len(item_ids), width)
        self.from_content = nn.Linear(item_vectors.shape[1], width, bias=False)
        self.from_text = nn.Linear(text_size, width, bias=False) if text_size else None
        self.kind = nn.Embedding(len(schema.KINDS), width)
        self.from_numbers = nn.Linear(3, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.lstm = nn.LSTM(width, width)
        self._initialise()

    def items(self) -> Tensor:
        """What stands for each item (m, w): read as input, and matched with the state as output."""
        represented: Tensor = self.identity.weight + self.from_content(self.content)
        return represented

    def forward(self, steps: Steps, items: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """State after each step (s, w), and h and c (b, w) after the last of each user, from h and c before."""
        known = (steps.items != NONE).unsqueeze(1)  # (s, 1)
        x = functional.embedding(steps.items.clamp(min=0), items) * known  # (s, w)
        x = x + self.kind(steps.kinds) + self.from_numbers(steps.numbers)  # (s, w)
        if self.from_text is not None and steps.texts is not None:
            x = x + self.from_text(steps.texts)  # (s, w)
        packed = PackedSequence(self.dropout(x), steps.sizes)
        output, (h, c) = self.lstm(packed, (h.unsqueeze(0), c.unsqueeze(0)))  # h, c: (1, b, w)
        return output.data, h[0], c[0]

    def states(self, histories: Histories) -> State:
        """The state of each user after the whole history; that of a user without events is zero."""
        return self.step(State.start(len(histories), self.config.state_size), histories)

    @torch.inference_mode()
    def step(self, state: State, histories: Histories, items: Tensor | None = None) -> State:
        """The state after `histories`, which hold only what happened since `state`; users are in the same order.

        Equals a pass over everything to float tolerance, at a cost that depends on the new events alone. `items` is
        what `items()` gives, where that is at hand.
        Raises `ModelError` for another number of users, or items that the model does not know.
        """
        self.check(histories)
        if len(state) != len(histories):
            raise ModelError(f"sequence model: {len(state)} states, but histories of {len(histories)} users")
        self.eval()
        gaps, place = histories.gaps(state.seconds), self.content.device
        items = self.items() if items is None else items
        h, c = torch.from_numpy(state.h).to(place, copy=True), torch.from_numpy(state.c).to(place, copy=True)  # (n, w)
        for users, rows, sizes in pieces(histories, BATCH, CHUNK):
            _, h[users], c[users] = self(
                steps_of(histories, rows, sizes, gaps, self.text_size, place), items, h[users], c[users]
            )
        seconds = state.seconds.copy()
        some = histories.lengths > 0
        seconds[some] = np.maximum(seconds[some], histories.seconds[histories.offsets[1:][some] - 1])
        return State(h.cpu().numpy(), c.cpu().numpy(), seconds)

    @torch.inference_mode()
    def scores(self, h: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-probability (n, m) of each item to come next, after states `h` (n, w); slice `h` where n * m is large."""
        items = self.items()  # (m, w)
        scores = np.empty((len(h), len(items)), np.float32)
        for start in range(0, len(h), BATCH):
            block = torch.from_numpy(h[start : start + BATCH]).to(items.device)  # (b, w)
            scores[start : start + BATCH] = functional.log_softmax(block @ items.T, dim=1).cpu().numpy()  # (b, m)
        return scores

    def with_items(self, item_ids: Sequence[str], item_vectors: NDArray[np.float32]) -> SequenceModel:
        """The same model over another catalogue: a known item keeps its id embedding, a new one has content alone.

        Raises `ModelError` where the vectors are not as long as those that the model was fitted with.
        """
        if item_vectors.shape[1] != self.content.shape[1]:
            raise ModelError(
                f"sequence model: item vectors are {item_vectors.shape[1]} long, not {self.content.shape[1]}"
            )
        rows = pd.Index(self.item_ids).get_indexer(pd.Index(item_ids))
        identity = torch.zeros(len(item_ids), self.config.state_size)  # (m, w)
        identity[rows != NONE] = self.identity.weight.detach().cpu()[rows[rows != NONE]]
        tensors = {**self.state_dict(), "content": torch.tensor(item_vectors), "identity.weight": identity}
        known = {"item_ids": item_ids, "text_size": self.text_size, "encoder": self.encoder}
        return _filled(self.config, tensors, known).to(self.content.device)

    def save(self, folder: Path) -> None:
        """Write the model into `folder`; nothing else is needed to load it, and the same model gives the same bytes."""
        card = {
            "encoder": self.encoder,
            "text_size": self.text_size,
            "config": asdict(self.config),
            "curve": [asdict(epoch) for epoch in self.curve],
            "item_ids": self.item_ids,
        }
        write_folder(folder, self.state_dict(), card)

    @classmethod
    def load(cls, folder: Path, *, device: str, encoder: str | None = None) -> SequenceModel:
        """The model that `save` wrote into `folder`, on `device`.

        Raises `ModelError` where the folder is missing, damaged or of another kind, and `SpaceMismatch` where the
        model was fitted in another space than `encoder` (not checked where that is None).
        """
        card, tensors = read_folder(folder)
        try:
            known = {name: card[name] for name in ("item_ids", "text_size", "encoder")}
            model = _filled(SequenceConfig(**card["config"]), tensors, known)
            model.curve = [Epoch(**epoch) for epoch in card["curve"]]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"sequence model {folder.name!r}: tensors and card do not fit ({type(error).__name__}); fit it again"
            ) from error
        if encoder is not None:
            check_space(model.encoder, encoder)
        return model.to(resolve(device))

    def check(self, histories: Histories) -> None:
        """Raise `ModelError` where `histories` speak of items or text vectors that the model does not know."""
        if histories.items.max(initial=NONE) >= len(self.item_ids):
            raise ModelError(f"sequence model: an item beyond the {len(self.item_ids)} it knows; see with_items")
        if self.text_size and (histories.texts != NONE).any() and histories.text_vectors.shape[1] != self.text_size:
            raise ModelError(
                f"sequence model: text vectors are {histories.text_vectors.shape[1]} long, not {self.text_size}"
            )

    @torch.no_grad()
    def _initialise(self) -> None:
        """Random ids and content of one size, whatever the length of the item vectors; kinds start alike."""
        size = self.config.state_size**-0.5
        norm = float(self.content.norm(dim=1).mean()) if len(self.content) else 1.0
        self.identity.weight.normal_(std=size)
        self.from_content.weight.normal_(std=size / max(norm, 1e-6))
        self.kind.weight.zero_()


def _filled(config: SequenceConfig, tensors: Mapping[str, Tensor], known: Mapping[str, Any]) -> SequenceModel:
    """A model of these tensors; torch's own random numbers are left where they were."""
    with torch.random.fork_rng(devices=[]):
        model = SequenceModel(config, tensors["content"].cpu().numpy(), **known)
    model.load_state_dict(tensors)
    return model.eval()
