"""Moments and measures agree with oracles that nobody here wrote: rational arithmetic, a least-squares solver."""

from fractions import Fraction
from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments
from tests.conftest import random_pairs

quarters = st.integers(-400, 400).map(lambda k: Fraction(k, 4))  # exact in every float dtype but bfloat16
vectors = st.lists(st.tuples(st.tuples(*[quarters] * 3), st.tuples(*[quarters] * 3)), min_size=1, max_size=30)


def mean(values):
    return sum(values, Fraction(0)) / len(values)


@given(vectors, st.sampled_from([torch.float64, torch.float32]))
def test_the_moments_are_the_rational_ones(pairs, dtype):
    x = torch.tensor([[float(u) for u in x] for x, _ in pairs], dtype=dtype)
    x_hat = torch.tensor([[float(v) for v in x_hat] for _, x_hat in pairs], dtype=dtype)
    moments = Moments.from_pairs(x, x_hat)
    a = mean([sum(u * u for u in x) for x, _ in pairs])
    b = mean([sum(v * v for v in x_hat) for _, x_hat in pairs])
    c = mean([sum(u * v for u, v in zip(x, x_hat, strict=True)) for x, x_hat in pairs])
    # products of quarters up to 100 are exact in float32, too
    for got, exact in zip(moments.means, (a, b, c), strict=True):
        assert got.item() == pytest.approx(float(exact), rel=1e-14, abs=1e-12)


def test_the_golden_case():
    moments = Moments.from_pairs(torch.tensor([[1.0]]), torch.tensor([[0.5]]))
    value = {key: evaluate(measure, *moments.means).item() for key, measure in REGISTRY.items()}
    assert value["relative_reconstruction_bias"] == 0.5
    assert value["equation_10_v1"] == pytest.approx(1 / sqrt(3), rel=1e-15)
    assert value["scale_x"] == 0.5
    assert value["scale_x_hat"] == 2
    assert value["norm_ratio"] == 0.5
    assert value["cosine"] == 1
    assert value["relative_loss"] == value["length_loss"] == 0.25
    assert value["angle_loss"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_scales_are_those_of_a_least_squares_solver(seed):
    x, x_hat = random_pairs(200, 16, seed)
    means = Moments.from_pairs(x, x_hat).means
    columns = {"scale_x": (x, x_hat), "scale_x_hat": (x_hat, x)}
    for key, (from_, to) in columns.items():
        solved = torch.linalg.lstsq(from_.reshape(-1, 1), to.reshape(-1, 1)).solution.item()
        assert evaluate(REGISTRY[key], *means).item() == pytest.approx(solved, rel=1e-12)


def test_no_rescaling_beats_the_loss_that_the_angle_leaves():
    x, x_hat = random_pairs(300, 8, 3)
    means = Moments.from_pairs(x, x_hat).means
    best = torch.linalg.lstsq(x_hat.reshape(-1, 1), x.reshape(-1, 1)).solution.item()
    left = (best * x_hat - x).pow(2).sum() / x.pow(2).sum()
    assert evaluate(REGISTRY["angle_loss"], *means).item() == pytest.approx(left.item(), rel=1e-12)
    loss = (x_hat - x).pow(2).sum() / x.pow(2).sum()
    assert evaluate(REGISTRY["relative_loss"], *means).item() == pytest.approx(loss.item(), rel=1e-12)
    assert evaluate(REGISTRY["length_loss"], *means).item() == pytest.approx((loss - left).item(), rel=1e-9)
