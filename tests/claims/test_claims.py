"""What `check` says of claims whose truth is known; and of claims made up at random, by another way of looking."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sympy import Expr, Integer, Symbol

from sandbox import check
from sandbox.claims import decide
from sandbox.claims.language import read_claim
from sandbox.claims.solver import Answer, ask
from sandbox.maths.symbols import a, b, c
from tests.helpers.claims import ADVERSARIAL, EVERY
from tests.helpers.random_claims import made_up, refuted_by_floats, truth_at


@pytest.mark.parametrize(("kind", "claim", "truth"), EVERY, ids=[claim for _, claim, _ in EVERY])
def test_a_claim_gets_its_known_truth(kind, claim, truth):
    verdict = check(claim)
    assert verdict.verdict == truth
    assert (verdict.counterexample is not None) == (truth == "false")
    assert verdict.by == "Z3"


def test_the_suite_is_large_and_all_of_it_is_decided():
    assert len(EVERY) >= 120
    assert len(ADVERSARIAL) >= 40
    assert {truth for _, _, truth in EVERY} == {"true", "false", "undefined"}


LONG = 37  # takes as long as all the others


@pytest.mark.parametrize("seed", [pytest.param(i, marks=[pytest.mark.slow] * (i == LONG)) for i in range(40)])
def test_a_claim_made_up_at_random_gets_no_verdict_that_floating_point_contradicts(seed):
    text = made_up(seed)
    try:
        verdict = check(text)
    except ValueError:
        return  # asked back, such as an angle and a number that is none
    if verdict.verdict in ("true", "undefined"):
        assert refuted_by_floats(text, nowhere_defined=verdict.verdict == "undefined") is None
    elif verdict.verdict == "false":
        assert verdict.counterexample
        moments = verdict.counterexample.moments
        assert truth_at(text, *(float(moments[symbol]) for symbol in (a, b, c))) is not True


@pytest.fixture
def without_z3(monkeypatch):
    monkeypatch.setitem(sys.modules, "z3", None)


@pytest.mark.parametrize(
    ("claim", "verdict"),
    {
        "gamma_10 >= gamma": "true",
        "scale_x * scale_x_hat == cosine**2": "true",
        "rho <= 1": "true",
        "a + b + 1 > 0": "true",
        "c/a * c/b == 1": "false",
        "r < 1 => gamma < 1": "false",
        "gamma1 < gamma2 => c1/a < c2/a": "false",
        "b > 0": "false",
        "gamma < 1 => r < 1": "undecided",
        "a != 7/3": "undecided",
        "sqrt(-1 - a) = 1": "undecided",
    }.items(),
)
def test_without_z3_sympy_decides_what_it_can(without_z3, claim, verdict):
    found = check(claim)
    assert found.verdict == verdict
    assert found.by == ("" if verdict == "undecided" else "SymPy")
    if verdict != "false":
        assert "Z3 is not installed" in str(found)


@pytest.mark.parametrize("step", [27, pytest.param(9, marks=pytest.mark.slow)])
def test_without_z3_nothing_is_wrong(step, without_z3):
    for _, claim, truth in EVERY[::step]:
        assert check(claim).verdict in (truth, "undecided"), claim


def test_z3_is_imported_when_it_is_asked_only():
    program = (
        "import sys; from sandbox import check; print('z3' in sys.modules); check('a >= 0'); print('z3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_numbers_of_z3s_refute_nothing_before_sympy_has_looked(monkeypatch):
    point: dict[Symbol, Expr] = {a: Integer(1), b: Integer(4), c: Integer(1)}
    monkeypatch.setattr(decide, "ask", lambda *_: Answer("false", point))
    assert check("gamma >= r").verdict != "false"
    unsure = check("gamma < 1 => r < 1")
    assert unsure.verdict == "undecided"
    assert "SymPy cannot confirm" in str(unsure)


def test_the_same_question_gets_the_same_answer_in_any_thread():
    claims = [read_claim(text) for text in ("gamma_10 > gamma*(1 + 1e-9)", "a**3 + b**3 != 2", "theta <= 3")]

    def asked(claim):
        return ask(claim.formulas[0], claim.about, claim.free)

    alone = [asked(claim) for claim in claims]
    assert all(answer.point for answer in alone)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert list(threads.map(asked, claims)) == alone


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2c <= a + b", "2*c <= a + b"),
        ("γ₁₀ ≥ γ", "gamma_10 >= gamma"),
        ("gamma10 >= γ", "equation_10_v1 >= relative_reconstruction_bias"),
        ("|rho| <= 1", "abs(rho) <= 1"),
        ("a² ≠ b³", "a**2 != b**3"),
        ("a²³ = 1", "a**23 == 1"),
        ("a⁻² = 1", "a**-2 == 1"),
        ("γ < 1 ⇒ r < 1", "gamma < 1 => r < 1"),
        ("if gamma < 1 then r < 1", "gamma < 1 => r < 1"),
        ("gamma < 1 implies r < 1", "gamma < 1 => r < 1"),
        ("¬(a < 0) ∨ b ≥ 0", "not a < 0 or b >= 0"),
        ("√(a·b) ≥ c", "sqrt(a*b) >= c"),
        ("theta <= 90°", "theta <= pi/2"),
        ("theta <= 90 deg", "theta <= pi/2"),
        ("gamma in (0, 2]", "0 < gamma and gamma <= 2"),
        ("gamma ∈ [1, ∞)", "gamma >= 1"),
        ("‖x̂ − x‖² = L", "norm(x_hat - x)**2 == L"),
        ("||x_hat|| ||x|| >= c", "norm(x_hat)*norm(x) >= c"),
        ("|r||rho| >= 0", "abs(r)*abs(rho) >= 0"),
        ("E[x·x̂] = c", "c == c"),
        ("x̂₁·x = c₁", "c1 == c1"),
        ("γ₁ < γ₂", "gamma_1 < gamma_2"),
        ("cos²(θ) = ρ²", "cos(theta)**2 == rho**2"),
        ("(a + b)(a - b) > 0", "(a + b)*(a - b) > 0"),
        ("2rρ > 0", "2*r*rho > 0"),
        ("-a² < 1", "-(a**2) < 1"),
        ("a**2b > 0", "(a**2)*b > 0"),
        ("∀s: s² >= 0", "for all s: s**2 >= 0"),
        ("a > 0 => b > 0 => c > 0", "a > 0 => (b > 0 => c > 0)"),
        ("a > 0 or b > 0 and c > 0", "a > 0 or (b > 0 and c > 0)"),
    ],
)
def test_spellings_of_the_same_claim_are_the_same(one, other):
    assert_same(read_claim(one).formulas, read_claim(other).formulas)


def assert_same(one, other):
    """The same but for which side a sign was written from."""
    assert str(one).replace("turned=True", "turned=False") == str(other).replace("turned=True", "turned=False")


def test_how_a_claim_is_read_is_said_where_it_may_surprise():
    assert "ab is read as a·b." in check("ab >= c²").notes
    assert "theta is in radians: 3 is 171.9 degrees." in check("theta <= 3").notes
    assert any("one pair" in note for note in check("norm(x) >= 0").notes)
    assert "Defined where c ≠ 0." in check("c/c = 1").notes
    assert any("says nothing" in note for note in check("rho > 2 => r < 1").notes)
    assert "nowhere" in str(check("sqrt(-1 - a) = 1"))


def test_a_joined_claim_shows_which_parts_hold():
    verdict = check("r < 1 => gamma < 1")
    assert "is true" in str(verdict)
    assert "is false" in str(verdict)
    assert [entry["holds"] for entry in verdict.to_dict()["statements"]] == [True, False]


def test_two_saes_and_free_numbers_are_shown():
    verdict = check("for all s: s*c1 <= c2")
    held = json.loads(json.dumps(verdict.to_dict()))
    assert {"x", "x_hat_1", "x_hat_2", "free", "measures_1", "measures_2"} <= set(held)
    assert "x̂₂" in str(verdict)
    assert r"\hat x_2" in verdict._repr_markdown_()
    assert verdict._repr_markdown_().count("| value") == 2
    assert verdict.figure() is not None


@pytest.mark.parametrize(
    "claim", ["scale_x * scale_x_hat == cosine**2", "c/a * c/b == 1", "gamma1 < gamma2", "r < 1 => L < 0"]
)
def test_a_notebook_sees_the_registrys_symbols_and_whole_rows(claim):
    shown = check(claim)._repr_markdown_()
    assert "_hat$" not in shown
    assert "}_hat" not in shown
    assert " \n" not in shown
    assert all(line.endswith("|") for line in shown.splitlines() if line.startswith("|"))
