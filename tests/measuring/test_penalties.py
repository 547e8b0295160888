"""The slope of the training penalty at each token."""

import pytest
import torch

from sandbox.checkpoints.penalty import Penalty
from sandbox.measuring import penalties
from sandbox.measuring.penalties import slopes

TANH = Penalty(0.5, "as given", 0.7)


def test_the_slope_is_the_derivative_of_the_penalty(monkeypatch):
    monkeypatch.setattr(penalties, "AT_ONCE", 20)  # two tokens at a time
    draw = torch.Generator().manual_seed(0)
    f, norms = torch.rand(5, 8, generator=draw).double(), 0.5 + torch.rand(8, generator=draw).double()
    for column, k in enumerate((1.0, 1.6)):
        t = torch.ones(5, 1, dtype=torch.float64, requires_grad=True)
        torch.tanh(0.7 * k * t * f * norms).sum().backward()
        assert slopes(f, norms, TANH, 1.6)[:, column].tolist() == pytest.approx((t.grad[:, 0] / k**2).tolist())


def test_an_l1_penalty_is_its_own_slope():
    f, norms = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0, 0.5])
    assert slopes(f, norms, None, 2.0).tolist() == slopes(f, norms, Penalty(1.0, ""), 2.0).tolist() == [[4, 0]]


def test_everything_stays_on_the_device_of_the_latents():
    found = slopes(torch.zeros(4, 8, device="meta"), torch.zeros(8, device="meta"), TANH, 1.6)
    assert (found.device.type, found.shape) == ("meta", (4, 2))
