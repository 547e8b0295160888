"""Search for simple vectors that refute a formula: quickly in floating point, then confirmed exactly."""

# SymPy annotates Rational(n) as possibly NaN or infinite.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice, product
from math import isfinite, nan

from sympy import Expr, Rational, Symbol, lambdify

from sandbox.claims.language import COMPARE, Formula, domain, statements
from sandbox.claims.vectors import Pair, Vector, joined_truth, truth

MOST_EXACT = 40
"""The number of points that are evaluated exactly, for each of two kinds: failing, and too close to tell."""

CLOSE = 1e-9
"""Sides that differ by less than this, relative to their size, are too close to tell in floating point."""

Row = Mapping[Symbol, float]
"""A point in floating point: the moments and the free symbols."""

FAILS, TOO_CLOSE, HOLDS, UNDEFINED = -1, 0, 1, 2


def refuting_pair(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Pair | None:
    """The simplest of several hundred points at which the formula is defined and fails; None if there is none."""
    numbers = [Rational(n) for n in (1, 0, 2, -1, -2, 3)] + [Rational(1, 2)]
    choices = list(islice(product(numbers, repeat=len(free)), 49))
    rows = list(zip(_pairs(len(about)), _small_rows(len(about)), strict=True))

    def points() -> Iterator[tuple[Row, Callable[[], Pair]]]:
        for choice, (pair, row) in product(choices, rows):
            given = tuple(zip(free, choice, strict=True))
            numbers = {symbol: float(number) for symbol, number in given}
            yield {**row, **numbers}, partial(Pair, pair.x, pair.x_hat, pair.second, given)

    return _first(formula, points())


def first_failing(formula: Formula, points: Sequence[Pair]) -> Pair | None:
    """The first of some points at which the formula is defined and certainly fails."""
    return _first(formula, ((_row(point), lambda point=point: point) for point in points))


def _first(formula: Formula, points: Iterable[tuple[Row, Callable[[], Pair]]]) -> Pair | None:
    """The first point that fails for certain: those that fail in floating point come before those too close to tell."""
    judge: Callable[[Row], int] | None = None
    surely, perhaps = 0, []
    for row, pair in points:
        judge = judge or _judge(formula, tuple(row))
        match judge(row):
            case kind if kind == FAILS and surely < MOST_EXACT:
                surely += 1
                if truth(formula, pair().moments) is False:
                    return pair()
            case kind if kind == TOO_CLOSE and len(perhaps) < MOST_EXACT:
                perhaps.append(pair)
    return next((point for pair in perhaps if truth(formula, (point := pair()).moments) is False), None)


def _row(point: Pair) -> Row:
    return {symbol: float(value) for symbol, value in point.moments.items()}


@cache
def _small_rows(reconstructions: int) -> tuple[Row, ...]:
    return tuple(map(_row, _pairs(reconstructions)))


def _judge(formula: Formula, symbols: tuple[Symbol, ...]) -> Callable[[Row], int]:
    """A function of a row: FAILS, TOO_CLOSE, HOLDS or UNDEFINED there, as far as floating point can tell."""
    parts, bounds = list(statements(formula)), domain(formula)
    sides = [(part.in_moments(part.left), part.in_moments(part.right)) for part in parts]
    gaps = [left - right for left, right in sides]
    sizes = [abs(left) + abs(right) for left, right in sides]
    terms = [*gaps, *sizes, *(term for term, _ in bounds)]
    function: Callable = lambdify(symbols, terms, "math", cse=True, dummify=True)
    signs = [sign for _, sign in bounds]

    def judge(row: Row) -> int:
        try:
            found = [_real(value) for value in function(*row.values())]
        except (ValueError, ArithmeticError):  # the root of a negative number, a division by 0, an overflow
            return UNDEFINED
        gaps, sizes, sides = found[: len(parts)], found[len(parts) : 2 * len(parts)], found[2 * len(parts) :]
        if not all(map(isfinite, (*gaps, *sides))):
            return UNDEFINED
        if not all(COMPARE[sign](side, -CLOSE if sign == "≥" else 0) for side, sign in zip(sides, signs, strict=True)):
            return UNDEFINED
        here = {
            id(part): None if abs(gap) <= CLOSE * (1 + size) else COMPARE[part.sign](gap, 0)
            for part, gap, size in zip(parts, gaps, sizes, strict=True)
        }
        holds = joined_truth(formula, lambda part: here[id(part)])
        return TOO_CLOSE if holds is None else HOLDS if holds else FAILS

    return judge


def _real(value: complex) -> float:
    return float(value) if not isinstance(value, complex) else value.real if value.imag == 0 else nan


def _pairs(reconstructions: int) -> tuple[Pair, ...]:
    return small_pairs() if reconstructions == 1 else _two_small_pairs()


@cache
def small_pairs() -> tuple[Pair, ...]:
    """Several hundred pairs: first those with x along the axis, the simplest first."""
    pairs = []
    for length in (1, 2, Rational(1, 2), 3):
        pairs += [Pair(_vector(length, 0), tip) for tip in (_tips() if length == 1 else _tips()[:25])]
    others = ((1, 1, 1, 0), (2, 1, 1, 2), (3, 4, 4, 3), (3, 4, 3, 0), (0, 0, 1, 0), (0, 0, 0, 0))
    return (*pairs, *(Pair(_vector(*numbers[:2]), _vector(*numbers[2:])) for numbers in others))


@cache
def _two_small_pairs() -> tuple[Pair, ...]:
    """x along the axis, and two simple reconstructions."""
    both = sorted(product(_tips()[:20], repeat=2), key=lambda tips: sum(map(_complexity, (*tips[0], *tips[1]))))
    return tuple(Pair(_vector(length, 0), u, v) for length in (1, 2) for u, v in both)


def _tips() -> list[Vector]:
    half, third = Rational(1, 2), Rational(1, 3)
    along, across = (1, 2, half, 3, -1, third, Rational(3, 2), 0, -2, 4, 5), (0, 1, half, 2, 3, Rational(1, 4))
    return sorted((_vector(u, v) for u, v in product(along, across)), key=lambda tip: sum(map(_complexity, tip)))


def _vector(u: Rational | int, v: Rational | int) -> Vector:
    return Rational(u), Rational(v)


def near(point: Pair) -> Iterator[Pair]:
    """Points near another one, in ever finer fractions."""
    for largest in (1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 60, 100, 360, 1000):
        x, *hats = ((_rounded(u, largest), _rounded(v, largest)) for u, v in (point.x, *point.hats.values()))
        free = tuple((symbol, _rounded(value, largest)) for symbol, value in point.free)
        yield Pair(x, hats[0], hats[1] if len(hats) > 1 else None, free)


def _rounded(number: Expr, largest: int) -> Rational:
    """The nearest fraction whose denominator is at most `largest`."""
    return Rational(number.evalf(30)).limit_denominator(largest)


def _complexity(number: Expr) -> Rational:
    number = Rational(number)
    size = abs(number.p) or 3  # 0 is a special case, and so not the simplest
    return size + 2 * (number.q - 1) + (1 if number < 0 else 0)
