"""Vectors of small numbers that refute a formula: found in floating point, believed once they are exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice, product

import numpy as np
from sympy import Expr, Rational, Symbol, lambdify

from sandbox.claims.language import Formula, Statement, statements
from sandbox.claims.vectors import Pair, Vector, joined_truth, truth

MOST_EXACT = 40
"""Points that are looked at exactly, of those that floating point cannot tell."""

CLOSE = 1e-9
"""Sides that differ by less, relative to their size, are looked at exactly."""


def refuting_pair(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Pair | None:
    """The simplest of some hundred points at which the formula is defined and fails, or None."""
    pairs = small_pairs() if len(about) == 1 else two_small_pairs()
    numbers = [Rational(n) for n in (1, 0, 2, -1, -2, 3)] + [Rational(1, 2)]
    chosen = list(islice(product(numbers, repeat=len(free)), 49))
    columns = {symbol: np.tile(column, len(chosen)) for symbol, column in _small_columns(len(about)).items()}
    for i, symbol in enumerate(free):
        columns[symbol] = np.repeat([float(some[i]) for some in chosen], len(pairs))

    def at(i: int) -> Pair:
        some, pair = chosen[i // len(pairs)], pairs[i % len(pairs)]
        return Pair(pair.x, pair.x_hat, pair.second, tuple(zip(free, some, strict=True)))

    return _first(formula, columns, at)


def first_failing(formula: Formula, points: Sequence[Pair]) -> Pair | None:
    """The first of some points at which the formula is defined and fails, for certain."""
    return _first(formula, _columns(points), points.__getitem__)


def _first(formula: Formula, columns: dict[Symbol, np.ndarray], at: Callable[[int], Pair]) -> Pair | None:
    found = _in_floats(formula, columns)
    surely, perhaps = (islice(np.flatnonzero(found == kind), MOST_EXACT) for kind in (-1, 0))
    for i in (*surely, *perhaps):
        if truth(formula, at(i).moments) is False:
            return at(i)
    return None


def _columns(points: Sequence[Pair]) -> dict[Symbol, np.ndarray]:
    rows = [point.moments for point in points]
    return {symbol: np.array([float(row[symbol]) for row in rows]) for symbol in rows[0]}


@cache
def _small_columns(reconstructions: int) -> dict[Symbol, np.ndarray]:
    return _columns(small_pairs() if reconstructions == 1 else two_small_pairs())


def _in_floats(formula: Formula, columns: dict[Symbol, np.ndarray]) -> np.ndarray:
    """1 where it seems to hold, −1 where it seems to fail, 0 where it is too close, 2 where it is undefined."""
    shape = np.shape(next(iter(columns.values())))
    undefined = np.zeros(shape, dtype=bool)
    signs: dict[int, np.ndarray] = {}
    for statement in statements(formula):
        gap, size, *needs = _evaluated(statement, columns, shape)
        for need, kind in zip(needs, _kinds(statement), strict=True):
            away = {"positive": need > 0, "nonnegative": need >= -CLOSE, "nonzero": abs(need) > 0}[kind]
            undefined |= ~(away & np.isfinite(need))
        undefined |= ~np.isfinite(gap)
        signs[id(statement)] = np.where(abs(gap) <= CLOSE * (1 + size), 0, np.sign(gap))
    wanted = {"=": {-1: False, 0: None, 1: False}, "≠": {-1: True, 0: None, 1: True},
              ">": {-1: False, 0: None, 1: True}, "≥": {-1: False, 0: None, 1: True}}  # fmt: skip
    found = np.full(shape, 2)
    for i in np.flatnonzero(~undefined):
        holds = joined_truth(formula, lambda one, i=i: wanted[one.sign][int(signs[id(one)][i])])
        found[i] = 0 if holds is None else 1 if holds else -1
    return found


def _kinds(statement: Statement) -> list[str]:
    counts = len(statement.needs), len(statement.radicands), len(statement.divisors)
    return [kind for kind, n in zip(("positive", "nonnegative", "nonzero"), counts, strict=True) for _ in range(n)]


def _evaluated(statement: Statement, columns: dict[Symbol, np.ndarray], shape: tuple) -> list[np.ndarray]:
    sides = [statement.in_moments(side) for side in (statement.left, statement.right)]
    terms = [sides[0] - sides[1], abs(sides[0]) + abs(sides[1]), *(need for need, _ in statement.needs)]
    terms += [statement.in_moments(term) for term in (*statement.radicands, *statement.divisors)]
    function: Callable = lambdify(list(columns), terms, "numpy", cse=True, dummify=True)
    with np.errstate(all="ignore"):
        return [np.broadcast_to(_real(value), shape) for value in function(*columns.values())]


def _real(value) -> np.ndarray:
    value = np.asarray(value)
    return np.where(value.imag == 0, value.real, np.nan) if np.iscomplexobj(value) else value.astype(np.float64)


@cache
def small_pairs() -> tuple[Pair, ...]:
    """A few hundred pairs, the simplest first."""
    return tuple(_small_pairs())


@cache
def two_small_pairs() -> tuple[Pair, ...]:
    """x along the axis, and two reconstructions of small numbers."""
    both = sorted(product(_tips()[:20], repeat=2), key=lambda two: sum(map(_complexity, (*two[0], *two[1]))))
    return tuple(Pair((Rational(length), Rational(0)), u, v) for length in (1, 2) for u, v in both)


def _tips() -> list[Vector]:
    half = Rational(1, 2)
    along, across = (1, 2, half, 3, -1, Rational(1, 3), Rational(3, 2), 0, -2, 4, 5), (0, 1, half, 2, 3, Rational(1, 4))
    tips = [(Rational(u), Rational(v)) for u, v in product(along, across)]
    return sorted(tips, key=lambda tip: sum(map(_complexity, tip)))


def _small_pairs() -> Iterator[Pair]:
    for length in (Rational(1), Rational(2), Rational(1, 2), Rational(3)):
        for tip in _tips() if length == 1 else _tips()[:25]:
            yield Pair((length, Rational(0)), tip)
    for x, x_hat in (
        ((1, 1), (1, 0)),
        ((2, 1), (1, 2)),
        ((3, 4), (4, 3)),
        ((3, 4), (3, 0)),
        ((0, 0), (1, 0)),
        ((0, 0), (0, 0)),
    ):
        yield Pair((Rational(x[0]), Rational(x[1])), (Rational(x_hat[0]), Rational(x_hat[1])))


def near(point: Pair) -> Iterator[Pair]:
    """Points of simple fractions near another, the simplest first."""
    hats = [point.x_hat] + ([point.second] if point.second else [])
    for largest in (1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 60, 100, 360, 1000):
        vectors = [tuple(_simple(part, largest) for part in vector) for vector in (point.x, *hats)]
        free = tuple((symbol, _simple(value, largest)) for symbol, value in point.free)
        yield Pair(vectors[0], vectors[1], vectors[2] if len(vectors) > 2 else None, free)


def _simple(number: Expr, largest: int) -> Rational:
    return Rational(number.evalf(30)).limit_denominator(largest)


def _complexity(number: Expr) -> Rational:
    number = Rational(number)
    size = abs(number.p) or 3  # 0 is a special case, and so not the simplest
    return size + 2 * (number.q - 1) + (1 if number < 0 else 0)
