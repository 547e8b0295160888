"""The CUDA path on a machine without CUDA: same numbers as the CPU, one device, and no wait per batch.

`tests.pretend` simulates the device. test_gpu.py and `benchmarks.gpu` test what needs a real card.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter

import pytest
import torch

from sandbox import simulate
from sandbox.measuring import one_pass as stream_module
from sandbox.measuring.totals import Totals
from sandbox.moments import moments, totalling
from tests.pretend import Pretended, pretend_cuda
from tests.pretend.scenarios import SCENARIOS, TRAINING, Scenario, numbers

with warnings.catch_warnings():  # SAELens' own imports may warn
    warnings.simplefilter("ignore")
    import sae_lens  # noqa: F401

FEW, MANY = 1, 3  # batches
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}  # with few active latents, the CPU decodes with other products

WAITS = {
    # before the run
    "sandbox/system/devices.py:device_named": "a device is tried with one number",
    "sandbox/measuring/forward.py:__init__": "weights are copied to the device",
    "transformers/modeling_utils.py:to": "a language model's weights are copied to the device",
    "sandbox/measuring/measure.py:_try_on": "a few tokens are copied to the device",
    "sandbox/measuring/forward.py:try_on": "the finite ones of them are selected",
    "sandbox/measuring/objects.py:refuse_dependence": "a few tokens, one by one, must have the same x̂ as together",
    "sandbox/measuring/forward.py:fingerprint": "a saved run is identified by the SAE's weights",
    "sandbox/measuring/measure.py:_look": "a sample is copied to the device",
    "sandbox/measuring/preflight": "a sample decides whether the run begins",
    "sandbox/simulate/distributions.py:_try_out": "a user-defined distribution is tried out",
    "sandbox/activations/__init__.py:_opened": "document ids on the device are copied to the CPU",
    # at the end
    "sandbox/moments/moments.py:refuse_nonfinite": "non-finite tokens are refused",
    "sandbox/moments/moments.py:refuse_out_of_range": "numbers whose squares exceed float64 are refused",
    "sandbox/simulate/vectors.py:refuse_invalid": "invalid values of a user-defined distribution are refused",
    "sandbox/simulate/distributions.py:refuse_invalid": "invalid strengths of a user-defined distribution are refused",
    "sandbox/measuring/measure.py:_measured": "an empty result is refused",
    "sandbox/measuring/summary.py:summary": "b_dec is copied to the CPU",
    "sandbox/moments/sums.py:<lambda>": "totals are copied to the CPU, once per reading of the activations",
    "sandbox/measuring/readings.py:totals": "the tokens must be those of the previous reading",
    "sandbox/measuring/directions.py:directions": "principal components go to the device, and a count comes back",
    "sandbox/measuring/directions.py:components": "principal components of x are computed, and copied to the CPU",
    "sandbox/measuring/fits.py:per_latent": "rows of W_dec are assembled on the CPU",
    "sandbox/measuring/fits.py:from_l1": "rows of W_dec are assembled on the CPU",
    # at intervals of seconds or steps
    "sandbox/measuring/resume.py:<dictcomp>": "a run is saved",
    "sandbox/training/trainer.py:write": "an SAE is saved or measured during training",
    "sae_lens/saes/sae.py:to": "SAELens copies its weights to the device",
    "sae_lens/saes/jumprelu_sae.py:_apply": "SAELens copies its weights to the device",
    "sae_lens/training/sae_trainer.py:_build_sparsity_log_dict": "SAELens logs once per window of steps",
    "sae_lens/training/sae_trainer.py:_log_feature_sparsity": "SAELens logs once per window of steps",
}
"""Every function or package that waits for the device, and why it must. None does so for every batch."""

ONCE = "sandbox/measuring/preflight/"
"""Runs once, but in a number of input spaces that depends on the sample, and so on the number of batches."""

EACH_STEP = {
    "sae_lens/saes/jumprelu_sae.py:calculate_pre_act_loss": "SAELens asks whether any latent is dead",
    "sae_lens/saes/topk_sae.py:calculate_topk_aux_loss": "SAELens asks whether any latent is dead",
    "transformers/masking_utils.py:_ignore_causal_mask_sdpa": "transformers asks whether a text is padded",
}
"""The functions that wait in every training step, or in every forward pass of a language model: none is ours."""


@pytest.fixture(autouse=True)
def every_batch_is_counted_by_itself(monkeypatch):
    """Else these few tokens would all be counted together, and one wait per count would look like one at the end."""
    monkeypatch.setattr(stream_module, "COUNTED", 1)


def places(log: Pretended) -> Counter[str]:
    """How often each function waited."""
    return Counter(wait.place for wait in log.waits if not wait.place.startswith("tests/"))


def pretended(scenario: Scenario, dtype: torch.dtype, batches: int) -> tuple[dict, Pretended]:
    """A scenario's results on the simulated device, and the log of that device."""
    with pretend_cuda() as log:
        results = dict(numbers(scenario("cuda", dtype, batches)))
    return results, log


def reason(place: str) -> str | None:
    """Why this function may wait; None if it may not."""
    named = (WAITS | EACH_STEP).items()
    return next((why for known, why in named if place == known or place.startswith(f"{known}/")), None)


CASES = [
    *((name, torch.float32) for name in SCENARIOS),
    *(pytest.param(name, torch.bfloat16, marks=pytest.mark.slow) for name in SCENARIOS),
    *(
        pytest.param(name, torch.float32, marks=[pytest.mark.slow] * (name not in ("train gated", "train jumprelu")))
        for name in TRAINING
    ),
]


@pytest.mark.parametrize(("name", "dtype"), CASES, ids=lambda value: str(value).removeprefix("torch."))
def test_the_device_agrees_with_the_cpu_and_the_loop_does_not_wait_for_it(name, dtype):
    scenario = (SCENARIOS | TRAINING)[name]
    _, few = pretended(scenario, dtype, FEW)
    actual, many = pretended(scenario, dtype, MANY)
    assert few.operations  # something ran on the device
    more = {place for place in places(many) - places(few) if not place.startswith(ONCE)}
    assert more <= EACH_STEP.keys(), "a wait for each batch"
    assert not {place for place in places(many) if reason(place) is None}, "a wait without a reason in WAITS"
    expected = dict(numbers(scenario("cpu", dtype, MANY)))
    assert actual.keys() == expected.keys()
    tolerance = TOLERANCE[dtype]
    for key, value in expected.items():
        torch.testing.assert_close(actual[key], value, rtol=tolerance, atol=tolerance, equal_nan=True, msg=key)


@pytest.mark.slow
def test_every_listed_wait_occurs():
    met = set()
    for scenario in (SCENARIOS | TRAINING).values():
        met |= places(pretended(scenario, torch.float32, 1)[1]).keys()
    for known in WAITS | EACH_STEP:
        assert any(place == known or place.startswith(f"{known}/") for place in met), f"{known} no longer waits"


FAULTS = {
    "an index that stays on the CPU": ("sent(group, x.device)", "torch.from_numpy(group)"),
    "a number that is read": ("ok = dots.isfinite().all(1)", "ok = dots.isfinite().all(1) | (dots.sum().item() > 0)"),
    "a mask as an index": (
        "finite = torch.where(ok[:, None], dots, 0)",
        "finite = dots.clone(); finite[~ok] = dots[:1]",
    ),
    "a copy that blocks": ("sent(group, x.device)", "torch.from_numpy(group).to(x.device)"),
    "a copy from pageable memory": (
        "sent(group, x.device)",
        "torch.from_numpy(group).to(x.device, non_blocking=True)",
    ),
}
"""Faults planted in a copy of `total_on_device`: the original text and its replacement."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault, monkeypatch):
    source = inspect.getsource(totalling.total_on_device)
    before, after = FAULTS[fault]
    assert source.count(before) == 1
    namespace = dict(vars(totalling))
    exec(source.replace(before, after), namespace)
    monkeypatch.setattr(totalling, "total_on_device", namespace["total_on_device"])
    if "CPU" in fault:
        with pytest.raises(RuntimeError, match="on the same device"):
            pretended(SCENARIOS["moments"], torch.float32, FEW)
        return
    few, many = (places(pretended(SCENARIOS["moments"], torch.float32, batches)[1]) for batches in (FEW, MANY))
    assert many - few


@pytest.mark.parametrize("name", ["measure relu", "measure what is there already", "measure two from a file"])
def test_one_wait_per_count_is_caught(name, monkeypatch):
    count = Totals.of

    def waiting(*args):
        totals = count(*args)
        totals.moments.refuse_nonfinite()
        return totals

    monkeypatch.setattr(Totals, "of", waiting)
    few, many = (places(pretended(SCENARIOS[name], torch.float32, batches)[1]) for batches in (FEW, MANY))
    assert many - few


@pytest.mark.parametrize("n", [100, 500])
def test_a_small_simulation_has_as_many_clusters_on_the_device(n):
    here = simulate.stream(1.0, n=n)
    with pretend_cuda():
        there = simulate.stream(1.0, n=n, device="cuda").to("cpu")
    assert there.clusters == here.clusters == 32


def on_device(*shape: int, **options):
    """A tensor of ones on the device."""
    return torch.ones(*shape, device="cuda", **options)


REFUSED = {
    "a product of whole numbers": lambda: on_device(2, 2, dtype=torch.int64) @ on_device(2, 2, dtype=torch.int64),
    "a generator of the CPU": lambda: torch.randn(3, device="cuda", generator=torch.Generator()),
    "a generator of the CPU, in place": lambda: on_device(3).normal_(generator=torch.Generator()),
    "a sum into a number of the CPU": lambda: torch.zeros(()).add_(on_device(1)[0]),
    "a stack with a number of the CPU": lambda: torch.stack([on_device(1)[0], torch.ones(())]),
    "two devices": lambda: on_device(3) + torch.ones(3),
}
"""Operations that CUDA refuses, and that the simulated device must refuse, too."""


@pytest.mark.parametrize("what", REFUSED)
def test_what_cuda_refuses_is_refused(what):
    with pretend_cuda(), pytest.raises(RuntimeError, match=r"same device|for generator|not implemented"):
        REFUSED[what]()


WAITING = {
    "number": lambda x: x.sum().item(),
    "truth": lambda x: bool((x > 0).any()),
    "mask": lambda x: x[x > 0],
    "mask that is set to a number of the device": lambda x: x.__setitem__(x > 0, x[0]),
    "index of the CPU": lambda x: x[torch.tensor([1, 2])],
    "copy": lambda x: x.cpu(),
    "list": lambda x: x.tolist(),
    "print": lambda x: str(x),
    "inverse": lambda x: torch.linalg.inv(torch.eye(3, device=x.device)),
    "solution": lambda x: torch.linalg.solve(torch.eye(3, device=x.device), x),
    "eigenvalues": lambda x: torch.linalg.eigh(torch.eye(3, device=x.device)),
    "distinct": lambda x: x.unique(),
    "pageable copy": lambda x: torch.ones(3).to(x.device, non_blocking=True),
    "question": lambda x: torch.cuda.synchronize(),
}
"""Operations that make a program wait for its device."""


@pytest.mark.parametrize("what", WAITING)
def test_what_waits_is_logged(what):
    with pretend_cuda() as log:
        x = torch.arange(3.0, device="cuda")
        assert not log.waits
        WAITING[what](x)
    assert log.waits


def test_what_does_not_wait_is_not_logged():
    with pretend_cuda() as log:
        x = torch.arange(3.0, device="cuda")
        x[x > 1] = 0.0  # a masked fill
        x += torch.tensor(2.0)  # a CPU scalar is passed as an argument
        torch.ones(3).pin_memory().to("cuda", non_blocking=True)
        torch.randn(3, device="cuda", generator=torch.Generator("cuda"))
    assert not log.waits


def test_array_operations_move_many_times_the_bytes_of_both_tensors():
    """Why there is a fused pass: bytes that this path writes and reads again, relative to the size of x and x̂."""
    with pretend_cuda() as log:
        x = torch.randn(4096, 768, device="cuda")
        x_hat = 0.9 * x
        before = log.moved
        moments.Moments.from_pairs(x, x_hat, drop_nonfinite=True)
    assert (log.moved - before) / (2 * x.numel() * 4) > 8


def test_afterwards_there_is_no_device():
    with pretend_cuda():
        assert torch.cuda.is_available()
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError)):
            torch.ones(1, device="cuda")
