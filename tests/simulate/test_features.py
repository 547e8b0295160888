"""Thresholded features give the closed forms of C17 and C18, and those of other strengths what quadrature says."""

import pytest
import torch
from scipy import stats
from torch.distributions import Gamma, HalfNormal

from sandbox.errors import InputError
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.report import interval
from sandbox.simulate.distributions import DISTRIBUTIONS, inverse_cdf, threshold_at
from sandbox.simulate.features import GATES, features, stream_features
from sandbox.simulate.theory import against_theory, behind_a_threshold

THRESHOLDS = torch.linspace(0, 4, 9, dtype=torch.float64)
D, N = 64, 96_000  # 6 million strengths a setting; at λ = 4 one in 55 of them is active
DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))
ROUNDING = 1e-12  # of totals in float64


def in_closed_form(gate: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """γ, r² and the share of active features, as C17 and C18 print them."""
    share = torch.exp(-THRESHOLDS)
    if gate == "soft":
        return 2 / (2 + THRESHOLDS), share, share
    return torch.ones_like(THRESHOLDS), (1 + THRESHOLDS + THRESHOLDS**2 / 2) * share, share


@pytest.fixture(scope="module")
def simulated():
    """A function (gate, device) ► Moments and shares, on the CPU, of all thresholds; simulated once."""
    kept = {}

    def simulate(gate: str, device: str):
        if (gate, device) not in kept:
            moments, share = stream_features(THRESHOLDS, gate, D, N, device=device)
            kept[gate, device] = moments.to("cpu"), share.cpu()
        return kept[gate, device]

    return simulate


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("key", REGISTRY)
def test_every_measure_is_that_of_the_closed_form(key, gate, device, simulated):
    moments, _ = simulated(gate, device)
    gamma, square, _ = in_closed_form(gate)
    exact = evaluate(REGISTRY[key], 1.0, square, square / gamma)  # a = 1, b = r², c = b/γ
    low, high = interval(moments, REGISTRY[key], level=0.9999)  # Student's 4.5 standard errors: 3.9 of the normal
    assert (low - ROUNDING <= exact).all(), (exact - low).min()
    assert (exact <= high + ROUNDING).all(), (high - exact).min()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("key", REGISTRY)
def test_intervals_are_within_one_percent(key, gate, device, simulated):
    """So that the test above is one that a wrong value fails."""
    moments, _ = simulated(gate, device)
    low, high = interval(moments, REGISTRY[key])
    value = evaluate(REGISTRY[key], *moments.means.unbind(-1))
    assert ((high - low) / 2 <= 0.01 * value.abs() + ROUNDING).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gate", GATES)
def test_the_share_of_active_features_is_that_of_the_closed_form(gate, device, simulated):
    _, share = simulated(gate, device)
    *_, exact = in_closed_form(gate)
    error = (exact * (1 - exact) / (N * D)).sqrt()  # binomial: features are independent
    assert ((share - exact).abs() <= 4 * error).all()


@pytest.mark.parametrize("device", DEVICES)
def test_a_gate_does_not_shrink_at_all(device, simulated):
    """C18: γ = 1 in every sample, not only on average."""
    moments, _ = simulated("hard", device)
    torch.testing.assert_close(moments.b / moments.c, torch.ones_like(THRESHOLDS), rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gate", GATES)
def test_each_setting_draws_its_own_strengths(gate, device):
    """Of 400 settings alike, 95 % of the intervals hold the truth; with shared strengths all or none would."""
    moments, _ = stream_features(torch.ones(400), gate, 8, 320, device=device)
    square = torch.exp(torch.tensor(-1.0).double()) * {"soft": 1, "hard": 2.5}[gate]
    low, high = interval(moments.to("cpu"), REGISTRY["norm_ratio"])
    cover = ((low <= square.sqrt()) & (square.sqrt() <= high)).double().mean()
    assert 0.915 <= cover <= 0.985  # three standard errors of a share of 0.95 in 400


@pytest.mark.parametrize("device", DEVICES)
def test_strengths_are_exponential_and_independent(device):
    x = features(1.0, d=8, n=20_000, device=device, dtype=torch.float64).x.cpu()
    f, _ = x.flatten().sort()
    gap = (torch.arange(len(f)) + 0.5) / len(f) + torch.expm1(-f)
    assert gap.abs().max() < 2 / len(f) ** 0.5  # Kolmogorov–Smirnov, one in a thousand
    across = torch.corrcoef(x.T) - torch.eye(8)
    assert across.abs().max() < 5 / len(x) ** 0.5
    along = torch.corrcoef(torch.stack((x[:-1].flatten(), x[1:].flatten())))[0, 1]
    assert along.abs() < 5 / x.numel() ** 0.5


@pytest.mark.parametrize("device", DEVICES)
def test_the_tail_has_no_steps(device):
    """Above 12 lie about 100 of 2²⁴ strengths; a uniform of 24 bits has 103 values there: a third would be repeats."""
    x, _ = features(0.0, d=64, n=2**18, device=device)
    assert x.dtype == torch.float32
    assert x.isfinite().all()
    assert (x >= 0).all()
    tail = x[x > 12]
    assert 50 < len(tail) < 160
    assert len(tail.unique()) >= len(tail) - 1


@pytest.mark.parametrize("gate", GATES)
def test_on_the_cpu_the_chunk_changes_nothing(gate):
    """Not so on CUDA: there each call deals its numbers out to threads, so that two calls are not one twice as long."""
    whole, share = stream_features(THRESHOLDS, gate, 5, 1000, chunk=1000)
    for chunk in (1, 33, None):
        parts, share_of_parts = stream_features(THRESHOLDS, gate, 5, 1000, chunk=chunk)
        assert (parts.n == 1000).all()
        assert torch.equal(share, share_of_parts)
        for one, other in zip(whole, parts, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_the_stream_is_of_these_features():
    x, x_hat = features(THRESHOLDS, "soft", 5, 100, seed=3)
    assert x.shape == x_hat.shape == (9, 100, 5)
    seen = []
    moments, share = stream_features(THRESHOLDS, "soft", 5, 100, seed=3, chunk=40, progress=seen.append)
    assert seen == [40, 40, 20]
    torch.testing.assert_close(moments.a, x.double().square().sum(-1).mean(-1))
    torch.testing.assert_close(share, (x_hat > 0).double().mean((-2, -1)))


def test_a_seed_gives_both_gates_and_every_dtype_the_same_strengths():
    soft, hard, single = (
        features(1.0, "soft", dtype=torch.float64),
        features(1.0, "hard", dtype=torch.float64),
        features(1.0),
    )
    assert torch.equal(soft.x, hard.x)
    assert torch.equal(soft.x.float(), single.x)
    assert torch.equal(hard.x_hat, torch.where(hard.x > 1, hard.x, 0))
    assert torch.equal(soft.x_hat, (soft.x - 1).clamp(min=0))
    assert not torch.equal(soft.x, features(1.0, dtype=torch.float64, seed=1).x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_once(dtype):
    exact, rounded = (features(0.9, "soft", 64, 100, dtype=kind) for kind in (torch.float64, dtype))
    assert torch.equal(exact.x_hat.to(dtype), rounded.x_hat)


@pytest.mark.gpu
def test_the_device_is_waited_for_only_at_the_end():
    n, seen = 20_000, 0

    def progress(count):
        nonlocal seen
        seen += count
        torch.cuda.set_sync_debug_mode("error" if seen < n else "default")

    try:
        moments, _ = stream_features(THRESHOLDS, "soft", D, n, chunk=1000, device="cuda", progress=progress)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (moments.n == n).all()


SHARES = torch.tensor([1.0, 0.5, 0.2, 0.05], dtype=torch.float64)
DENSITIES = {  # by scipy, of mean 1: told apart from our inverse CDFs in everything but the name
    "exponential": stats.expon(),
    "half-normal": stats.halfnorm(scale=(torch.pi / 2) ** 0.5),
    "log-normal": stats.lognorm(s=1, scale=torch.tensor(-0.5).double().exp().item()),
}


def pareto(p: torch.Tensor) -> torch.Tensor:
    """Inverse CDF of a power law: a share f⁻⁶ lies above f."""
    return (1 - p) ** (-1 / 6)


ALL = {**{name: name for name in DISTRIBUTIONS}, "own": pareto}


def test_the_default_draws_what_it_always_drew():
    """Bit by bit: −log(1 − u) of one float64 uniform a strength, tokens first."""
    for shape in ((), (3,)):
        u = torch.rand((50, *shape, 7), dtype=torch.float64, generator=torch.Generator().manual_seed(5))
        expected = u.neg().log1p().neg().movedim(0, -2)
        for given in ({}, {"distribution": "exponential"}):
            found = features(torch.ones(shape), "soft", 7, 50, dtype=torch.float64, seed=5, **given)
            assert torch.equal(found.x, expected)
            assert torch.equal(found.x_hat, torch.where(expected > 1, expected - 1, 0))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_inverse_cdfs_are_those_of_another_library(name):
    p = torch.tensor([1e-9, 0.01, 0.3, 0.5, 0.9, 1 - 1e-9], dtype=torch.float64)
    f = DISTRIBUTIONS[name](p.clone()).numpy()
    below, above = (torch.as_tensor(of(f)) for of in (DENSITIES[name].cdf, DENSITIES[name].sf))
    torch.testing.assert_close(below, p, rtol=1e-6, atol=0)
    torch.testing.assert_close(above, 1 - p, rtol=1e-6, atol=0)  # 10⁻⁹ below 1, a float64 holds 10⁻⁷ of the gap
    assert DENSITIES[name].mean() == pytest.approx(1, rel=1e-12)


def by_quadrature(name: str, gate: str, levels: torch.Tensor) -> torch.Tensor:
    """a, b and c of one feature behind each threshold, Float64[Tensor, "3 levels"]: integrals over scipy's density."""
    density, found = DENSITIES[name], []
    for low in levels.tolist():
        taken = low if gate == "soft" else 0
        b = density.expect(lambda f, taken=taken: (f - taken) ** 2, lb=low)
        c = density.expect(lambda f, taken=taken: (f - taken) * f, lb=low)
        found.append((density.expect(lambda f: f * f), b, c))
    return torch.tensor(found, dtype=torch.float64).T


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", DENSITIES)
def test_every_distribution_gives_what_its_density_says(name, gate, device):
    levels = threshold_at(SHARES, name)
    moments, active = stream_features(levels, gate, D, 20_000, distribution=name, device=device)
    moments = moments.to("cpu")
    a, b, c = by_quadrature(name, gate, levels)
    for key in ("relative_reconstruction_bias", "norm_ratio", "scale_x", "equation_10_v1"):
        low, high = interval(moments, REGISTRY[key], level=0.9999)  # as above, so that all of these hold
        exact = evaluate(REGISTRY[key], a, b, c)
        assert (low - 1e-6 <= exact).all(), key  # 1e-6: float32's rounding of x and x̂
        assert (exact <= high + 1e-6).all(), key
    error = (SHARES * (1 - SHARES) / (20_000 * D)).sqrt()  # binomial
    assert ((active.cpu() - SHARES).abs() <= 4 * error).all()


@pytest.mark.parametrize("name", ALL)
def test_a_gate_does_not_shrink_whatever_the_strengths(name):
    levels = threshold_at(SHARES, ALL[name])
    moments, _ = stream_features(levels, "hard", 8, 4000, distribution=ALL[name])
    torch.testing.assert_close(moments.b / moments.c, torch.ones_like(SHARES), rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_an_l1_penalty_shrinks_more_the_sparser_it_is(name):
    moments, _ = stream_features(threshold_at(SHARES, name), "soft", D, 20_000, distribution=name)
    gamma, (low, high) = moments.b / moments.c, interval(moments, REGISTRY["relative_reconstruction_bias"])
    assert gamma[0] == pytest.approx(1, abs=1e-6)  # nothing is cut off; float32's rounding
    assert (high[1:] < low[:-1]).all()  # each sparser setting is below the last, beyond both intervals


@pytest.mark.parametrize("device", DEVICES)
def test_a_power_law_is_shrunk_by_the_same_factor_at_every_sparsity(device):
    """By hand: a share f^−α lies above f, so γ = 2/α for every λ ≥ 1. A curve that falls is a matter of the tail."""
    levels = threshold_at(SHARES, pareto, device)
    moments, _ = stream_features(levels, "soft", D, 20_000, distribution=pareto, device=device)
    low, high = interval(moments.to("cpu"), REGISTRY["relative_reconstruction_bias"], level=0.9999)
    assert (low <= 2 / 6).all()
    assert (high >= 2 / 6).all()
    assert ((high - low) < 0.2).all()  # so that the curve of any other distribution above would fail


def test_a_torch_distribution_is_taken_by_its_icdf():
    named, own = (
        features(0.5, d=9, n=50, distribution=one, dtype=torch.float64)
        for one in ("half-normal", HalfNormal((torch.pi / 2) ** 0.5))
    )
    torch.testing.assert_close(named.x, own.x, rtol=1e-6, atol=1e-15)  # torch's icdf takes (1 + p)/2, and loses digits


def test_each_feature_may_have_strengths_of_its_own():
    scales = torch.tensor([1.0, 10.0, 0.0], dtype=torch.float64)
    x, _ = features(torch.zeros(2), "hard", 3, 4000, distribution=lambda p: p * scales, dtype=torch.float64)
    expected = (scales / 2).expand(2, 3)
    torch.testing.assert_close(x.mean(-2), expected, rtol=0.05, atol=0)  # five standard errors of a uniform's mean


def test_features_that_are_mostly_off_are_a_distribution_too():
    """Nine in ten are 0, at every token; the others are uniform."""
    _, active = stream_features(0.0, "soft", 10, 4000, distribution=lambda p: (10 * p - 9).clamp(min=0))
    assert active.item() == pytest.approx(0.1, abs=4 * (0.09 / 40_000) ** 0.5)  # four standard errors, binomial


def test_a_share_is_met_by_its_threshold():
    torch.testing.assert_close(threshold_at(SHARES), -SHARES.log(), rtol=1e-12, atol=1e-15)
    assert threshold_at(0.25, lambda p: p).item() == 0.75


@pytest.mark.gpu
def test_strengths_of_your_own_are_checked_without_waiting_for_the_device():
    n, seen = 20_000, 0

    def progress(count):
        nonlocal seen
        seen += count
        torch.cuda.set_sync_debug_mode("error" if seen < n else "default")

    options = {"chunk": 1000, "device": "cuda", "progress": progress, "distribution": pareto}
    try:
        moments, _ = stream_features(threshold_at(SHARES, pareto), "soft", D, n, **options)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (moments.n == n).all()


def now_and_then(value: float):
    """Fine where it is tried out, at eighths, and wrong elsewhere: only the draws themselves can tell."""
    return lambda p: torch.where((p > 0.6) & (p < 0.62), value, p)


OWN = {
    "an unknown name": ("normal", "distribution is 'normal': choose exponential, half-normal, log-normal, or"),
    "a number": (3.0, "distribution is 3.0: pass a name or a function"),
    "no icdf": (Gamma(2.0, 1.0), "Gamma has no icdf; pass a function"),
    "negative": (
        torch.special.ndtri,
        r"strength -8.29\d* at probability 5.55112e-17: it must be finite",
    ),
    "not finite": (lambda p: p * torch.inf, "gives the strength inf"),
    "nan": (lambda p: torch.where(p > 0.8, torch.nan, p), "gives the strength nan at probability 0.875"),
    "falling": (lambda p: 1 - p, "falls as the probability rises"),
    "another shape": (lambda p: p[..., :1], "it must return one for each, in the same shape"),
    "one number": (lambda p: 1.0, "returned 1.0: it must return a floating-point tensor"),
    "whole numbers": (lambda p: (9 * p).long(), "a tensor of torch.int64"),
    "another device": (lambda p: p.to("meta"), "returned strengths on meta: compute them on p.device, cpu"),
    "negative in the draws": (now_and_then(-1.0), "strengths that are negative or not finite"),
    "nan in the draws": (now_and_then(torch.nan), "strengths that are negative or not finite"),
}


@pytest.mark.parametrize("function", [features, stream_features])
@pytest.mark.parametrize("name", OWN)
def test_bad_strengths_are_refused_in_one_line(name, function):
    distribution, line = OWN[name]
    with pytest.raises(InputError, match=line) as error:
        function(1.0, d=50, n=200, distribution=distribution)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, torch.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="outside 1e-15 to 1"):
        threshold_at(share)


BAD = {
    "negative threshold": ({"threshold": -1.0}, "threshold is negative"),
    "one of a grid": ({"threshold": torch.tensor([1.0, -1e-9])}, "threshold is negative"),
    "nan threshold": ({"threshold": float("nan")}, "negative or not finite"),
    "infinite threshold": ({"threshold": float("inf")}, "negative or not finite"),
    "unknown gate": ({"gate": "sigmoid"}, "gate is 'sigmoid': choose soft, hard"),
    "no features": ({"d": 0}, "d is 0: at least one feature"),
    "no tokens": ({"n": 0}, "n is 0: at least one token"),
    "device": ({"device": "tpu"}, "choose auto or cpu"),
}


@pytest.mark.parametrize("function", [features, stream_features])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name, function):
    settings, line = BAD[name]
    with pytest.raises(InputError, match=line) as error:
        function(**{"threshold": 1.0, **settings})
    assert "\n" not in str(error.value)


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(InputError, match="chunk is 0"):
        stream_features(1.0, chunk=0)


@pytest.mark.parametrize(("gate", "claim"), [("soft", "C17"), ("hard", "C18")])
def test_the_derivations_say_what_the_simulator_finds(gate, claim):
    for threshold in (0.25, 1.0, 2.5):
        exact, active = behind_a_threshold(threshold, gate)
        moments, share = stream_features(threshold, gate, d=64, n=20_000)
        for key, one in against_theory(moments, exact).items():
            reach = 2 * (one["high"] - one["low"])  # four standard errors: nine measures at six settings all hold
            assert abs(one["value"] - one["theory"]) <= reach + 1e-6, (claim, threshold, key)
        assert share.item() == pytest.approx(active, abs=4 * (active / (20_000 * 64)) ** 0.5)


def test_by_default_one_token_of_64_features_behind_a_soft_threshold():
    x, x_hat = features(0.5)
    assert x.shape == x_hat.shape == (1, 64)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x_hat, (x - 0.5).clamp(min=0))
    moments, active = stream_features(0.5, n=100)
    assert moments.sums.shape == (32, 2, 64)
    assert 0.5 < active < 0.7  # e^(−½) = 0.61


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0: at least one token"),
        ({"d": 0}, "d is 0: at least one feature"),
        ({"gate": "firm"}, "gate is 'firm': choose soft, hard"),
        ({"threshold": -1e-9}, "a threshold is negative or not finite"),
        ({"threshold": torch.tensor([1.0, torch.inf])}, "a threshold is negative or not finite"),
    ],
)
def test_settings_that_there_are_not_are_refused(options, message):
    for draw in (features, stream_features):
        with pytest.raises(InputError, match=message):
            draw(**{"threshold": 1.0, "n": 10} | options)
    assert features(0.0, d=1, n=1).x.shape == (1, 1)


def test_invalid_strengths_are_0_and_counted_over_all_draws():
    own = inverse_cdf(lambda p: torch.where((p > 0.3) & (p < 0.31), -1.0, p), (), torch.device("cpu"))
    drawn = [own(torch.tensor(p, dtype=torch.float64)).tolist() for p in ((0.305, 0.5), (0.301, 0.306))]
    assert drawn == [[0, 0.5], [0, 0]]
    with pytest.raises(InputError, match="gave 3 strengths that are negative or not finite"):
        own.refuse_invalid()


def test_a_strength_at_the_threshold_does_not_pass():
    for gate, passed in (("soft", [0.0, 0.5]), ("hard", [0.0, 1.5])):
        for strength, left in zip((1.0, 1.5), passed, strict=True):
            x, x_hat = features(1.0, gate, d=1, distribution=lambda p, strength=strength: torch.full_like(p, strength))
            assert (x.item(), x_hat.item()) == (strength, left)


def test_a_grid_of_two_axes_keeps_its_shape_and_its_tokens():
    """Thresholds 0 and 1 by strengths of three distributions: the last axis of all is the feature, before it tokens."""
    scale = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)[:, None]
    thresholds = torch.tensor([[0.0], [1.0]]).expand(2, 3)
    x, x_hat = features(thresholds, "hard", d=4, n=5, distribution=lambda p: scale * (1 + p))
    assert x.shape == (2, 3, 5, 4)
    for k in range(3):
        assert ((x[:, k] > k + 1) & (x[:, k] < 2 * (k + 1))).all()
    assert torch.equal(x, x_hat)
