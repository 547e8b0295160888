"""Moments obey their laws: any split, any order, rotation, scaling, Cauchy–Schwarz, C14's change of origin."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.moments import BLOCK, GROUPS, Moments
from sandbox.sae.measure import measure_pairs
from tests.conftest import random_pairs

EXACT = 1e-12  # float64 totals of float64 products: rounding only, a few ulp per token

sizes = st.tuples(st.integers(1, 300), st.integers(1, 12), st.integers(0, 2**31))
dtypes = st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16])


def same(left: Moments, right: Moments, tolerance: float = EXACT) -> None:
    energy = right.totals.abs().sum() + right.sums.abs().sum()
    for mine, theirs in zip(left, right, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * float(energy))


@given(sizes, dtypes, st.lists(st.integers(0, 300), max_size=5), st.randoms())
def test_a_file_is_the_sum_of_its_parts_split_anywhere_added_in_any_order(size, dtype, cuts, random):
    n, d, seed = size
    x, x_hat = random_pairs(n, d, seed, dtype)
    documents = torch.arange(n) // 7  # cuts fall in the middle of documents
    whole = Moments.from_pairs(x, x_hat, documents)
    edges = sorted({0, n, *(cut % (n + 1) for cut in cuts)})
    parts = [Moments.from_pairs(x[i:j], x_hat[i:j], documents[i:j]) for i, j in pairwise(edges)]
    random.shuffle(parts)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    same(total, whole)
    same(total.centred(), whole.centred())
    torch.testing.assert_close(total.products, whole.products, rtol=1e-11, atol=1e-11 * float(whole.products.max()))


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_without_clusters_a_part_that_knows_its_place_merges_as_well(n, cut):
    x, x_hat = random_pairs(n, 3, n)
    whole, cut = Moments.from_pairs(x, x_hat), min(cut, n - 1)
    if cut:
        rest = Moments.from_pairs(x[cut:], x_hat[cut:], first_token=cut)
        same(Moments.from_pairs(x[:cut], x_hat[:cut]) + rest, whole)
    assert whole.clusters == min(-(-n // BLOCK), GROUPS)


@given(sizes, st.integers(0, 2**31))
def test_adding_is_commutative_and_associative(size, other):
    n, d, seed = size
    first, second, third = (Moments.from_pairs(*random_pairs(n, d, s)) for s in (seed, other, seed ^ other))
    same(first + second, second + first)
    same((first + second) + third, first + (second + third))


@given(sizes)
def test_a_rotation_changes_no_moment(size):
    n, d, seed = size
    x, x_hat = random_pairs(n, d, seed)
    turn, _ = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    before, after = Moments.from_pairs(x, x_hat), Moments.from_pairs(x @ turn, x_hat @ turn)
    torch.testing.assert_close(after.totals, before.totals, rtol=1e-11, atol=1e-11)  # d products are summed anew
    torch.testing.assert_close(after.centred().means, before.centred().means, rtol=1e-10, atol=1e-11)


@given(sizes, st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_scaling_x_and_x_hat_scales_the_moments(size, p, q):
    n, d, seed = size
    x, x_hat = random_pairs(n, d, seed)
    before, after = Moments.from_pairs(x, x_hat), Moments.from_pairs(p * x, q * x_hat)
    torch.testing.assert_close(after.means, before.means * torch.tensor([p * p, q * q, p * q], dtype=torch.float64))


@given(sizes, dtypes)
def test_cauchy_schwarz_holds_raw_and_centred(size, dtype):
    n, d, seed = size
    moments = Moments.from_pairs(*random_pairs(n, d, seed, dtype))
    for one in (moments, moments.centred()):
        assert one.c**2 <= one.a * one.b * (1 + 1e-6) + 1e-18  # float32 rows carry 1e-7
        assert one.a >= 0
        assert one.b >= 0


@given(sizes)
def test_centred_moments_are_those_of_centred_data(size):
    n, d, seed = size
    x, x_hat = random_pairs(n, d, seed)
    documents = torch.arange(n) // 5
    expected = Moments.from_pairs(x - x.mean(0), x_hat - x_hat.mean(0), documents)
    got = Moments.from_pairs(x, x_hat, documents).centred()
    torch.testing.assert_close(got.totals, expected.totals, rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(got.products, expected.products, rtol=1e-9, atol=1e-8)


def test_every_leading_shape_and_numpy_give_the_same(make_pairs):
    x, x_hat = make_pairs(60, 8, dtype=torch.float32)
    flat = Moments.from_pairs(x, x_hat)
    same(Moments.from_pairs(x.reshape(3, 4, 5, 8), x_hat.reshape(3, 4, 5, 8)), flat)
    same(Moments.from_pairs(x.numpy(), x_hat.numpy()), flat)
    same(Moments.from_pairs(x[:1][0], x_hat[:1][0]), Moments.from_pairs(x[:1], x_hat[:1]))


def test_arrays_of_every_layout_are_read(make_pairs, tmp_path):
    x, x_hat = make_pairs(60, 8, dtype=torch.float32)
    expected = Moments.from_pairs(x, x_hat)
    np.save(tmp_path / "x.npy", x.numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")  # torch warns of memory that it must not write to
    for array in (mapped, x.numpy().astype(">f4"), np.asfortranarray(x.numpy()), x.numpy()[::-1][::-1]):
        same(Moments.from_pairs(array, x_hat.numpy()), expected)
        same(measure_pairs(array, x_hat.numpy()).moments, measure_pairs(x, x_hat).moments)
    for tensor in (x.T.contiguous().T, x.clone().requires_grad_(), x[:, None].expand(60, 2, 8)[:, 0]):
        same(Moments.from_pairs(tensor, x_hat), expected)


def test_half_precision_is_multiplied_as_if_it_were_float64(make_pairs):
    for dtype in (torch.float16, torch.bfloat16):
        x, x_hat = make_pairs(500, 384, dtype=dtype)
        exact = Moments.from_pairs(x.double(), x_hat.double())
        torch.testing.assert_close(Moments.from_pairs(x, x_hat).means, exact.means, rtol=1e-7, atol=0)


def test_float16_norms_beyond_its_range_are_no_problem():
    x = torch.full((64, 384), 200.0, dtype=torch.float16)  # ‖x‖² = 1.5e7, and float16 ends at 65504
    moments = Moments.from_pairs(x, x / 2)
    assert moments.a.item() == 384 * 200.0**2
    assert (moments.b / moments.c).item() == 0.5


@pytest.mark.parametrize("size", [1e-25, 1e-12, 1.0, 1e12, 1e25])
def test_float32_of_any_size_keeps_its_measures(size):
    x = torch.tensor([[3.0, 4.0], [1.0, -2.0]]) * size
    moments = Moments.from_pairs(x, x / 2)
    assert (moments.b / moments.c).item() == pytest.approx(0.5, rel=1e-6)


def test_batch_axes_are_separate_settings(make_pairs):
    x, x_hat = make_pairs(2 * 3 * 40, 6)
    x, x_hat = x.reshape(2, 3, 40, 6), x_hat.reshape(2, 3, 40, 6)
    grid = Moments.from_pairs(x, x_hat, torch.arange(40) // 4, batch_dims=2)
    assert grid.a.shape == grid.clusters.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            one = Moments.from_pairs(x[i, j], x_hat[i, j], torch.arange(40) // 4)
            torch.testing.assert_close(grid.centred().products[i, j], one.centred().products)
            torch.testing.assert_close(grid.means[i, j], one.means)


def test_cluster_products_are_those_of_the_documents(make_pairs):
    x, x_hat = make_pairs(200, 5)
    documents = torch.arange(200) // 10 + 1000
    per_document = [Moments.from_pairs(x[k : k + 10], x_hat[k : k + 10]).totals.sum(0) for k in range(0, 200, 10)]
    expected = sum(torch.outer(t, t) for t in per_document)
    moments = Moments.from_pairs(x, x_hat, documents)
    assert moments.clusters == 20  # consecutive ids never share a group while there are groups enough
    torch.testing.assert_close(moments.products, expected)


@pytest.mark.parametrize("step", [1, 255, 256, 257, 4096, -1, 2**40])
def test_ids_of_any_pattern_fill_the_groups(step):
    x = torch.ones(4 * GROUPS, 1)
    ids = torch.arange(4 * GROUPS) * step
    counts = Moments.from_pairs(x, x, ids).count
    assert (counts > 0).float().mean() > 0.6  # a random deal of 4 a group leaves 2 % empty; a bad hash leaves most


def test_shuffled_documents_give_the_same_groups(make_pairs):
    x, x_hat = make_pairs(4000, 3)
    documents = torch.arange(4000) // 8
    shuffle = torch.randperm(4000, generator=torch.Generator().manual_seed(0))
    in_order = Moments.from_pairs(x, x_hat, documents)
    same(Moments.from_pairs(x[shuffle], x_hat[shuffle], documents[shuffle]), in_order)


def test_a_constant_x_has_no_centred_moments():
    x = torch.full((100, 4), 0.1)
    centred = Moments.from_pairs(x, torch.randn(100, 4)).centred()
    assert centred.a == 0
    assert centred.c == 0
    assert centred.b > 0


def test_save_and_load_give_it_back(tmp_path, make_pairs):
    moments = Moments.from_pairs(*make_pairs(50, 4))
    moments.save(tmp_path / "moments.safetensors")
    for mine, theirs in zip(Moments.load(tmp_path / "moments.safetensors"), moments, strict=True):
        assert torch.equal(mine, theirs)
