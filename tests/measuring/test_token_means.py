"""Statistics per token: sums checked by hand, and intervals that are exact for a mean over equal clusters."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import t as student

from sandbox import checkpoints
from sandbox.data import embedded
from sandbox.measuring.token_means import COLUMNS, TokenMeans


def of_pairs(u, v, cosine, groups, l0=None, group=None, apart_above=math.inf) -> TokenMeans:
    """Tokens with the given norms, cosines and groups (by default dealt in turn)."""
    u, v = (torch.as_tensor(norms, dtype=torch.float64) for norms in (u, v))
    dots = torch.stack((u**2, v**2, u * v * torch.as_tensor(cosine, dtype=torch.float64)), 1)
    index = torch.arange(len(u)) % groups if group is None else torch.tensor(group)
    return TokenMeans.from_dots(dots, l0, index, groups, apart_above)


def test_what_is_summed_of_two_tokens():
    """Norms 3 and 0 of x, 2 and 5 of x̂: a token with x = 0 has no ratio and no cosine, but counts elsewhere."""
    (sums,) = of_pairs([3, 0], [2, 5], [0.5, 0.5], 1, torch.tensor([7, 4])).sums[0].tolist()
    assert dict(zip(COLUMNS, sums, strict=True)) == pytest.approx(
        {
            "tokens": 2,
            "norm": 3,
            "norm_hat": 7,
            "norm²": 9,
            "norm·norm_hat": 6,
            "l2_ratio": 2 / 3,
            "cossim": 0.5,
            "l0": 11,
            "penalty": 0,
            "penalty_scaled": 0,
            "defined": 1,
        }
    )


def test_a_token_that_is_not_finite_is_left_out():
    dots = torch.tensor([[4.0, 1.0, 1.0], [math.nan, 1.0, 1.0], [4.0, math.inf, 1.0]], dtype=torch.float64)
    l0, penalty, group = (
        torch.tensor([1, 2, 3]),
        torch.tensor([[5.0, 2.0], [6.0, 3.0], [7.0, 4.0]]),
        torch.zeros(3, dtype=torch.int64),
    )
    means = TokenMeans.from_dots(dots, l0, group, 1, penalty=penalty)
    (sums,) = means.sums[0]
    assert sums.tolist() == [1, 2, 1, 4, 2, 0.5, 0.5, 1, 5, 2, 1]
    assert means.penalties()[0].tolist() == [[5], [2]]
    assert means.penalties()[1] == 2


def test_tokens_are_kept_apart_by_the_norm_of_x_and_above_the_limit():
    """Norms 1, 3 and 4 of x, 9, 1 and 1 of x̂, limit 3: only the last token is an outlier."""
    statistics = of_pairs([1, 3, 4], [9, 1, 1], [1, 1, 1], 2, group=[0, 1, 1], apart_above=3)
    assert statistics.sums[:, :, 0].tolist() == [[1, 1], [0, 1]]
    assert statistics.sums[1, 1, 1] == 4
    assert statistics.estimates(typical=True)["l2_ratio"].value == pytest.approx((9 + 1 / 3) / 2)
    assert statistics.estimates()["l2_ratio"].value == pytest.approx((9 + 1 / 3 + 1 / 4) / 3)


@pytest.mark.parametrize("clusters", [6, 20])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_interval_of_a_mean_over_equal_clusters_is_students(clusters, level):
    """The mean of G equally large clusters, ± t·s/√G with the sample standard deviation s of their means.

    The values are close together, so any smooth scale on which the interval is built is nearly linear there.
    """
    generator = np.random.default_rng(clusters)
    ratio, cosine, l0 = (generator.uniform(0.5, 0.502, (5, clusters)) for _ in range(3))
    norms = np.full(5 * clusters, 2.0)
    statistics = of_pairs(norms, 2 * ratio.ravel(), cosine.ravel(), clusters, torch.tensor(l0.ravel()))
    estimates = statistics.estimates(level=level)
    for name, values in {"l2_ratio": ratio, "cossim": cosine, "l0": l0}.items():
        means, estimate = values.mean(0), estimates[name]
        reach = student.ppf(0.5 + level / 2, clusters - 1) * means.std(ddof=1) / math.sqrt(clusters)
        assert estimate.value == pytest.approx(means.mean())
        assert [estimate.value - estimate.low, estimate.high - estimate.value] == pytest.approx(
            [reach, reach], rel=0.01
        )


def test_one_cluster_has_means_and_no_interval():
    estimates = of_pairs([1, 2, 3], [1, 1, 2], [1, 1, 1], 1).estimates()
    for name in ("l2_ratio", "cossim", "norm_slope", "norm_intercept"):
        assert estimates[name].value is not None
        assert estimates[name].low is estimates[name].high is None
        assert "cluster" in estimates[name].reason


def test_where_no_token_has_a_direction_there_is_no_mean():
    estimates = of_pairs([0, 0], [1, 2], [0, 0], 2).estimates()
    assert estimates["l2_ratio"].value is estimates["cossim"].value is None
    assert estimates["l2_ratio"].reason == "no token defines it"
    assert estimates["l0"].value == 0


def test_the_line_is_that_of_least_squares():
    generator = np.random.default_rng(0)
    u = generator.uniform(1, 5, 60)
    v = 0.7 * u + 0.2 + 0.1 * generator.standard_normal(60)
    estimates = of_pairs(u, v, np.ones(60), 12).estimates()
    slope, intercept = np.polyfit(u, v, 1)
    assert estimates["norm_slope"].value == pytest.approx(slope)
    assert estimates["norm_intercept"].value == pytest.approx(intercept)
    for name, true in {"norm_slope": 0.7, "norm_intercept": 0.2}.items():
        assert estimates[name].low < true < estimates[name].high
        # classical errors of the line: 0.1/√Σ(u − ū)², and √(mean of u²) times that; ours are from 12 clusters
        error = 0.1 / np.sqrt(((u - u.mean()) ** 2).sum()) * (1 if name == "norm_slope" else np.sqrt((u**2).mean()))
        assert 0.5 < (estimates[name].high - estimates[name].low) / (2 * student.ppf(0.975, 11) * error) < 1.8


def intercept_by_covariance(u: np.ndarray, ratio: np.ndarray) -> float:
    """C28: −K·l²/(h − l²), with K the covariance of the tokens' norm ratio and norm, each weighted by its norm."""
    covariance = np.cov(ratio, u, ddof=0, aweights=u)[0, 1]
    return -covariance * u.mean() ** 2 / u.var()


@pytest.mark.parametrize("rise", [-0.05, 0.0, 0.05])
def test_an_intercept_needs_no_offset_but_a_cosine_that_varies_with_the_norm(rise):
    """Every token has a γ of 1, so its norm ratio is its cosine: the intercept has the opposite sign of its rise."""
    u = np.random.default_rng(0).uniform(1, 4, 600)
    cosine = 0.85 + rise * (u - 2.5)
    intercept = of_pairs(u, cosine * u, cosine, 12).estimates()["norm_intercept"].value
    assert intercept == pytest.approx(intercept_by_covariance(u, cosine), abs=1e-12)
    assert np.sign(round(intercept, 9)) == -np.sign(rise)


def test_the_intercept_of_the_embedded_gated_sae_says_that_its_cosine_rises_with_the_norm():
    """Raw, so that b_dec is part of x̂: γ is 1, and yet the line does not go through 0."""
    x = load_file(embedded("activations"))["activations"].float()
    with torch.no_grad():
        x_hat = checkpoints.load(embedded("minilm-gated"))(x)
    x, x_hat = x.double().numpy(), x_hat.double().numpy()
    u, v, c = np.linalg.norm(x, axis=1), np.linalg.norm(x_hat, axis=1), (x * x_hat).sum(1)
    documents = np.load(embedded("documents"))
    intercept = of_pairs(u, v, c / (u * v), 100, group=np.unique(documents, return_inverse=True)[1]).estimates()[
        "norm_intercept"
    ]
    assert (v**2).sum() / c.sum() == pytest.approx(1, abs=1e-3)
    assert intercept.value == pytest.approx(intercept_by_covariance(u, v / u))
    assert intercept.value == pytest.approx(-0.498, abs=1e-3)
    assert intercept.high < 0
    assert np.cov(c / (u * v), u, ddof=0, aweights=u)[0, 1] > 0


def test_a_line_without_scatter_is_known_exactly():
    u = np.linspace(1, 2, 10)
    estimates = of_pairs(u, 3 * u - 0.5, np.ones(10), 5).estimates()
    for name, value in {"norm_slope": 3, "norm_intercept": -0.5}.items():
        assert [estimates[name].low, estimates[name].value, estimates[name].high] == pytest.approx(
            [value] * 3, abs=1e-9
        )


def test_norms_that_do_not_differ_determine_no_line():
    """A spread of 1e-3 of the norm determines the line; one of 1e-7 is rounding."""
    for spread, seen in ((1e-3, True), (1e-7, False), (0.0, False)):
        estimates = of_pairs([1, 1 + spread] * 4, [1, 2] * 4, [1] * 8, 4).estimates()
        assert (estimates["norm_slope"].value is not None) is seen
        if not seen:
            assert estimates["norm_slope"].reason == "all tokens have the same norm: no line is determined"
