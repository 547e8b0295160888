"""Numbers of any size: measured alike where float64 can hold their squares, refused in words where it cannot."""

import json

import numpy as np
import pytest
import torch

from sandbox.errors import InputError
from sandbox.maths.measures import NOT_RESOLVABLE, REGISTRY
from sandbox.measuring.measure import measure, measure_pairs
from sandbox.moments.moments import Moments
from sandbox.report import Report, to_json

GAMMA, LOSS = "relative_reconstruction_bias", "relative_loss"


@pytest.fixture(scope="module")
def pair():
    random = np.random.default_rng(0)
    x = random.standard_normal((4000, 16)) + 0.5
    return x, 0.7 * (x - 0.5) + 0.5 + 0.3 * random.standard_normal(x.shape)  # with the mean of x


def scale_free(report) -> dict:
    """All that no unit of activations enters."""
    found = json.loads(to_json([report]))["saes"][0]
    del found["statistics"]["norm_intercept"], found["findings"]
    return {key: found[key] for key in ("raw", "centred", "statistics")}


@pytest.mark.parametrize("power", [-150, -100, 100, 150])
def test_a_power_of_two_changes_no_bit_of_any_measure(power, pair):
    x, x_hat = pair
    reports = (measure_pairs(k * x, k * x_hat, look=False) for k in (1, 2.0**power))
    one, other = map(scale_free, reports)
    assert one == other


@pytest.mark.parametrize("look", [True, False])
@pytest.mark.parametrize("power", [-1070, -600, -520, -300, -270, -200, 200, 260, 520, 1000])
def test_beyond_that_it_is_refused_in_words(power, look, pair):
    x, x_hat = (2.0**power * np.clip(t, -4, 4) for t in pair)
    words = r"(: too large or too small for totals in float64: .*multiply x and x_hat by the same factor"
    words += r"|have a NaN or an infinity in x or x_hat \(or a number beyond 1e150)"
    for call in (
        lambda: measure_pairs(x, x_hat, look=look),
        lambda: measure(lambda t: 0.9 * t, x, dtype="float64", look=look),
        lambda: Moments.from_pairs(x, x_hat),
    ):
        with pytest.raises(InputError, match=words):
            call()
    with pytest.raises(InputError, match=f": too large or too small for totals in float64|{words}|nothing is left"):
        measure_pairs(x, x_hat, look=look, drop_nonfinite=True)


def test_what_is_zero_is_still_zero(pair):
    x, _ = pair
    report = measure_pairs(x, np.zeros_like(x), look=False)
    assert report.raw["cosine"].reason == "x̂ is zero everywhere, or does not vary once centred (b = 0)"


def test_x_hat_alone_may_be_out_of_range(pair):
    x, _ = pair
    with pytest.raises(InputError, match=r"x_hat: too large or too small .*: E‖x_hat‖² is 0"):
        measure_pairs(x, 1e-170 * x, look=False)


@pytest.mark.parametrize("size", [1e18, 1e20, 1e30, 1e37, 1e-20, 1e-23, 1e-30, 1e-36])
def test_pairs_of_any_size_in_float32_are_looked_at_and_measured(size, pair):
    x, x_hat = (torch.from_numpy(t) for t in pair)
    one = measure_pairs(x.float(), x_hat.float())
    other = measure_pairs((size * x).float(), (size * x_hat).float())
    assert [found["key"] for found in other.findings] == [found["key"] for found in one.findings] == []
    for key, estimate in one.raw.items():
        assert other.raw[key].value == pytest.approx(estimate.value, rel=1e-5), key


@pytest.mark.parametrize("size", [1e19, 1e30, 1e-23])
def test_a_normalisation_that_was_not_undone_is_found_at_any_size(size, pair):
    x = torch.from_numpy(pair[0])
    x_hat = 0.9 * x / x.norm(dim=1, keepdim=True) + 0.01
    report = measure_pairs((size * x).float(), x_hat.float())
    assert report.findings[0]["key"] == "x_hat_unit_norm"


@pytest.mark.parametrize("size", [1e19, 1e30, 1e-23])
def test_an_sae_on_activations_of_any_size_in_float32(size, pair):
    x = torch.from_numpy(pair[0])
    report = measure(lambda t: 0.6 * t + 0.2 * t.abs(), (size * x).float())
    expected = measure(lambda t: 0.6 * t + 0.2 * t.abs(), x.float())
    assert report.raw[GAMMA].value == pytest.approx(expected.raw[GAMMA].value, rel=1e-5)


def centred(offset: float, d: int = 32) -> Report:
    random = np.random.default_rng(0)
    z = random.standard_normal((5000, d))
    h = 0.8 * z + 0.4 * random.standard_normal(z.shape)
    return measure_pairs(z + offset, h + offset, look=False)


@pytest.mark.parametrize("offset", [1e3, 1e5, 6e5])
def test_centred_moments_survive_a_mean_of_many_spreads(offset):
    """What rounding leaves of them: float64 has 1e-16, and the square of the mean takes offset² of that."""
    right, found = centred(0), centred(offset)
    for key in REGISTRY:
        assert found.centred[key].value == pytest.approx(right.centred[key].value, abs=3e-15 * offset**2), key
    assert found.explained_variance.value == pytest.approx(right.explained_variance.value, abs=3e-15 * offset**2)


@pytest.mark.parametrize("offset", [1.2e6, 3e6, 1e8])
def test_beyond_that_they_are_not_resolvable_and_nobody_says_that_x_does_not_vary(offset):
    found = centred(offset)
    for estimate in (*found.centred.values(), found.explained_variance):
        assert (estimate.value, estimate.reason) == (None, NOT_RESOLVABLE)
    assert found.raw[GAMMA].value == pytest.approx(1)
    json.loads(to_json([found]))


def test_one_of_the_two_suffices():
    """x varies by more than a millionth of its mean, x̂ by less: no measure of both is 0 or 1 for that."""
    found = centred(9e5)
    assert {one.reason for one in found.centred.values()} == {NOT_RESOLVABLE}


def test_what_is_constant_is_said_to_be_so():
    random = np.random.default_rng(0)
    x, same = random.standard_normal((5000, 32)), np.tile(random.standard_normal(32) * 1e3 + 1 / 3, (5000, 1))
    found = measure_pairs(x, same, look=False)
    assert "does not vary once centred (b = 0)" in found.centred["cosine"].reason
    assert found.centred[LOSS].value == pytest.approx(1)
    both = measure_pairs(same, same, look=False)
    assert "does not vary once centred (a = 0)" in both.centred[LOSS].reason
