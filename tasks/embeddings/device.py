"""Where a model runs, and whether that place multiplies in bfloat16 by itself."""

from __future__ import annotations

import torch

from tasks.errors import ModelError


def resolve(device: str) -> torch.device:
    """The torch device called `device`; `auto` takes CUDA where it is there.

    Raises `ModelError` when CUDA is asked for and absent.
    """
    cuda = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    if device not in ("cpu", "cuda"):
        raise ModelError(f"device {device!r} is not known; use auto, cpu or cuda")
    if device == "cuda" and not cuda:
        raise ModelError("device 'cuda' was asked for, but torch finds no CUDA device here; use auto or cpu")
    return torch.device(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware.

    Elsewhere it is emulated and some ten times slower than float32, so it is used only where this is true.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu.get_capabilities()
    return bool(cpu.get("avx512_bf16") or cpu.get("amx_bf16"))
