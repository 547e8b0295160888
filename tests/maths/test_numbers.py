"""A derivation shows the numbers of its symbols where its conditions decide them, and no number elsewhere."""

import pytest
from sympy import Eq, Symbol, exp, log, sin

from sandbox.maths.derivations.numbers import InNumbers
from sandbox.maths.proof.derivation import Derivation, Proof
from sandbox.maths.symbols import a, b, c, r

k, u = Symbol("k", real=True), Symbol("u", real=True)

TIES = {  # a condition, and what the step k = k shows where a = 1, b = 0.49 and c = 0.35
    "a factor": (Eq(c, b * k), ["0.7143 = 0.7143"]),
    "a summand": (Eq(b, a - exp(k)), ["−0.6733 = −0.6733"]),
    "a logarithm": (Eq(c, log(k)), ["1.419 = 1.419"]),
    "an exact solution that takes SymPy minutes": (Eq(c, exp(k) + k), ["−0.3528 = −0.3528"]),
    "two solutions": (Eq(b, a * k**2), []),
    "no real solution": (Eq(c, -exp(k)), []),
    "no solution that SymPy finds": (Eq(c, sin(k) + k), []),
    "a second unknown": (Eq(c, k + u), []),
    "a ratio": (Eq(c, r * k), []),
}


@pytest.mark.parametrize("name", TIES)
def test_a_symbol_tied_to_the_moments_has_its_number_if_there_is_one(name):
    condition, shown = TIES[name]
    proof = Proof()
    proof.step("A tie.", k, "=", k, where=(condition, k > 0) if condition.rhs.has(log) else (condition,))
    derivation = Derivation("", "own", "", (), tuple(proof.steps))
    numbers = InNumbers.at(derivation, (1.0, 0.49, 0.35)).numbers
    assert [chain for _, chain in numbers] == shown
