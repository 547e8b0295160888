"""On a CUDA device the moments, the simulator and the real path give what they give on the CPU."""

import pytest
import torch

from sandbox import simulate
from sandbox.data import embedded
from sandbox.moments import Moments
from sandbox.sae.measure import measure
from tests.conftest import random_pairs

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_moments_are_those_of_the_cpu(dtype):
    x, x_hat = random_pairs(5000, 96, 0, dtype)
    documents = torch.arange(5000) // 37
    here, there = Moments.from_pairs(x, x_hat, documents), Moments.from_pairs(x.cuda(), x_hat.cuda(), documents)
    assert there.totals.device.type == "cuda"
    for mine, theirs in zip(here, there.to("cpu"), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-9)


def test_nonfinite_tokens_are_left_out():
    x = torch.randn(100, 8, device="cuda")
    x[3, 0] = torch.nan
    x[5, 1] = torch.inf
    moments = Moments.from_pairs(x, x, drop_nonfinite=True)
    assert moments.nonfinite == 2
    assert moments.a.isfinite()


@pytest.mark.parametrize("name", ["minilm-relu", "minilm-gated"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_the_real_path_agrees(name, dtype, tolerance):
    settings = {"documents": embedded("documents"), "batch_size": 1000}
    here = measure(embedded(name), embedded("activations"), device="cpu", **settings)
    there = measure(embedded(name), embedded("activations"), device="cuda", dtype=dtype, **settings)
    assert there.l0 == pytest.approx(here.l0, rel=tolerance * 10)
    for key, one in here.raw.items():
        assert there.raw[key].value == pytest.approx(one.value, rel=tolerance, abs=tolerance)


def test_measuring_waits_for_the_device_only_at_the_end():
    x = torch.randn(20_000, 384, device="cuda")
    ids = torch.arange(1000)
    Moments.from_pairs(x[:1000], x[:1000], ids)
    torch.cuda.set_sync_debug_mode("error")
    try:
        total = Moments.from_pairs(x[:1000], x[:1000], ids, drop_nonfinite=True)
        for start in range(1000, 20_000, 1000):
            part = x[start : start + 1000]
            total = total + Moments.from_pairs(part, 0.9 * part, ids, drop_nonfinite=True)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert total.n == 20_000


def test_pairs_are_hit_on_the_device():
    x, x_hat = simulate.pairs(1e-3, 0.7, 64, 1000, dtype=torch.float64, device="cuda")
    u, v = (t / t.norm(dim=-1, keepdim=True) for t in (x, x_hat))
    angle = 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))
    torch.testing.assert_close(angle, torch.full_like(angle, 1e-3), rtol=1e-12, atol=1e-15)
    assert simulate.stream(1.0, n=5000, device="cuda").n == 5000
