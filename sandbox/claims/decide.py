"""Deciding a formula: Z3 says which, exact vectors refute, and SymPy's steps stand in where Z3 has no answer."""

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

SEARCHED = "No vectors among some hundred of small numbers refute it."


class Decision(NamedTuple):
    """What is found of one formula.

    Attributes:
        verdict: "true", "false", "undefined" (nowhere defined) or "undecided"
        by:      "Z3" or "SymPy"
        pair:    vectors at which it fails
        notes:   what else there is to say; what has been tried, where it is undecided
    """

    verdict: str
    by: str = ""
    pair: Pair | None = None
    notes: tuple[str, ...] = ()


VACUOUS = "No vectors meet its condition, so it says nothing."


def decide(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Decision:
    """Whether a formula holds wherever it is defined.

    Raises: Undecidable, where time runs out
    """
    answer = ask(formula, about, free)
    if answer.kind == "true":
        return Decision("true", "Z3", notes=(VACUOUS,) if answer.vacuous else ())
    if answer.kind == "undefined":
        return Decision("undefined", "Z3")
    if pair := refuting_pair(formula, about, free):
        return Decision("false", "Z3" if answer.points else "SymPy", pair)
    for point in answer.points:
        if pair := first_failing(formula, list(near(pair_of(point, about, free)))):
            return Decision("false", "Z3", pair)
    for point in chain(simpler(formula, about, free) if answer.points else (), answer.points):
        if truth(formula, point) is False:
            return Decision("false", "Z3", pair_of(point, about, free))
    notes = [
        f"{answer.why}." if answer.why else "Z3 found numbers at which it may fail, but SymPy cannot confirm them."
    ]
    notes.append(SEARCHED)
    try:
        if proves(formula):
            return Decision("true", "SymPy", notes=(notes[0],))
        notes.append("SymPy finds no steps that prove it.")
    except Undecidable as trouble:
        notes.append(f"SymPy: {trouble}.")
    except SYMPY_FAILURES as stumble:
        notes.append(f"SymPy cannot work with it ({type(stumble).__name__}).")
    return Decision("undecided", notes=tuple(notes))
