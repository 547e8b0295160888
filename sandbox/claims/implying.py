"""Steps that prove "if …, then …": what the premises leave over, and Cauchy–Schwarz, make up the conclusion.

A premise u > v names what is left over, t = u − v > 0; Cauchy–Schwarz names s = ab − c² ≥ 0. Where the difference of
the conclusion's sides, written in these and in moments that are positive, subtracts nothing, its sign is plain.
"""

# SymPy annotates the keys of subs invariantly, and the sides of relations loosely.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, permutations, product

from sympy import Add, Eq, Expr, Ge, Gt, Poly, PolynomialError, Rel, Symbol, cancel, fraction, together

from sandbox.claims.language import Statement
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.proof.step import StepError
from sandbox.maths.symbols import GIVEN, a, b, c

NOT_SO = (StepError, TypeError, PolynomialError, ZeroDivisionError)
"""What a strategy raises if a statement cannot be proved in its way."""

SLACK = Symbol("s", real=True)
SIGNS = {">": Gt, "≥": Ge}
MOST = 2
"""How many of the premises a proof may use: with more, a reader loses the thread."""

SQUARED = {1: "", 2: ", as their squares"}


def imply(proof: Proof, premises: Sequence[Statement], conclusion: Statement) -> Proof | None:
    """The proof, in which all measures are named, with the steps from premises to a conclusion; None if none do."""
    needs = dict.fromkeys(Gt(need, 0) for each in (*premises, conclusion) for need in each.positive)
    where = tuple(need for need in needs if need not in GIVEN)
    used = chain.from_iterable(combinations(premises, count) for count in range(1, MOST + 1))
    for some, power in product(used, SQUARED):
        attempt = proof.copy()
        try:
            known = [_left_over(attempt, one, where, name) for one, name in zip(some, _names(len(some)), strict=True)]
            _conclude(attempt, conclusion, power, where, known)
        except NOT_SO:
            continue
        return attempt
    return None


def _names(count: int) -> list[Symbol]:
    return [Symbol(name, real=True) for name in (["t"] if count == 1 else [f"t_{i}" for i in range(1, count + 1)])]


def _left_over(proof: Proof, premise: Statement, where: tuple[Rel, ...], name: Symbol) -> Rel:
    """Name what a premise leaves over, times what is positive; or the equation that it comes to."""
    for power in SQUARED:
        attempt = proof.copy()
        try:
            over = _difference(attempt, premise, power, where, "The premise")
        except NOT_SO:
            continue
        proof.follow(attempt)
        if premise.sign in SIGNS:
            proof.let("By the premise, this is left over.", name, over)
            return SIGNS[premise.sign](name, 0)
        if premise.sign == "=":
            for moment in (c, b, a):
                if over.is_polynomial(moment) and Poly(over, moment).degree() == 1:
                    return Eq(moment, _solved(over, moment))
    raise StepError("the premise says nothing simple about the moments")


def _difference(proof: Proof, statement: Statement, power: int, where: tuple[Rel, ...], what: str) -> Expr:
    """The numerator, over a positive denominator, of the difference of the sides' powers."""
    gap = statement.left**power - statement.right**power
    over, under = fraction(cancel(together(proof.value(gap))))
    if under.subs({a: 1, b: 1, c: 1}).is_negative:
        over, under = -over, -under
    if not (over.is_polynomial(a, b, c) and {a, b, c}.issuperset(over.free_symbols | under.free_symbols)):
        raise StepError("the difference is no quotient of polynomials in the moments")
    for side in (statement.left, statement.right) if power == 2 else ():
        if not side.is_number:
            proof.step("This side is not negative.", side, "≥", 0, where=where)
        elif side.is_negative:
            raise StepError("squares do not keep the order of negative numbers")
    proof.step(f"{what} compares its two sides{SQUARED[power]}.", gap, "=", over / under, where=where)
    return over


def _conclude(proof: Proof, conclusion: Statement, power: int, where: tuple[Rel, ...], known: Sequence[Rel]) -> None:
    equations = tuple(each for each in known if isinstance(each, Eq))
    if conclusion.sign == "=":
        proof.step("Then both sides are the same.", conclusion.left, "=", conclusion.right, where=(*where, *equations))
        return
    over = _difference(proof, conclusion, power, where, "The conclusion")
    form, uses_slack = next(_forms(proof, over, known), (None, False))
    if form is None or conclusion.sign not in SIGNS:
        raise StepError("something is still subtracted")
    signs = [each for each in known if not isinstance(each, Eq)]
    if uses_slack:
        proof.let("By Cauchy–Schwarz (C3), this is not negative.", SLACK, a * b - c**2)
        signs.append(Ge(SLACK, 0))
    words = "In these terms, nothing is subtracted."
    proof.step(words, over, "=", form, conclusion.sign, 0, where=(*where, *equations, *signs))


def _forms(proof: Proof, over: Expr, known: Sequence[Rel]) -> Iterator[tuple[Expr, bool]]:
    """The numerator in what is left over, where that has no minus; and whether it uses Cauchy–Schwarz."""
    solved = [(each.lhs, each.rhs) for each in known if isinstance(each, Eq)]
    named = [each.lhs for each in known if not isinstance(each, Eq)]
    for moments, slack in product(permutations((c, a, b), len(named)), (None, a, b, c)):
        if slack in (*moments, *(moment for moment, _ in solved)):
            continue
        replaced = list(solved)
        try:
            for name, moment in zip(named, moments, strict=True):
                replaced.append((moment, _solved(_replaced(proof.names[name] - name, replaced), moment)))
            top, bottom = fraction(cancel(together(_with_slack(_replaced(over, replaced), slack, replaced))))
            if all(k > 0 for part in (top, bottom) for k in _coefficients(part)):
                yield top / bottom, slack is not None
        except NOT_SO:
            continue


def _with_slack(term: Expr, moment: Symbol | None, replaced: Sequence[tuple[Expr, Expr]]) -> Expr:
    """The term with this moment out of c² = ab − s."""
    if moment is None:
        return term
    if moment == c:
        even = Poly(term, c)
        if any(power % 2 for (power,) in even.monoms()):
            raise StepError("an odd power of c remains")
        square = _replaced(a * b, replaced) - SLACK
        return Add(*(k * square ** (power // 2) for (power,), k in even.terms()))
    other = b if moment == a else a
    return term.subs(moment, _replaced((SLACK + c**2) / other, replaced))


def _coefficients(term: Expr) -> list[Expr]:
    return Poly(term, *sorted(term.free_symbols, key=str)).coeffs() if term.free_symbols else [term]


def _solved(gap: Expr, moment: Symbol) -> Expr:
    line = Poly(gap, moment)
    if line.degree() != 1:
        raise StepError("not linear")
    return cancel(-line.coeff_monomial(1) / line.coeff_monomial(moment))


def _replaced(term: Expr, replaced: Sequence[tuple[Expr, Expr]]) -> Expr:
    for moment, value in replaced:
        term = term.subs(moment, value)
    return term
