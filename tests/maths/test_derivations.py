"""A derivation that exists has been proven; a step that does not hold raises and names itself."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from sympy import (
    Derivative,
    Eq,
    Function,
    I,
    Integral,
    Limit,
    Ne,
    Order,
    Rational,
    Symbol,
    cos,
    exp,
    log,
    oo,
    simplify,
    sin,
    sqrt,
    tan,
    zoo,
)

from sandbox.maths.derivations import Step, StepError, claims, prove
from sandbox.maths.proof.conditions import Conditions
from sandbox.maths.proof.derivation import Derivation, Proof
from sandbox.maths.proof.sentence import chain_in_a_line
from sandbox.maths.proof.typeset import step_markdown, step_text
from sandbox.maths.symbols import Expect, a, b, c, n, r, rho, s, x, x_hat


@pytest.mark.parametrize("number", [one.number for one in claims()])
def test_every_claim_is_derived_and_shown(number):
    derivation = prove(number)
    assert derivation.steps
    assert derivation is prove(derivation.name)
    assert derivation.text.startswith(f"{number}  ")
    assert str(derivation) == repr(derivation) == derivation.text
    markdown = derivation._repr_markdown_()
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    equations = sum(max(1, len([sign for sign in step.signs if sign in ("=", ":=")])) for step in derivation.steps)
    assert len(rows) == 2 + equations
    assert all(row.count("|") == 4 for row in rows), "a bar in the mathematics would end a cell"
    assert all(row.count("$") % 2 == 0 for row in rows)
    for step in derivation.steps:
        assert step.reason in derivation.text
        assert step.reason in markdown
    assert max(map(len, derivation.text.splitlines())) <= 150


def test_the_scales_come_from_random_vectors_of_symbolic_dimension():
    assert x.shape == x_hat.shape == (n, 1)
    assert n.is_Symbol
    definition, expansion, *_ = prove("C1").steps
    assert definition.terms[1] == Expect(x_hat - s * x)
    assert expansion.terms[0] == definition.terms[0]
    assert expansion.terms[-1].free_symbols == {a, b, c, s}


@pytest.mark.parametrize(("number", "edges"), [("C1", "a = 0"), ("C2", "b = 0"), ("C6", "c = 0")])
def test_a_best_scale_is_shown_to_be_the_minimum_and_names_its_edge_case(number, edges):
    steps = prove(number).steps
    curvature = [step for step in steps if step.terms[0].has(Derivative) and ">" in step.signs]
    assert curvature
    assert curvature[0].terms[-1] == 0
    assert any("no other scale" in step.reason.lower() and "≥" in step.signs for step in steps)
    assert any(f"Edge case {edges}" in step.reason for step in steps)
    assert "Given a > 0, b > 0\n" in prove(number).text
    assert "c is real, of either sign" in prove(number).text


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
    assert "(c > 0)" in step_text(step)
    assert "$c > 0$" in step_markdown(step)
    with pytest.raises(StepError):
        Step("The root of a square.", sqrt(c**2), "=", c)


FALSE_OR_OPEN = {
    "a square of a multiple that may be imaginary": lambda u: Step("S.", c * a, "=", Expect(sqrt(c) * x), "≥", 0),
    "a square of an imaginary name": lambda u: Step("S.", -a, "=", Expect(s * x), "≥", 0, names={s: I}),
    "a series from one side only": lambda u: Step("S.", 1 + exp(-1 / u), "=", 1 + Order(u**3)),
    "a series that is no polynomial": lambda u: Step("S.", sqrt(u), "=", sqrt(u) + Order(u**3)),
    "a divisor inside an integral": lambda u: Step("S.", Integral(1 / (c * u), (u, 1, 2)) * c, "=", log(2)),
    "a divisor inside a limit": lambda u: Step("S.", Limit(u / c, u, 0) * c, "=", 0),
    "a limit that depends on a sign": lambda u: Step("S.", Limit(exp(-c * u), u, oo), "=", 0),
    "a tangent at 90°": lambda u: Step("S.", tan(u), "=", sin(u) / cos(u)),
    "a logarithm of what may be negative": lambda u: Step("S.", log(c) + 1, "=", 1 + log(c)),
    "infinity itself": lambda u: Step("S.", zoo, "=", zoo),
}


@pytest.mark.parametrize("name", FALSE_OR_OPEN)
def test_what_does_not_hold_everywhere_is_refused(name):
    with pytest.raises(StepError):
        FALSE_OR_OPEN[name](Symbol("u", real=True))


@pytest.mark.parametrize("where", [(Eq(a, -3),), (Eq(c, 2 * a), Eq(b, a)), (c > 0, c < 0), (c > 1, c < 0)])
def test_conditions_that_never_hold_together_are_a_mistake_of_the_author(where):
    with pytest.raises(TypeError, match=r"never hold together|cannot use"):
        Step("S.", Expect(x), "=", a, where=where)


def test_a_step_that_is_no_chain_is_a_mistake_of_the_author():
    with pytest.raises(TypeError, match="terms and relations in turn"):
        Step("S.", a, "<", b)


def test_expectation_is_expanded_by_linearity_and_named():
    assert Expect(x_hat / s - x).doit() == a - 2 * c / s + b / s**2
    assert str(Expect(x_hat - s * x)) == "E‖x̂ - s·x‖²"
    assert str(Expect(x, x_hat)) == "E[x·x̂]"


def test_a_condition_is_substituted_and_says_no_less_and_no_more():
    given = Conditions((b > 0, c > 0, 2 * c - b > 0))
    assert given.apply(2 * c - b).is_positive
    assert given.apply(c).is_positive
    assert given.apply(c - b).is_positive is None
    between = Conditions((s > 0, 2 - s > 0))
    assert between.apply(s).is_positive
    assert simplify(between.apply(2 - s)).is_positive
    assert Conditions((a > 0, b > 0, a * b - c**2 >= 0)).apply(a * b - c**2).expand().is_nonnegative
    assert Conditions((Eq(c, b),)).apply(c - b) == 0
    assert Conditions((Ne(c, 0),)).apply(c).is_nonzero
    with pytest.raises(TypeError, match="linear"):
        Conditions((s**2 - 2 > 0,))


def test_a_name_whose_sign_cannot_be_substituted_is_any_number_of_that_sign():
    over = Symbol("w", real=True)
    setting = {"names": {over: a * b - c**2}, "where": (b - a > 0, over >= 0)}
    Step("S.", b**2 - c**2, "=", b * (b - a) + over, ">", 0, **setting)
    for false in (over - b, over + a - b, b * (b - a) - over):
        with pytest.raises(StepError):
            Step("S.", false, "≥", 0, **setting)
    with pytest.raises(TypeError, match="never hold together"):
        Step("S.", over + b, ">", 0, **setting | {"where": (Eq(c, b), b - a > 0, over >= 0)})


def test_a_name_varies_with_what_it_stands_for():
    over, slope = Symbol("w", real=True), Symbol("t", real=True)
    names, where = {over: a * b - c**2}, (b - a > 0, over >= 0)
    falling = -Derivative(over / a, a)  # −c²/a²; w/a² if w stayed as it is
    with pytest.raises(StepError, match="does not hold"):
        Step("S.", falling, "≥", 0, names=names, where=where)
    with pytest.raises(StepError, match="does not hold"):
        Step("S.", slope, "≥", 0, names=names | {slope: falling}, where=where)


def test_conditions_hold_together_whatever_the_moments_that_they_are_not_about():
    Step("S.", c - b, "≥", 0, where=(c > 0, 2 * c - b > 0, c - b > 0))  # 40 points, few with room for so small an a


@pytest.mark.parametrize(
    ("left", "right"),
    [((c**2 - 1) / (c - 1), c + 1), (sqrt(c) ** 3, c * sqrt(c)), ((a - b) / (a**2 - b**2), 1 / (a + b))],
)
def test_a_step_neither_divides_by_what_may_be_0_nor_takes_roots_of_what_may_be_negative(left, right):
    with pytest.raises(StepError, match="needs"):
        Step("S.", left, "=", right)
    Step("S.", left, "=", right, where=(c - 1 > 0, a - b > 0))


def test_a_wrong_step_says_where_it_fails():
    with pytest.raises(StepError, match=r"fails at c = ") as wrong:
        Step("S.", c**2, "=", 2 * c)
    assert wrong.value.at


def test_a_result_is_a_term_of_a_step():
    step = Step("S.", 2 * c, "=", c + c)
    assert Derivation("C0", "none", "A claim.", (), (step,), {"twice": 2 * c}).results["twice"] == 2 * c
    with pytest.raises(StepError, match="is not a term of any of its steps"):
        Derivation("C0", "none", "A claim.", (), (step,), {"thrice": 3 * c})


@pytest.mark.parametrize("number", [one.number for one in claims()])
def test_a_changed_result_is_refused(number):
    proven = prove(number)
    for key, result in proven.results.items():
        for changed in {-result, 2 * result, result**2} - {result}:
            if changed not in {term for step in proven.steps for term in step.terms}:
                with pytest.raises(StepError):
                    replace(proven, results={key: changed})


@pytest.mark.parametrize("number", [one.number for one in claims()])
def test_a_claim_says_in_symbols_what_one_of_its_steps_states(number):
    proven = prove(number)
    assert proven.statements
    for chain in proven.statements:
        text = chain_in_a_line(chain)
        assert text in proven.claim
        for other in (f"{text} + 1", text.translate({ord("="): ">", ord(">"): "="})):
            with pytest.raises(StepError, match="its claim is not what its steps show"):
                replace(proven, claim=proven.claim.replace(text, other))
        wrong = (*chain[:-1], chain[-1] + 1)
        with pytest.raises(StepError, match="none of its steps shows"):
            replace(proven, claim=f"{proven.claim} {chain_in_a_line(wrong)}", statements=(wrong,))
    with pytest.raises(StepError, match="which no step has shown"):
        replace(proven, statements=())


def test_a_claim_says_under_which_conditions_its_step_holds():
    step = Step("The root of a square.", sqrt(c**2), "=", c, where=(c > 0,))
    said = ((sqrt(c**2), "=", c),)
    assert chain_in_a_line(said[0]) == "|c| = c"
    assert Derivation("C0", "none", "Where c > 0, |c| = c.", (), (step,), {}, said).statements == said
    with pytest.raises(StepError, match="but not where: c > 0"):
        Derivation("C0", "none", "Always |c| = c.", (), (step,), {}, said)
    with pytest.raises(StepError, match="does not say"):
        Derivation("C0", "none", "Something else.", (), (step,), {}, said)


def test_definitions_are_counted_apart():
    u, f = Symbol("u", real=True), Function("f")
    proof = Proof()
    proof.let("A name.", u, b / a)
    proof.let("A function.", f(s), s**2)
    proof.step("A step.", f(u), "=", b**2 / a**2)
    shown = Derivation("", "own", "A claim.", (), tuple(proof.steps))
    assert shown.text.endswith("∎ One step, checked by SymPy, and 2 definitions.")
    assert "∎ One step, checked by SymPy, and 2 definitions." in shown._repr_markdown_()
    assert prove("C1").text.endswith("∎ 6 steps, each checked by SymPy, and 1 definition.")
    assert prove("C11").text.endswith("∎ 3 steps, each checked by SymPy.")


def test_what_is_assumed_of_a_symbol_is_shown():
    """Hypotheses stand on the page, as conditions of the claim or of its steps."""
    for number, conditions in {"C6": "s ≠ 0", "C13": "l > 0", "C15": "N > 0", "C16": "t > 0", "C17": "λ > 0"}.items():
        assert conditions in prove(number).text, number


def test_series_and_limits_are_checked():
    u = Symbol("u", real=True)
    Step("A series.", sqrt(1 + u), "=", 1 + u / 2 + Order(u**2))
    Step("A limit.", Limit(sin(u) / u, u, 0), "=", 1)
    for wrong in (1 - u / 2 + Order(u**2), 1 + u / 2 + Order(u**3), Order(u), Order(1)):
        with pytest.raises(StepError):
            Step("A series.", sqrt(1 + u), "=", wrong)
    with pytest.raises(StepError):
        Step("A limit.", Limit(sin(u) / u, u, 0), "=", 2)
    with pytest.raises(StepError):
        Step("A limit.", Limit(1 / u, u, 0, "+"), "=", -oo)


def test_a_name_holds_from_where_it_is_given():
    u, f = Symbol("u", real=True), Function("f")
    proof = Proof()
    proof.let("A name.", u, b / a)
    proof.let("A function that uses it.", f(s), u * s)
    proof.step("Both at work.", f(a), "=", b)
    with pytest.raises(StepError):
        proof.step("Not this.", f(a), "=", a)
    assert len(proof.steps) == 3
    with pytest.raises(TypeError, match="must define a new name"):
        proof.let("No name.", u + 1, b)
    with pytest.raises(TypeError, match="must define a new name"):
        proof.let("In terms of itself.", s, s + 1)


def test_a_terminal_that_has_ascii_alone_changes_no_derivation():
    """SymPy asks standard output whether to write ρ or rho; the claims' sentences have ρ."""
    program = "from sandbox import prove; print(ascii(str(prove('C1'))))"
    settings = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    ran = subprocess.run([sys.executable, "-c", program], env=settings, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == ascii(str(prove("C1"))), ran.stderr[-500:]


def test_conditions_stand_at_the_end_of_a_chain_that_is_broken():
    wide = sum(Symbol(f"u{i}", real=True) for i in range(30))
    step = Step("Long.", wide, "=", wide, where=(c > 0,))
    first, *_, last = step_text(step).splitlines()
    assert "(c > 0)" in last
    assert "(c > 0)" not in first
