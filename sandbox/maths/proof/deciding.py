"""Is it true? The signs that SymPy can see in an expression, and the points that refute a relation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from random import Random

from sympy import (
    Expr,
    Integral,
    Limit,
    Order,
    PoleError,
    Rational,
    Symbol,
    denom,
    expand,
    factor,
    nan,
    numer,
    oo,
    simplify,
    together,
    zoo,
)
from sympy.core.function import AppliedUndef

KNOWN = {"=": "is_zero", ">": "is_positive", "≥": "is_nonnegative", "≠": "is_nonzero"}
"""What SymPy must know about the difference of two sides, by relation."""

STUMBLES = (ArithmeticError, AttributeError, NotImplementedError, PoleError, RecursionError, ValueError)
"""What SymPy raises when it cannot work something out."""


@lru_cache(8192)
def known(expression: Expr, sign: str) -> bool:
    """Whether SymPy sees that `expression sign 0` for all values that the assumptions about its symbols allow."""
    if expression.has(nan, zoo, oo, -oo):
        return False
    return any(getattr(form, KNOWN[sign]) for form in _forms(expression))


def _forms(gap: Expr) -> Iterator[Expr]:
    """The difference, in several forms: SymPy may see the sign of one and not of another."""
    yield gap
    yield (short := simplify(gap))
    yield factor(short)
    whole = together(short)
    yield expand(numer(whole)) / factor(denom(whole))
    yield factor(expand(numer(whole))) / factor(denom(whole))


@lru_cache(4096)
def decided(left: Expr, sign: str, right: Expr) -> bool:
    """Whether SymPy finds `left sign right` true for all values that the assumptions about its symbols allow."""
    if left.is_infinite or right.is_infinite:
        return sign == "=" and left == right
    return known(left - right, sign)


@lru_cache(4096)
def refuted(left: Expr, sign: str, right: Expr) -> dict[Symbol, Rational] | None:
    """A point at which `left sign right` fails, found by trying a few; None if there is none among them."""
    gap = left - right
    if gap.has(Order, Limit, Integral, AppliedUndef, oo, -oo, zoo, nan):
        return None
    for point in points(gap.free_symbols):
        value = gap.subs(point).evalf()
        if not value.is_number or value.has(nan, zoo, oo, -oo) or not (distance := abs(value).evalf()).is_Float:
            continue
        if distance > 1e-9 and (sign == "=" or not value.is_real or value < 0):
            return point
    return None


def points(symbols: Iterable[Symbol]) -> Iterator[dict[Symbol, Rational]]:
    """A few dozen exact points: positive symbols get positive values, the others values of either sign."""
    ordered = sorted(symbols, key=lambda symbol: (symbol.name, symbol.sort_key()))
    chance = Random(0)
    for i in range(40):
        sizes = [
            Rational(2 + i, 1 + k) if i < 3 else Rational(chance.randint(1, 24), chance.choice((1, 2, 3, 8)))
            for k in range(len(ordered))
        ]
        yield {
            s: v if i == 0 or s.is_nonnegative or chance.random() < 0.5 else -v
            for s, v in zip(ordered, sizes, strict=True)
        }
