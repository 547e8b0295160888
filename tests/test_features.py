"""Thresholded features give the closed forms of C17 and C18, with intervals that are honest for every setting."""

import pytest
import torch

from sandbox.compile import evaluate
from sandbox.errors import InputError
from sandbox.features import GATES, features, stream_features
from sandbox.measures import REGISTRY
from sandbox.report import interval
from sandbox.theory import against_theory, behind_a_threshold

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


BAD = {
    "negative threshold": ({"threshold": -1.0}, "threshold is negative"),
    "one of a grid": ({"threshold": torch.tensor([1.0, -1e-9])}, "threshold is negative"),
    "nan threshold": ({"threshold": float("nan")}, "negative or not finite"),
    "infinite threshold": ({"threshold": float("inf")}, "negative or not finite"),
    "unknown gate": ({"gate": "sigmoid"}, "gate is 'sigmoid': choose soft, hard"),
    "no features": ({"d": 0}, "d is 0: at least one feature"),
    "no tokens": ({"n": 0}, "n is 0: at least one token"),
    "device": ({"device": "tpu"}, "choose auto, cpu, cuda or mps"),
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
