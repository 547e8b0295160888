"""Decide a formula: Z3 gives a verdict, exact vectors refute, and steps checked by SymPy decide what Z3 cannot."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from sympy import Symbol

from sandbox.claims.language import Formula
from sandbox.claims.limit import SYMPY_FAILURES, Undecidable
from sandbox.claims.proving import proves
from sandbox.claims.search import first_failing, near, refuting_pair
from sandbox.claims.solver import ask, simpler
from sandbox.claims.vectors import Pair, pair_of, truth

SEARCHED = "None of several hundred simple vectors refutes it."
VACUOUS = "No vectors meet its condition, so it says nothing."


class Decision(NamedTuple):
    """What was decided about one formula.

    Attributes:
        verdict: "true", "false", "undefined" (defined nowhere) or "undecided"
        by:      "Z3" or "SymPy"
        pair:    vectors at which it fails
        notes:   remarks for the reader; where it is undecided, what was tried
    """

    verdict: str
    by: str = ""
    pair: Pair | None = None
    notes: tuple[str, ...] = ()


def decide(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Decision:
    """Whether a formula holds wherever it is defined.

    Raises: Undecidable if time runs out
    """
    answer = ask(formula, about, free)
    if answer.kind == "true":
        return Decision("true", "Z3", notes=(VACUOUS,) if answer.vacuous else ())
    if answer.kind == "undefined":
        return Decision("undefined", "Z3")
    if pair := refuting_pair(formula, about, free):
        return Decision("false", "Z3" if answer.point else "SymPy", pair)
    if answer.point:
        if pair := first_failing(formula, list(near(pair_of(answer.point, about, free)))):
            return Decision("false", "Z3", pair)
        for point in chain(simpler(formula, about, free), [answer.point]):
            if truth(formula, point) is False:
                return Decision("false", "Z3", pair_of(point, about, free))
    why = f"{answer.why}." if answer.why else "Z3 found numbers at which it may fail, but SymPy cannot confirm them."
    try:
        if proves(formula):
            return Decision("true", "SymPy", notes=(why,))
        sympy = "SymPy finds no steps that prove it."
    except Undecidable as trouble:
        sympy = f"SymPy: {trouble}."
    except SYMPY_FAILURES as failure:
        sympy = f"SymPy cannot work with it ({type(failure).__name__})."
    return Decision("undecided", notes=(why, SEARCHED, sympy))
