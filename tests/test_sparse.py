"""Decoding from the few latents that are on gives what the dense product gives, and counts them on the way."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.sae.forward import Forward
from sandbox.sae.sparse import is_sparse, nonzero, sparse_product


def latents(n: int, d_sae: int, share: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    acts = torch.randn(n, d_sae, generator=generator)
    return acts * (torch.rand(n, d_sae, generator=generator) < share)


@given(st.integers(1, 70), st.integers(1, 90), st.integers(1, 40), st.floats(0, 0.2), st.integers(0, 99))
def test_the_product_is_the_dense_one(n, d_sae, d, share, seed):
    acts = latents(n, d_sae, share, seed)
    generator = torch.Generator().manual_seed(seed)
    W_dec, b_dec = torch.randn(d_sae, d, generator=generator), torch.randn(d, generator=generator)
    product, l0 = sparse_product(acts, W_dec, b_dec)
    exact = acts.double() @ W_dec.double() + b_dec
    torch.testing.assert_close(product.double(), exact, rtol=1e-5, atol=1e-5)  # some tens of float32 terms
    assert torch.equal(l0, (acts != 0).sum(1).float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool])
def test_counting_is_counting_in_every_dtype(dtype):
    acts = latents(700, 50, 0.3).to(dtype)
    assert torch.equal(nonzero(acts), (acts != 0).sum(1).float())


def test_a_nan_stays_one_and_counts():
    acts = latents(4, 32, 0.01)
    acts[2, 5] = torch.nan
    product, l0 = sparse_product(acts, torch.ones(32, 3), torch.zeros(3))
    assert product[2].isnan().all()
    assert product[[0, 1, 3]].isfinite().all()
    assert l0[2] == (acts[2] != 0).sum()


def test_only_where_it_is_quicker():
    W_dec = torch.ones(320, 3)
    assert is_sparse(latents(100, 320, 0.02), W_dec)
    assert not is_sparse(latents(100, 320, 0.5), W_dec)
    assert not is_sparse(latents(100, 320, 0.02).double(), W_dec.double())


def test_a_forward_pass_takes_either_way_and_agrees():
    from sandbox.data import embedded
    from sandbox.sae import checkpoints
    from sandbox.sae.activations import activations

    sae = checkpoints.load(embedded("minilm-relu"))
    x = activations(embedded("activations")).sample(500).float()
    with torch.no_grad():
        passed, dense = Forward(embedded("minilm-relu"), "cpu", "float32")(x), sae(x)
        assert torch.equal(passed.l0, (sae.encode(x) > 0).sum(1).float())
    torch.testing.assert_close(passed.x_hat, dense, rtol=1e-5, atol=1e-4)
