import pytest
import torch
from torch.nn import functional

from tasks.embeddings import softmax
from tasks.embeddings.softmax import softmax_loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("block", [1, 50, 1 << 20])
@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-5), (True, 2e-2)])
def test_loss_and_gradients_are_those_of_plain_cross_entropy(
    monkeypatch: pytest.MonkeyPatch, smoothing: float, block: int, half: bool, tolerance: float
) -> None:
    monkeypatch.setitem(softmax.BLOCK, "cpu", block)
    monkeypatch.setattr(softmax, "has_bfloat16", lambda device: half)
    generator = torch.Generator().manual_seed(0)
    hidden, items = (torch.randn(n, 8, generator=generator).requires_grad_() for n in (7, 20))
    target = torch.randint(20, (7,), generator=generator)
    plain = functional.cross_entropy(hidden @ items.T, target, label_smoothing=smoothing)
    ours = softmax_loss(hidden, items, target, smoothing)
    torch.testing.assert_close(ours, plain, atol=tolerance, rtol=tolerance)
    expected = torch.autograd.grad(3 * plain, (hidden, items))
    for gradient, wanted in zip(torch.autograd.grad(3 * ours, (hidden, items)), expected, strict=True):
        torch.testing.assert_close(gradient, wanted, atol=tolerance, rtol=tolerance)


def test_an_item_held_impossible_still_has_a_finite_loss() -> None:
    hidden, items = torch.tensor([[300.0]]), torch.tensor([[1.0], [-1.0]])
    assert softmax_loss(hidden, items, torch.tensor([1]), 0.0).item() == pytest.approx(600)
