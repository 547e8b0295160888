"""Moments obey their laws: any split, any order, rotation, scaling, Cauchy–Schwarz, C14's change of origin."""

import math
import re
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InputError
from sandbox.measuring.measure import measure_pairs
from sandbox.moments import moments as moments_module
from sandbox.moments import totalling
from sandbox.moments.moments import BLOCK, GROUPS, Moments
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


ORIGINS = {
    "raw": (lambda one: one, lambda x, x_hat: (x, x_hat)),
    "centred": (Moments.centred, lambda x, x_hat: (x - x.mean(0), x_hat - x_hat.mean(0))),
    "centred on x": (Moments.centred_on_x, lambda x, x_hat: (x - x.mean(0), x_hat - x.mean(0))),
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_each_setting_is_left_without_its_own_groups_and_seen_from_the_others_mean(origin, make_pairs):
    seen_from, moved = ORIGINS[origin]
    x, x_hat = (one.reshape(2, 3, 40, 6) for one in make_pairs(2 * 3 * 40, 6))
    documents = torch.arange(40) // 4
    found = seen_from(Moments.from_pairs(x, x_hat, documents, batch_dims=2, groups=10)).leave_one_out()
    for i, j in ((0, 0), (1, 2)):
        for document in range(10):
            kept = documents != document
            left, left_hat = moved(x[i, j, kept], x_hat[i, j, kept])
            expected = torch.stack((left * left, left_hat * left_hat, left * left_hat)).sum((1, 2))
            torch.testing.assert_close(found[i, j, document], expected)


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


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_tokens(threads, make_pairs):
    """Enough numbers that each thread gets a share, clusters across the cuts, one token that is not finite."""
    x, x_hat = make_pairs(70_000, 4)
    x[69_999, 3] = torch.nan
    documents = np.arange(70_000) // 11
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        moments, dots = Moments.with_dots(x, x_hat, documents, groups=8)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(dots[:-1], torch.stack((x * x, x_hat * x_hat, x * x_hat), -1)[:-1].sum(1))
    assert moments.n == 69_999
    assert moments.nonfinite == 1
    torch.testing.assert_close(moments.totals.sum(0), dots[:-1].sum(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.sums.sum(0), torch.stack((x, x_hat), 1)[:-1].sum(0), rtol=1e-9, atol=1e-9)
    in_parts = [
        Moments.from_pairs(x[i : i + 999], x_hat[i : i + 999], documents[i : i + 999], groups=8, drop_nonfinite=True)
        for i in range(0, 70_000, 999)
    ]  # too small for threads
    same(moments, sum(in_parts[1:], start=in_parts[0]))


def test_clusters_are_dealt_in_turn_and_a_second_round_is_turned():
    """Ids 0 to 3 go to groups 0 to 3; in every later round all four groups get one each, too."""
    for round in range(6):
        ids = torch.arange(4) + 4 * round
        counts = Moments.from_pairs(torch.ones(4, 1), torch.ones(4, 1), ids, groups=4).count
        assert counts.tolist() == [1, 1, 1, 1]
    first = Moments.from_pairs(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.ones(4, 1), torch.arange(4), groups=4)
    assert first.totals[:, 0].tolist() == [1, 4, 9, 16]


def test_blocks_begin_at_multiples_of_128_in_the_file():
    x = torch.ones(300, 1)
    assert Moments.from_pairs(x, x, groups=8).count.tolist() == [128, 128, 44, 0, 0, 0, 0, 0]
    assert Moments.from_pairs(x, x, first_token=100, groups=8).count.tolist() == [28, 128, 128, 16, 0, 0, 0, 0]
    assert Moments.from_pairs(x, x, first_token=256, groups=8).count.tolist() == [0, 0, 128, 128, 44, 0, 0, 0]


@pytest.mark.parametrize(
    ("blocks", "stretches"),
    [(1, 1), (7, 7), (8, 8), (15, 15), (16, 8), (23, 12), (24, 8), (63, 9), (64, 8), (65, 9), (72, 9), (256, 32)],
)
def test_a_stretch_is_of_eight_blocks_or_of_fewer_so_that_there_are_eight(blocks, stretches):
    """Eight blocks are the 1,024 tokens of a usual context; with eight clusters Student's t is 2.4, with two 12.7.

    Of 15 blocks one each, of 16 two, of 24 three, of 63 seven, of 64 and more eight; the last stretch may be shorter.
    """
    x = torch.ones(blocks * BLOCK, 1)
    one = Moments.from_pairs(x, 2 * x).in_stretches()
    assert one.clusters == stretches
    assert one.count.max() <= 8 * BLOCK == 1024
    assert (one.n, one.totals.sum(0).tolist()) == (len(x), [len(x), 4 * len(x), 2 * len(x)])


def test_tokens_longer_than_a_limit_are_kept_apart():
    """Norms of x 1, 3, 4 and 5, of x̂ ten times that, the limit 3: the token at the limit is not above it."""
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0], [4.0, 0.0], [3.0, 4.0]])
    both, dots = Moments.with_dots(x, 10 * x, torch.arange(4), groups=4, apart_above=3.0)
    assert both.count.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert both.totals[..., 0].tolist() == [[1, 9, 0, 0], [0, 0, 16, 25]]
    assert both[1].sums[:, 1].tolist() == [[0, 0], [0, 0], [40, 0], [30, 40]]
    assert dots[:, 2].tolist() == [10, 90, 160, 250]
    same(both.merged(), Moments.from_pairs(x, 10 * x, torch.arange(4), groups=4))
    x[0, 0] = torch.nan
    assert Moments.with_dots(x, x, apart_above=3.0)[0].nonfinite.tolist() == [1, 0]


@given(sizes)
def test_moments_seen_from_anywhere_are_those_of_what_is_seen_from_there(size):
    n, d, seed = size
    x, x_hat = random_pairs(n, d, seed)
    origin = torch.randn(2, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    documents = torch.arange(n) // 5
    same(
        Moments.from_pairs(x, x_hat, documents).about(origin),
        Moments.from_pairs(x - origin[0], x_hat - origin[1], documents),
        1e-11,  # differences of what may be several times as large
    )


def test_what_hardly_varies_is_still_seen_from_its_mean():
    """A spread of 1e-4 of the mean: 1e-8 of the energy is left, with half of float64's digits."""
    wave = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(500)[:, None]
    centred = Moments.from_pairs(1 + 1e-4 * wave, 2 + 0.5e-4 * wave).centred()
    assert centred.means.tolist() == pytest.approx([1e-8, 0.25e-8, 0.5e-8], rel=1e-6)


TINY = 2.0**-20
"""Its square is 0.91e-12, and that of 17/16 of it 1.03e-12: on both sides of what counts as gone, each exact."""


@pytest.mark.parametrize(("size", "left"), [(TINY, math.nan), (17 / 16 * TINY, (17 / 16 * TINY) ** 2)])
def test_less_than_a_millionth_of_the_length_is_not_resolved(size, left):
    """1 ± s, each token a cluster of its own; 2 ± 4s, four times the share of that, is left either way."""
    wave = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    centred = Moments.from_pairs(1 + size * wave, 2 + 4 * size * wave, torch.arange(2)).centred()
    a, b, c = centred.means.tolist()
    assert (a, c) == pytest.approx((left, 4 * left), nan_ok=True)
    assert b == 16 * size**2


@pytest.mark.parametrize(("drift", "left"), [(5 * 2.0**-39, 0), (13 * 2.0**-40, math.nan)])
def test_sums_of_x_tell_what_hardly_varies_from_a_constant(drift, left):
    """Two clusters of 1 ± s and a drift of ± e: only e is in their sums, (2e)²/2 each; e² is 0.83e-22 and 1.40e-22."""
    s = 2.0**-21
    off = torch.tensor([[s + drift], [drift - s], [s - drift], [-s - drift]], dtype=torch.float64)
    centred = Moments.from_pairs(1 + off, 1 + off, torch.tensor([0, 0, 1, 1])).centred()
    assert centred.means.tolist() == pytest.approx([left] * 3, nan_ok=True)


@pytest.mark.parametrize(("size", "left"), [(TINY, 0), (17 / 16 * TINY, 2 * (17 / 16 * TINY) ** 2)])
def test_what_varies_in_one_cluster_alone_is_gone_without_it(size, left):
    """± s and ± 1: without the second cluster 2s² is left, and a share of 1e-12 of all is 2e-12."""
    x = torch.tensor([[size], [-size], [1], [-1]], dtype=torch.float64)
    without = Moments.from_pairs(x, x, torch.tensor([0, 0, 1, 1])).centred().leave_one_out()
    assert without[:2].tolist() == [[2.0] * 3, [left] * 3]


def test_what_is_not_finite_is_counted_in_words():
    x = torch.ones(5, 2)
    x[1, 1], x[3, 0] = torch.nan, torch.inf
    with pytest.raises(InputError, match="2 of 5 tokens have a NaN or an infinity"):
        Moments.from_pairs(x, x)
    kept = Moments.from_pairs(x, x, drop_nonfinite=True)
    assert (kept.n, kept.nonfinite, kept.a) == (3, 2, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: Moments.from_pairs(x, x[:3]), r"x has shape \(4, 2\) and x_hat \(3, 2\)"),
        (lambda x: Moments.from_pairs(x, x, batch_dims=2), r"batch_dims is 2, but x of shape \(4, 2\) has 1 such axes"),
        (lambda x: Moments.from_pairs(x, x, batch_dims=-1), "batch_dims is -1"),
        (lambda x: Moments.from_pairs(x, x, groups=0), "groups is 0"),
        (lambda x: Moments.from_pairs(x[:0], x[:0]), "there are no tokens"),
        (lambda x: Moments.from_pairs(x[0, 0], x[0, 0]), "x is a single number"),
        (lambda x: Moments.from_pairs(x.int(), x), "x has dtype torch.int32"),
        (lambda x: Moments.from_pairs(x.int().numpy(), x), "x has dtype int32"),
        (lambda x: Moments.from_pairs(x, x, torch.ones(4)), "cluster has dtype float32"),
        (lambda x: Moments.from_pairs(x, x, torch.arange(3)), r"cluster has shape \(3,\), but the tokens have \(4,\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(torch.ones(4, 2))
    one = torch.ones(4, 2)
    assert Moments.from_pairs(one, one, batch_dims=1, groups=1).n.tolist() == [1, 1, 1, 1]  # at the edges


def test_the_largest_number_of_a_sample_is_none_that_is_not_finite():
    for size, refused in ((1e-47, False), (1e-48, True), (1e47, False), (1e48, True)):
        x = torch.tensor([[size, math.nan], [-math.inf, math.inf]], dtype=torch.float64)
        with pytest.raises(InputError, match=re.escape(f"largest number is {size:.3g},")) if refused else nullcontext():
            moments_module.refuse_out_of_range(x, "x")
    moments_module.refuse_out_of_range(torch.zeros(2, 2, dtype=torch.float64), "x")


def test_a_file_of_other_tensors_is_no_saved_moments(tmp_path, make_pairs):
    from safetensors.torch import load_file, save_file

    path = tmp_path / "moments.safetensors"
    Moments.from_pairs(*make_pairs(50, 4)).save(path)
    stored = load_file(path)
    for name, change, message in (
        ("totals", stored["totals"][:, :2], "do not belong together"),
        ("sums", stored["sums"][:, :1], "do not belong together"),
        ("sums", stored["sums"][:9], "do not belong together"),
        ("more", torch.ones(3), "holds .*more"),
    ):
        save_file(stored | {name: change.contiguous()}, path)
        with pytest.raises(InputError, match=message):
            Moments.load(path)
    path.write_bytes(b"x" * 99)
    with pytest.raises(InputError, match="cannot be read as saved Moments"):
        Moments.load(path)


def test_only_sums_of_one_kind_and_shape_are_added(make_pairs):
    mine = Moments.from_pairs(*make_pairs(20, 3))
    with pytest.raises(InputError, match="these Moments do not merge"):
        _ = mine + Moments.from_pairs(*make_pairs(20, 4))
    with pytest.raises(TypeError):
        _ = mine + 1  # pyright: ignore[reportOperatorIssue]


@pytest.mark.parametrize("parts", [1, 2])
def test_array_operations_give_what_the_loop_gives(parts, make_pairs):
    """Both ways of the same totals: more dimensions than 2, some tokens far out, some not finite, an empty group."""
    x, x_hat = make_pairs(90, 5)
    x[::7] *= 20
    x[4, 1], x_hat[5, 0], x_hat[11, 4] = torch.nan, torch.inf, -torch.inf
    group, limit = np.arange(90) // 9 % 4, 60.0 if parts == 2 else np.inf
    loop = totalling.total_on_host(x, x_hat, group, 5, parts, limit)
    arrays = totalling.total_on_device(x, x_hat, group, 5, parts, limit)
    for one, other in zip(loop[:3], arrays[:3], strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-10)
    finite = loop[3].isfinite().all(1)
    assert torch.equal(finite, arrays[3].isfinite().all(1))
    torch.testing.assert_close(loop[3][finite], arrays[3][finite])
    if parts == 2:
        assert 0 < loop[1][5:].sum() < 60
