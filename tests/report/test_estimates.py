"""A measure with its interval: exactly Student's where the measure is a mean, inside its range, or with a reason."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from sandbox.errors import InputError
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments
from sandbox.report import Estimate, estimate, interval, standard_error
from sandbox.report.jackknife import TOO_UNEQUAL, UNDEFINED_WITHOUT

GAMMA = REGISTRY["relative_reconstruction_bias"]


def of_scales(scales, clusters: int) -> Moments:
    """Tokens of norm 1 along one axis, x̂ being so many times each; token i in cluster i mod `clusters`."""
    x = torch.ones(len(scales), 1, dtype=torch.float64)
    return Moments.from_pairs(
        x, torch.as_tensor(scales, dtype=torch.float64)[:, None], torch.arange(len(scales)) % clusters
    )


@pytest.mark.parametrize("clusters", [6, 30, 200])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_where_a_measure_is_a_mean_its_interval_is_students(clusters, level):
    """Every ‖x‖ is 1, so c/a is the mean of x·x̂: of G cluster means, t·s/√G with G − 1 degrees of freedom.

    The x̂ differ little, so that every cluster counts as much, however that is weighed.
    """
    scales = np.random.default_rng(clusters).normal(0.8, 0.02, (4, clusters))
    means, found = scales.mean(0), estimate(of_scales(scales.ravel(), clusters), REGISTRY["scale_x"], level)
    reach = student.ppf(0.5 + level / 2, clusters - 1) * means.std(ddof=1) / math.sqrt(clusters)
    assert found.value == pytest.approx(means.mean())
    assert [found.value - found.low, found.high - found.value] == pytest.approx([reach, reach], rel=0.005)


@pytest.mark.parametrize("clusters", [2, 3, 6])
def test_the_standard_error_of_a_mean_is_that_of_its_clusters(clusters):
    """s/√G, with G − 1 in the sample's deviation; one cluster has none."""
    scales = np.random.default_rng(clusters).normal(0.8, 0.3, (4, clusters))
    found = standard_error(of_scales(scales.ravel(), clusters), REGISTRY["scale_x"].expression)
    assert found.item() == pytest.approx(scales.mean(0).std(ddof=1) / math.sqrt(clusters))
    assert standard_error(of_scales(scales.ravel(), 1), REGISTRY["scale_x"].expression).isnan()


def test_many_settings_at_once_have_the_intervals_of_each():
    scales = torch.from_numpy(np.random.default_rng(0).normal(0.8, 0.3, (3, 60)))
    x = torch.ones(3, 60, 1, dtype=torch.float64)
    grid = Moments.from_pairs(x, scales[..., None], torch.arange(60) % 20, batch_dims=1)
    for key in ("scale_x", "relative_reconstruction_bias", "length_loss", "angle_loss"):
        low, high = interval(grid, REGISTRY[key])
        for i in range(3):
            one = estimate(of_scales(scales[i], 20), REGISTRY[key])
            assert (one.low, one.high) == pytest.approx((low[i].item(), high[i].item()))
    with pytest.raises(
        InputError, match=r"estimate takes moments without batch axes, not of batch shape \(3,\): index them first"
    ):
        estimate(grid, GAMMA)


@pytest.mark.parametrize("key", REGISTRY)
def test_a_value_lies_within_its_interval_and_that_within_the_range(key):
    measure = REGISTRY[key]
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(24, 3, generator=generator, dtype=torch.float64)
        x_hat = x + (0.01, 0.5, 3.0)[seed % 3] * torch.randn(24, 3, generator=generator, dtype=torch.float64)
        found = estimate(Moments.from_pairs(x, x_hat, torch.arange(24) // 3), measure)
        if found.low is not None and found.high is not None:
            assert float(measure.range.inf) <= found.low <= found.value <= found.high <= float(measure.range.sup)


def test_what_has_no_value_or_no_interval_says_why():
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ids = torch.arange(40) // 4
    assert estimate(Moments.from_pairs(x, -x, ids), GAMMA) == Estimate(None, None, None, GAMMA.needs[1][1])
    assert estimate(Moments.from_pairs(x, 0 * x, ids), GAMMA) == Estimate(None, None, None, GAMMA.needs[0][1])
    none = Moments.from_pairs(x[:1] / 0, x[:1], drop_nonfinite=True)
    assert estimate(none, GAMMA) == Estimate(None, None, None, "no tokens were measured")
    single = estimate(Moments.from_pairs(x, x / 2), GAMMA)  # all in one block of tokens
    assert single.value == pytest.approx(0.5)
    assert single.low is single.high is None
    assert "cluster" in str(single.reason)


def test_one_cluster_that_is_nearly_everything_gives_no_interval():
    """Norms of x 1, but 100 in one of ten clusters: they count as hardly more than one."""
    x = torch.ones(10, 1, dtype=torch.float64)
    x[3] = 100
    found = estimate(Moments.from_pairs(x, 0.5 * x, torch.arange(10)), GAMMA)
    assert found == Estimate(0.5, None, None, TOO_UNEQUAL)


def test_what_is_undefined_without_one_of_the_clusters_has_no_interval():
    """x·x̂ is 1, 1, 1, −0.9, −0.9 and −0.9: without one of the first three, x̂ turns away."""
    found = estimate(of_scales([1.0, 1.0, 1.0, -0.9, -0.9, -0.9], 6), GAMMA)
    assert found == Estimate(pytest.approx(5.43 / 0.3), None, None, UNDEFINED_WITHOUT)


def test_json_has_the_reason_only_where_there_is_one():
    assert Estimate(1.0, 0.5, 2.0).to_dict() == {"value": 1.0, "low": 0.5, "high": 2.0}
    assert Estimate(None, None, None, "why").to_dict()["reason"] == "why"
