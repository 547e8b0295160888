"""Change one sign, factor or exponent anywhere in a derivation, and it refuses to build, or says the same as before."""

import pytest
from sympy import Integer, Symbol, sqrt

from sandbox.maths.derivations import Derivation, Step, claims, prove
from sandbox.maths.proof.mutants import changed, mutate
from sandbox.maths.symbols import Expect, a, b, c, s, x, x_hat

LONG = {"C9", "C16", "C22"}
"""Claims whose mutants take SymPy long."""


@pytest.mark.parametrize(
    "number",
    [pytest.param(one.number, marks=[pytest.mark.slow] * (one.number in LONG)) for one in claims()],
)
def test_every_mutant_is_refused_or_equivalent(number):
    mutants = mutate(prove(number))
    assert mutants.refused > 20
    assert not mutants.surviving, str(mutants)
    assert mutants.share == 1
    assert mutants.equivalent < mutants.refused / 4, "a derivation of tautologies would have many"


def test_signs_factors_and_exponents_are_changed_everywhere():
    u = Symbol("u", real=True)
    terms = set(changed(2 * u**3 + 1))
    assert {-2 * u**3 + 1, 4 * u**3 + 1, 2 * u**3 + 2, 2 * u**4 + 1, 2 * u**6 + 1, 2 / u**3 + 1} <= terms
    assert {-2 * u**3 - 1, (2 * u**3 + 1) ** 2, 3 * u**3 + 1, 2 * u**3 - 1} <= terms
    assert {Expect(x_hat + s * x), Expect(x_hat - 2 * s * x), Expect(x_hat - s**2 * x)} <= set(
        changed(Expect(x_hat - s * x))
    )


def test_a_step_that_leaves_something_open_has_survivors():
    """The test of the test: an inequality that nothing ties down, and a zero that any multiple shares."""
    loose = Step("Loose.", a + b, ">", 0)
    idle = Step("Idle.", sqrt(b) * (c - c), "=", Integer(0))
    found = mutate(Derivation("C0", "loose", "A claim.", (), (loose, idle)))
    assert found.surviving
    assert found.share < 1
    assert "Loose. a + b ► 2*a + b" in str(found) or "Loose. a + b ► a + 2*b" in str(found)
