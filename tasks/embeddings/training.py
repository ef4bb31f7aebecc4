"""Fitting the sequence model: the next new item by full softmax, until held-out users gain no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tasks.embeddings.device import resolve
from tasks.embeddings.histories import NONE, Histories
from tasks.embeddings.lessons import Lessons, lessons_from
from tasks.embeddings.sequence import Epoch, SequenceConfig, SequenceModel
from tasks.embeddings.softmax import softmax_loss
from tasks.embeddings.steps import steps_of


def fit_sequence(
    histories: Histories,
    item_vectors: NDArray[np.float32],
    *,
    item_ids: Sequence[str],
    encoder: str,
    config: SequenceConfig,
    seed: int,
    device: str,
    epochs: int,
    validation_share: float = 0.1,
    patience: int = 3,
    answers: NDArray[np.int64] | None = None,
    progress: Callable[[int], object] | None = None,
    better: Callable[[SequenceModel], object] | None = None,
) -> SequenceModel:
    """A model fitted to `histories` over items with content `item_vectors` (m, d) in the space `encoder`.

    The last new item of `validation_share` of the users is held out, or the items `answers` (n,) that came after the
    histories are tried (`lessons_from`); training stops when their NDCG has not risen for `patience` epochs, and the
    best weights are kept (`epochs` are all run where no user is held out). The same `seed` gives the same model on one
    CPU. `progress` hears of each epoch, `better` sees each model that is the best so far: save it there to keep what an
    interrupted fit had reached. Raises `NotEnoughData` where no user has two different items.
    """
    place, rng = resolve(device), np.random.default_rng(seed)
    with _one_thread(), torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        text_size = histories.text_vectors.shape[1] if (histories.texts != NONE).any() else 0
        model = SequenceModel(config, item_vectors, item_ids=item_ids, text_size=text_size, encoder=encoder).to(place)
        model.check(histories)
        lessons = lessons_from(histories, validation_share, rng, answers)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
        averaged = _averaged(model, len(histories))
        mean = cast(SequenceModel, averaged.module)
        best, kept, idle = -1.0, _weights(model), 0
        for _ in range(epochs):
            loss, ndcg = _epoch(model, averaged, optimizer, lessons, rng), lessons.ndcg(mean)
            model.curve.append(Epoch(loss, ndcg))
            if progress:
                progress(1)
            if ndcg is None or ndcg > best:
                best, kept, idle = ndcg or 0.0, _weights(mean), 0
                mean.curve = model.curve
                if better:
                    better(mean)
            else:
                idle += 1
            if idle >= patience:
                break
        model.load_state_dict(kept, strict=False)
    return model.eval()


def batch_users(histories: Histories, max_length: int) -> int:
    """Users whose histories make some 2,000 events, 8 to 128, so few that an epoch has some 45 batches where it can.

    On a processor a larger batch costs as much a user and learns less an epoch; a smaller one spends its time in calls.
    """
    events = np.minimum(histories.lengths, max_length).mean() if len(histories) else 1.0
    return int(np.clip(min(2_000 / max(events, 1), len(histories) / 45), 8, 128))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for the CPU's part: a step of the LSTM is too small to share, and waiting for a second thread that
    other work holds up made training seven times slower on two busy cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _averaged(model: SequenceModel, users: int) -> AveragedModel:
    """A copy of the model that will hold the mean of its recent weights, those of an epoch ago counting 1/e.

    Such a mean foretells better than the last weights alone, as a falling learning rate would, and can be tried after
    any epoch (Polyak & Juditsky, 1992; Izmailov et al., 2018, https://arxiv.org/abs/1803.05407).
    """
    steps = max(users / model.config.batch_users, 1.0)
    recent = get_ema_multi_avg_fn(float(np.exp(-1 / steps)))  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=recent)


def _epoch(
    model: SequenceModel,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    lessons: Lessons,
    rng: np.random.Generator,
) -> float:
    """One pass over the lessons; the mean loss of its batches."""
    model.train()
    gaps, losses = lessons.histories.gaps(), []
    for rows, sizes in lessons.batches(model.config.batch_users, model.config.max_length, rng):
        target = torch.from_numpy(lessons.targets[rows]).to(model.content.device)  # (s,)
        items = model.items()  # (m, w)
        steps = steps_of(lessons.histories, rows, sizes, gaps, model.text_size, items.device)
        before = torch.zeros(int(sizes[0]), items.shape[1], device=items.device)  # (b, w)
        hidden, _, _ = model(steps, items, before, before)  # (s, w)
        taught = target != NONE
        loss = softmax_loss(model.dropout(hidden[taught]), items, target[taught], model.config.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        averaged.update_parameters(model)
        losses.append(loss.item())
    return float(np.mean(losses))


def _weights(model: SequenceModel) -> dict[str, Tensor]:
    """A copy of what the model has learned so far."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if name != "content"}
