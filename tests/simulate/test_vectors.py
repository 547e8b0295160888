"""Simulated pairs hit their angle and norm as exactly as their dtype can hold, in isotropic directions."""

from math import pi
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InputError
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments
from sandbox.simulate import vectors as simulate
from sandbox.simulate.theory import against_theory, at_an_angle

ANGLES = (0.0, 1e-7, 1e-3, 0.5, pi / 2, 2.5, pi - 1e-7, pi)
DTYPES = (torch.float32, torch.float64)


def angle_between(x, x_hat):
    """Kahan's formula in float64: exact to rounding at every angle, where an arc cosine has no digits near 0 and π."""
    u, v = (t.double() / t.double().norm(dim=-1, keepdim=True) for t in (x, x_hat))
    return 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))


@pytest.mark.parametrize("norm", simulate.NORMS)
@pytest.mark.parametrize("d", [2, 3, 64, 768])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pair_hits_its_angle_and_norm(dtype, d, norm):
    relative = {torch.float32: 1e-6, torch.float64: 1e-12}[dtype]
    for angle in ANGLES:
        x, x_hat = simulate.pairs(angle, 0.7, d, 500, norm=norm, dtype=dtype)
        assert x.dtype == x_hat.dtype == dtype
        ratio = x_hat.double().norm(dim=-1) / x.double().norm(dim=-1)
        torch.testing.assert_close(ratio, torch.full_like(ratio, 0.7), rtol=relative, atol=0)
        # Rounding x and x̂ to the dtype turns each by up to half an epsilon: no construction can be closer than that.
        error = (angle_between(x, x_hat) - angle).abs().max().item()
        # (1e-15: the rounding of this test's own float64 formula.)
        assert error <= relative * min(angle, pi - angle) + 1.5 * torch.finfo(dtype).eps + 1e-15, (angle, error)


@pytest.mark.parametrize("dtype", DTYPES)
def test_norms_are_as_named(dtype):
    x, _ = simulate.pairs(1.0, 1.0, 64, 20_000, norm="fixed", scale=3.0, dtype=dtype)
    torch.testing.assert_close(x.norm(dim=-1), torch.full((20_000,), 3.0, dtype=dtype), rtol=1e-6, atol=0)
    x, _ = simulate.pairs(1.0, 1.0, 64, 20_000, norm="chi", scale=3.0, dtype=dtype)
    squares = x.double().square().sum(-1)
    assert squares.mean().item() == pytest.approx(9, rel=0.01)  # 20,000 draws of a spread of 18 %: 0.13 %
    assert squares.std().item() == pytest.approx(9 * (2 / 64) ** 0.5, rel=0.05)
    x, _ = simulate.pairs(1.0, 1.0, 64, 20_000, norm="log-normal", scale=3.0, spread=0.5, dtype=dtype)
    logs = x.double().norm(dim=-1).log()
    assert logs.mean().exp().item() == pytest.approx(3, rel=0.02)
    assert logs.std().item() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("angle", [0.1, 2.0])
def test_directions_are_isotropic(angle):
    n, d = 40_000, 5
    for vectors in simulate.pairs(angle, 1.0, d, n, dtype=torch.float64):
        assert vectors.mean(0).abs().max() < 5 / (n * d) ** 0.5
        covariance = vectors.T @ vectors / n
        torch.testing.assert_close(covariance, torch.eye(d, dtype=torch.float64) / d, rtol=0, atol=5 / n**0.5 / d)
        # on the sphere in R⁵ a component t has the density ∝ 1 − t²: compare its distribution function
        t, _ = vectors[:, 0].sort()
        gap = (torch.arange(n) + 0.5) / n - (0.5 + 0.75 * (t - t**3 / 3))
        assert gap.abs().max() < 2 / n**0.5  # Kolmogorov–Smirnov, one in a thousand
    x, x_hat = simulate.pairs(angle, 1.0, d, n, dtype=torch.float64)
    across = x_hat - (x_hat * x).sum(-1, keepdim=True) * x
    assert across.mean(0).abs().max() < 5 / (n * d) ** 0.5


def test_in_two_dimensions_no_pair_is_lost():
    """One number alone is drawn as exactly 0 about once in 2²⁴ times: seed 50 does so in its first million pairs."""
    x, x_hat = simulate.pairs(1.0, 1.0, 2, 1_000_000, seed=50)
    assert x_hat.isfinite().all()
    torch.testing.assert_close(x_hat.norm(dim=-1), x.norm(dim=-1))


def test_every_way_to_give_a_number_is_read():
    expected = simulate.pairs(1.0, 1.0, 4, 3)
    for one in (1, np.float32(1), np.float64(1), np.array(1.0), torch.tensor(1.0)):
        assert torch.equal(simulate.pairs(one, one, 4, 3).x_hat, expected.x_hat)
    assert simulate.pairs(torch.tensor([0.0, 180.0]).deg2rad(), 1.0, 4, 3).x.shape == (2, 3, 4)
    assert simulate.stream(1.0, n=10, device="auto").n == 10


def test_a_grid_is_one_call():
    angles = torch.linspace(0.1, 3, 7, dtype=torch.float64)[:, None]
    ratios = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    x, x_hat = simulate.pairs(angles, ratios, 16, 50, dtype=torch.float64)
    assert x.shape == (7, 3, 50, 16)
    expected = angles[..., None].expand(7, 3, 50)
    torch.testing.assert_close(angle_between(x, x_hat), expected, rtol=1e-12, atol=1e-12)
    moments = simulate.stream(angles, ratios, 16, 200, dtype=torch.float64)
    cosine = evaluate(REGISTRY["cosine"], *moments.means.unbind(-1))
    torch.testing.assert_close(cosine, angles.cos().expand(7, 3))
    ratio = evaluate(REGISTRY["norm_ratio"], *moments.means.unbind(-1))
    torch.testing.assert_close(ratio, ratios.expand(7, 3))


def test_each_pair_can_draw_its_own_angle_and_ratio():
    angles = torch.distributions.Uniform(0.2, 1.2)
    x, x_hat = simulate.pairs(angles, lambda p: 0.5 + p, 32, 5000, dtype=torch.float64)
    seen = angle_between(x, x_hat)
    assert seen.min() > 0.2
    assert seen.max() < 1.2
    assert seen.mean().item() == pytest.approx(0.7, abs=0.02)
    ratio = x_hat.norm(dim=-1) / x.norm(dim=-1)
    assert ratio.mean().item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("correlation", [-1.0, -0.6, 0.0, 0.8])
def test_norm_and_angle_correlate_as_asked(correlation):
    angles = torch.distributions.Normal(1.0, 0.05)
    settings = {"norm": "log-normal", "correlation": correlation, "dtype": torch.float64}
    x, x_hat = simulate.pairs(angles, 1.0, 16, 20_000, **settings)
    seen = torch.corrcoef(torch.stack((angle_between(x, x_hat), x.norm(dim=-1).log())))[0, 1].item()
    assert seen == pytest.approx(correlation, abs=0.03)


def test_the_same_seed_gives_the_same_pairs_and_another_does_not():
    first, again, other = (simulate.pairs(1.0, 1.0, 8, 10, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.x_hat, again.x_hat)
    assert not torch.equal(first.x, other.x)


@given(st.integers(1, 400), st.integers(32, 97), st.sampled_from(simulate.NORMS))
def test_stream_counts_every_pair_and_hits_theory_in_any_chunk(n, chunk, norm):
    moments = simulate.stream(0.4, 0.9, 6, n, chunk=chunk, norm=norm, dtype=torch.float64)
    assert moments.n == n
    for one in against_theory(moments, at_an_angle(0.4, 0.9)).values():
        assert one["value"] == pytest.approx(one["theory"], rel=1e-9)


@pytest.mark.parametrize("chunk", [None, 32])
def test_stream_refuses_pairs_beyond_the_dtype(chunk):
    with pytest.raises(InputError, match="100 of 100 tokens have a NaN or an infinity"):
        simulate.stream(1.0, n=100, scale=1e41, chunk=chunk)


def test_a_grid_of_no_settings_is_refused():
    with pytest.raises(InputError, match="no tokens to measure"):
        simulate.stream(torch.zeros(0), n=100)


def test_near_perpendicular_both_scales_vanish_and_are_not_reciprocal():
    """C4, simulated: as the angle rises to 90° both scales fall to 0 from above; their reciprocals grow without end."""
    angles = torch.tensor([60.0, 80.0, 89.0, 89.9], dtype=torch.float64).deg2rad()
    moments = simulate.stream(angles, 1.0, 32, 2000, dtype=torch.float64)
    scales = [evaluate(REGISTRY[key], *moments.means.unbind(-1)) for key in ("scale_x", "scale_x_hat")]
    for scale in scales:
        assert (scale > 0).all()
        assert (scale.diff() < 0).all()
    torch.testing.assert_close(scales[0] * scales[1], angles.cos() ** 2)
    assert 1 / scales[0][-1] > 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d": 1}, "d is 1: an angle needs at least 2"),
        ({"n": 0}, "n is 0: at least one pair"),
        ({"norm": "log"}, "norm is 'log': choose fixed, chi, log-normal"),
        ({"scale": 0.0}, "scale is 0.0 and spread 1.0"),
        ({"spread": -0.1}, "scale is 1.0 and spread -0.1"),
        ({"correlation": 1.01}, "correlation is 1.01"),
        ({"correlation": -1.01}, "correlation is -1.01"),
        ({"correlation": 0.5}, "correlation needs a log-normal norm and an angle that is a distribution"),
        ({"correlation": 0.5, "norm": "log-normal"}, "correlation needs"),
        ({"correlation": 0.5, "angle": lambda p: p}, "correlation needs"),
        ({"angle": -1e-9}, "an angle lies outside 0 to π"),
        ({"angle": pi * 1.00001}, "an angle lies outside 0 to π"),
        ({"angle": torch.tensor([1.0, torch.nan])}, "an angle lies outside 0 to π"),
        ({"angle": lambda p: 4 * p}, "an angle lies outside 0 to π"),
        ({"norm_ratio": -1e-9}, "a norm ratio is negative or not finite"),
        ({"norm_ratio": torch.inf}, "a norm ratio is negative or not finite"),
        ({"norm_ratio": lambda p: p - 0.5}, "a norm ratio is negative or not finite"),
    ],
)
def test_settings_outside_their_ranges_are_refused(options, message):
    options = {"angle": 1.0, "n": 100} | options
    for draw in (simulate.pairs, simulate.stream):
        with pytest.raises(InputError, match=message):
            draw(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"d": 2, "n": 1, "spread": 0.0, "norm_ratio": 0.0, "angle": 0.0},
        {"correlation": 1, "norm": "log-normal", "angle": lambda p: pi * p},
        {"correlation": -1, "norm": "log-normal", "angle": lambda p: pi * p},
        {"angle": torch.tensor(pi)},  # float32's π is above π
    ],
)
def test_at_the_edges_of_their_ranges_they_are_taken(options):
    x, x_hat = simulate.pairs(**{"angle": 1.0} | options)
    assert x.isfinite().all()
    assert x_hat.isfinite().all()


def test_by_default_one_pair_of_64_dimensions_and_norm_1():
    x, x_hat = simulate.pairs(0.0)
    assert x.shape == x_hat.shape == (1, 64)
    assert x.dtype == torch.float32
    assert x.norm() == pytest.approx(1)
    torch.testing.assert_close(x, x_hat)
    moments = simulate.stream(0.0, n=50)
    assert moments.sums.shape == (32, 2, 64)
    assert (moments.a.item(), moments.n) == (pytest.approx(1, rel=1e-6), 50)


@pytest.mark.parametrize(
    ("device", "d", "n", "chunk", "counts"),
    [
        ("cpu", 2**15, 100, None, [32, 32, 32, 4]),  # 2²⁰ numbers
        ("cpu", 2**17, 100, None, [32, 32, 32, 4]),  # but a pair a group
        ("cpu", 2**14, 100, None, [64, 36]),
        ("cpu", 2**14, 100, 30, [30, 30, 30, 10]),
        ("cuda", 2**15, 3000, None, [1024, 1024, 952]),  # 2²⁵
        ("cuda", 2**15, 64, 64, [64]),
    ],
)
def test_a_chunk_is_as_large_as_its_device_likes(device, d, n, chunk, counts):
    told, refused = [], []
    drawing = SimpleNamespace(
        grid=torch.Size((1,)), d=d, device=torch.device(device), refuse_invalid=lambda: refused.append(sum(told))
    )

    def draw(count):
        x = torch.ones(1, count, 1)
        return simulate.Pairs(x, 0.5 * x)

    moments = simulate.in_chunks(draw, drawing, n, chunk, 32, told.append)
    assert told == counts
    assert moments.n.tolist() == [n]
    assert moments.c.tolist() == [0.5]
    # an accelerator is waited for at the end alone
    assert refused == ([n] if device == "cuda" else [sum(counts[:i]) for i in range(len(counts))] + [n])


@pytest.mark.parametrize(("device", "n", "each"), [("cpu", 4096, True), ("cuda", 4095, True), ("cuda", 4096, False)])
def test_each_pair_is_a_cluster_until_blocks_of_them_fill_the_groups(device, n, each, monkeypatch):
    """2 groups: from 16 · 2 · 128 pairs on, an accelerator takes blocks of 128."""
    x = torch.arange(1.0, n + 1).reshape(-1, 1)
    drawing = SimpleNamespace(grid=torch.Size(()), d=1, device=torch.device(device), refuse_invalid=lambda: None)
    found = simulate.in_chunks(lambda count: simulate.Pairs(x, x), drawing, n, n, 2, None)
    expected = Moments.from_pairs(x, x, np.arange(n) if each else None, groups=2)
    other = Moments.from_pairs(x, x, None if each else np.arange(n), groups=2)
    assert torch.equal(found.totals, expected.totals)
    assert not torch.equal(found.totals, other.totals)


def test_a_seed_is_a_number_or_a_generator():
    generator = torch.Generator().manual_seed(3)
    assert simulate.generator_of(generator, "cpu") is generator
    assert torch.equal(torch.rand(4, generator=simulate.generator_of(3, "cpu")), torch.rand(4, generator=generator))
