"""A derivation that exists has been proven; a step that does not hold raises and names itself."""

import pytest
from sympy import Derivative, I, Rational, Symbol, sqrt

from sandbox.derivations import Step, StepError, claims, prove
from sandbox.derivations.symbols import Expect, a, b, c, n, r, rho, s, x, x_hat


@pytest.mark.parametrize("number", [one.number for one in claims()])
def test_every_claim_is_derived_and_shown(number):
    derivation = prove(number)
    assert derivation.steps
    assert derivation is prove(derivation.name)
    assert derivation.text.startswith(f"{number}  ")
    markdown = derivation._repr_markdown_()
    assert markdown.count("$$") == 2
    assert markdown.count("\\\\[4pt]") == len(derivation.steps) - 1
    for step in derivation.steps:
        assert step.reason in derivation.text
        assert step.reason in markdown


def test_the_scales_come_from_random_vectors_of_symbolic_dimension():
    assert x.shape == x_hat.shape == (n, 1)
    assert n.is_Symbol
    first = prove("C1").steps[0]
    assert first.terms[0] == Expect(x_hat - s * x)
    assert first.terms[-1].free_symbols == {a, b, c, s}


@pytest.mark.parametrize(("number", "edges"), [("C1", "a = 0"), ("C2", "b = 0"), ("C6", "c = 0")])
def test_a_best_scale_is_shown_to_be_the_minimum_and_names_its_edge_case(number, edges):
    steps = prove(number).steps
    curvature = [step for step in steps if step.terms[0].has(Derivative) and ">" in step.signs]
    assert curvature
    assert curvature[0].terms[-1] == 0
    assert any("no other scale" in step.reason.lower() and "≥" in step.signs for step in steps)
    assert any(f"Edge case {edges}" in step.reason for step in steps)
    assert "Given a > 0, b > 0." in prove(number).text


WRONG = {
    "a name that is taken to be positive": lambda: Step(
        "S.", Symbol("q", real=True), ">", 0, names={Symbol("q", real=True): b / c}
    ),
    "the square of an imaginary multiple": lambda: Step("S.", Expect(I * x), "≥", 0),
    "a sign": lambda: Step("S.", Expect(x_hat - s * x), "=", b + 2 * s * c + s**2 * a),
    "a factor": lambda: Step("S.", Derivative(b - 2 * s * c + s**2 * a, s), "=", 2 * (a * s - 2 * c)),
    "an exponent": lambda: Step("S.", c / a * c / b, "=", rho**3),
    "a ratio turned over": lambda: Step("S.", c / a, "=", rho / r),
    "an equality that is only an inequality": lambda: Step("S.", Rational(1, 2), "=", 1 / sqrt(3)),
    "an order": lambda: Step("S.", Rational(2, 3), ">", 1),
    "a sign that depends": lambda: Step("S.", c, ">", 0),
    "the slip of equation 10": lambda: Step("S.", sqrt(b / (a - Symbol("L", real=True))), "=", b / c, where=(c > 0,)),
    "a middle link": lambda: Step("S.", 2 * a, "=", 3 * a, ">", 0),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_step_raises_and_names_itself(name):
    with pytest.raises(StepError, match=r"the step 'S\.' does not hold: "):
        WRONG[name]()


def test_conditions_are_used_and_shown():
    step = Step("The root of a square.", sqrt(c**2), "=", c, where=(c > 0,))
    assert "c > 0" in step.text
    assert "c > 0" in step.latex
    with pytest.raises(StepError):
        Step("The root of a square.", sqrt(c**2), "=", c)


def test_a_step_that_is_no_chain_is_a_mistake_of_the_author():
    with pytest.raises(TypeError, match="terms and relations in turn"):
        Step("S.", a, "<", b)


def test_expectation_is_expanded_by_linearity_and_named():
    assert Expect(x_hat / s - x).doit() == a - 2 * c / s + b / s**2
    assert str(Expect(x_hat - s * x)) == "E‖x̂ - s·x‖²"
    assert str(Expect(x, x_hat)) == "E[x·x̂]"
