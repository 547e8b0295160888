"""Decoding from the active latents gives the dense product, and counts them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.measuring.forward import Forward
from sandbox.measuring.sparse import _share, is_sparse, nonzero, sparse_product


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
    torch.testing.assert_close(product.double(), exact, rtol=1e-5, atol=1e-5)  # sums of tens of float32 terms
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
    from sandbox import checkpoints
    from sandbox.activations import activations
    from sandbox.data import embedded

    sae = checkpoints.load(embedded("minilm-relu"))
    x = activations(embedded("activations")).sample(500).float()
    with torch.no_grad():
        passed, dense = Forward(embedded("minilm-relu"), "cpu", "float32")(x), sae(x)
        assert torch.equal(passed.l0, (sae.encode(x) > 0).sum(1).float())
    torch.testing.assert_close(passed.x_hat, dense, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("others", [0, 1])
def test_what_is_left_of_the_token_before_adds_nothing(others):
    """Rows are added four at a time: with ten active latents, nine, eight, … none, no row is added twice."""
    acts = torch.ones(11, 10 + others).tril(-1).flip(0) * torch.arange(1.0, 11 + others)
    W_dec, b_dec = torch.eye(10 + others), torch.full((10 + others,), 0.5)
    product, l0 = sparse_product(acts, W_dec, b_dec)
    assert l0.tolist() == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert torch.equal(product, acts + 0.5)  # small whole numbers and a half are exact


def test_one_token_may_have_all_of_many_latents():
    product, l0 = sparse_product(torch.ones(1, 300_000), torch.ones(300_000, 1), torch.zeros(1))
    assert (product.item(), l0.item()) == (300_000, 300_000)


@pytest.mark.parametrize(
    "dtypes", [(torch.float32, torch.float64), (torch.float64, torch.float32), (torch.float16,) * 2]
)
def test_float32_on_both_sides_is_needed(dtypes):
    acts, W_dec = (
        tensor.to(dtype) for tensor, dtype in zip((torch.zeros(64, 32), torch.zeros(32, 3)), dtypes, strict=True)
    )
    assert not is_sparse(acts, W_dec)
    assert is_sparse(acts.float(), W_dec.float())


def test_fewer_than_one_latent_in_sixteen_of_the_first_tokens_is_few():
    acts, W_dec = torch.zeros(100, 32), torch.zeros(32, 3)
    acts[64:] = 1
    assert is_sparse(acts, W_dec)  # only the first 64 tokens count
    exactly = torch.zeros(64, 32)
    exactly[:, :2] = 1
    assert not is_sparse(exactly, W_dec)
    exactly[0, 1], exactly[63, 2] = 0, 1  # the first 63 tokens alone would be sparse enough
    assert not is_sparse(exactly, W_dec)
    exactly[63, 1] = 0
    assert is_sparse(exactly, W_dec)
    assert is_sparse(torch.cat((exactly, torch.ones(1, 32))), W_dec)  # a 65th token would make it too dense


@given(st.integers(1, 4), st.integers(0, 50), st.none() | st.integers(1, 20))
def test_threads_share_every_token_once(threads, n, most):
    before, taken = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    try:
        _share(n, lambda low, high: taken.append(range(low, high)), most)
    finally:
        torch.set_num_threads(before)
    assert sorted(i for part in taken for i in part) == list(range(n))
    assert len(taken) >= threads
    assert most is None or max(map(len, taken)) <= most
    assert max(map(len, taken)) - min(map(len, taken)) <= 1
