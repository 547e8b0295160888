"""Limits and integrals that hold for every value of their parameters, and not only for most.

SymPy treats a parameter as generic: it finds that c·u/(c·u + 1) tends to 1 as u grows, even if c is 0. So limits are
taken only of forms in which the parameters are factors of their own, or coefficients whose sign is known.
"""

from __future__ import annotations

from functools import lru_cache

from sympy import (
    Add,
    Dummy,
    Expr,
    Poly,
    PolynomialError,
    S,
    Symbol,
    expand,
    factor,
    fraction,
    integrate,
    limit,
    nan,
    oo,
    powsimp,
    simplify,
    together,
    zoo,
)

from sandbox.maths.proof.deciding import STUMBLES, known
from sandbox.maths.proof.vocabulary import NotUnderstood


@lru_cache(4096)
def limit_at_0(function: Expr, near: Symbol) -> Expr:
    """The limit as the positive `near` goes to 0. Raises NotUnderstood if it is not certain."""
    for form in dict.fromkeys((function, simplify(function), factor(together(function)))):
        for way in (_product, _ratio, _sum):
            if (value := way(form, near)) is not None:
                return value
    raise NotUnderstood("the limit may depend on the values of its parameters")


def _alone(function: Expr, near: Symbol) -> Expr | None:
    """The limit of a function of `near` alone, from SymPy, if the function's values close to 0 agree with it."""
    if function.free_symbols - {near}:
        return None
    try:
        value = limit(function, near, 0, "+")
        far, close = (function.subs(near, S.One / 10**k).evalf(30) for k in (4, 8))
    except STUMBLES:
        return None
    if value.has(nan, zoo) or not (far.is_real and close.is_real):
        return None
    if value in (oo, -oo):
        return value if (close > far > 0 if value == oo else close < far < 0) else None
    near_enough = value.is_real and abs(close - value) <= (1 + abs(value)).evalf() / 100
    return value if near_enough == True else None  # noqa: E712 (SymPy's truth)


def _product(function: Expr, near: Symbol) -> Expr | None:
    """The limit of (parameters) · (function of the variable alone)."""
    scale, rest = function.as_independent(near, as_Add=False)
    if (value := _alone(powsimp(rest), near)) is None:
        return None
    if value.is_finite:
        return scale * value
    return value if known(scale, ">") else -value if known(-scale, ">") else None


def _ratio(function: Expr, near: Symbol) -> Expr | None:
    """The limit of a ratio of polynomials in the variable whose lowest coefficients are not 0."""
    lowest = _lowest(function, near)
    if lowest is None:
        return None
    (top, m), (bottom, n) = lowest
    if m != n:
        return S.Zero if m > n else oo if known(top / bottom, ">") else -oo if known(-top / bottom, ">") else None
    return top / bottom


def _sum(function: Expr, near: Symbol) -> Expr | None:
    """The limit of a sum of products that each have a finite limit."""
    parts = [_product(part, near) for part in Add.make_args(expand(function))]
    return Add(*parts) if all(part is not None and part.is_finite for part in parts) else None


def _lowest(function: Expr, near: Symbol) -> list[tuple[Expr, int]] | None:
    """The lowest terms of numerator and denominator, as coefficient and power; None if a coefficient may be 0."""
    lowest = []
    for side in fraction(together(function)):
        try:
            terms = Poly(side, near).terms()
        except PolynomialError:
            return None
        (power,), coefficient = terms[-1]
        if not known(coefficient, "≠"):
            return None
        lowest.append((coefficient, power))
    return lowest


@lru_cache(4096)
def eventually(value: Expr, sign: str, near: Symbol) -> bool:
    """Whether `value sign 0` for every small enough positive `near`, whatever the parameters are."""
    if known(value, sign):
        return True
    signs = {"≠": (">", "≠"), "≥": (">",), ">": (">",)}[sign]
    if (lowest := _lowest(value, near)) is not None:
        (top, _), (bottom, _) = lowest
        return any(known(top / bottom, enough) for enough in signs)
    scale, rest = factor(value).as_independent(near, as_Add=False)
    if rest.free_symbols - {near}:
        return False
    try:
        leading = rest.leadterm(near)[0]
        numbers = [rest.subs(near, S.One / 10**k).evalf(30) for k in (4, 8)]
    except STUMBLES:
        return False
    if not leading.is_real or leading.free_symbols or not all((number * leading).evalf() > 0 for number in numbers):
        return False
    return any(known(scale * leading, enough) for enough in signs)


@lru_cache(4096)
def integral(function: Expr, variable: Symbol, low: Expr, high: Expr) -> tuple[Expr, Expr]:
    """A checked antiderivative, and the integral by it. Raises NotUnderstood if there is none or it is not finite."""
    primitive = simplify(integrate(function, variable, meijerg=False, conds="none"))
    if not known(primitive.diff(variable) - function, "="):
        raise NotUnderstood(f"the integral of {function} is not understood")
    if high != oo:
        return primitive, primitive.subs(variable, high) - primitive.subs(variable, low)
    near = Dummy("epsilon", positive=True)
    end = limit_at_0(primitive.subs(variable, 1 / near), near)
    if not end.is_finite:
        raise NotUnderstood(f"the integral of {function} is not finite")
    return primitive, end - primitive.subs(variable, low)
