"""Search for simple vectors that refute a formula: quickly in floating point, then confirmed exactly."""

# SymPy annotates Rational(n) as possibly NaN or infinite, and numpy indices are not int.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice, product

import numpy as np
from sympy import Expr, Rational, Symbol, lambdify

from sandbox.claims.language import COMPARE, Formula, domain, statements
from sandbox.claims.vectors import Pair, Vector, joined_truth, truth

MOST_EXACT = 40
"""The number of points that are evaluated exactly, for each of two kinds: failing, and too close to tell."""

CLOSE = 1e-9
"""Sides that differ by less than this, relative to their size, are too close to tell in floating point."""

FAILS, TOO_CLOSE, HOLDS, UNDEFINED = -1, 0, 1, 2


def refuting_pair(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Pair | None:
    """The simplest of several hundred points at which the formula is defined and fails; None if there is none."""
    pairs = _pairs(len(about))
    numbers = [Rational(n) for n in (1, 0, 2, -1, -2, 3)] + [Rational(1, 2)]
    choices = list(islice(product(numbers, repeat=len(free)), 49))
    columns = {symbol: np.tile(column, len(choices)) for symbol, column in _small_columns(len(about)).items()}
    for i, symbol in enumerate(free):
        columns[symbol] = np.repeat([float(choice[i]) for choice in choices], len(pairs))

    def at(i: int) -> Pair:
        choice, pair = choices[i // len(pairs)], pairs[i % len(pairs)]
        return Pair(pair.x, pair.x_hat, pair.second, tuple(zip(free, choice, strict=True)))

    return _first(formula, columns, at)


def first_failing(formula: Formula, points: Sequence[Pair]) -> Pair | None:
    """The first of some points at which the formula is defined and certainly fails."""
    return _first(formula, _columns(points), points.__getitem__)


def _first(formula: Formula, columns: dict[Symbol, np.ndarray], at: Callable[[int], Pair]) -> Pair | None:
    results = _in_floats(formula, columns)
    surely, perhaps = (islice(np.flatnonzero(results == kind), MOST_EXACT) for kind in (FAILS, TOO_CLOSE))
    for i in (*surely, *perhaps):
        if truth(formula, at(i).moments) is False:
            return at(i)
    return None


def _columns(points: Sequence[Pair]) -> dict[Symbol, np.ndarray]:
    rows = [point.moments for point in points]
    return {symbol: np.array([float(row[symbol]) for row in rows]) for symbol in rows[0]}


@cache
def _small_columns(reconstructions: int) -> dict[Symbol, np.ndarray]:
    return _columns(_pairs(reconstructions))


def _in_floats(formula: Formula, columns: dict[Symbol, np.ndarray]) -> np.ndarray:
    """FAILS, TOO_CLOSE, HOLDS or UNDEFINED at each point, as far as floating point can tell."""
    parts, bounds = list(statements(formula)), domain(formula)
    sides = [(part.in_moments(part.left), part.in_moments(part.right)) for part in parts]
    gaps = _evaluated([left - right for left, right in sides], columns)
    sizes = _evaluated([abs(left) + abs(right) for left, right in sides], columns)
    defined = np.isfinite(gaps).all(axis=0)
    for value, (_, sign) in zip(_evaluated([term for term, _ in bounds], columns), bounds, strict=True):
        defined &= np.isfinite(value) & COMPARE[sign](value, -CLOSE if sign == "≥" else 0)
    with np.errstate(invalid="ignore"):
        signs = np.where(abs(gaps) <= CLOSE * (1 + sizes), 0, np.sign(gaps))
    results = np.full(defined.shape, UNDEFINED)
    for i in np.flatnonzero(defined):
        here = {
            id(part): COMPARE[part.sign](int(size), 0) if size else None
            for part, size in zip(parts, signs[:, i], strict=True)
        }
        holds = joined_truth(formula, lambda part, here=here: here[id(part)])
        results[i] = TOO_CLOSE if holds is None else HOLDS if holds else FAILS
    return results


def _evaluated(terms: list[Expr], columns: dict[Symbol, np.ndarray]) -> np.ndarray:
    """Float64[terms, points], nan where a term is not real."""
    function: Callable = lambdify(list(columns), terms, "numpy", cse=True, dummify=True)
    points = len(next(iter(columns.values())))
    with np.errstate(all="ignore"):
        values = [np.broadcast_to(_real(value), points) for value in function(*columns.values())]
    return np.array(values).reshape(len(terms), points)


def _real(value) -> np.ndarray:
    value = np.asarray(value)
    return np.where(value.imag == 0, value.real, np.nan) if np.iscomplexobj(value) else value.astype(np.float64)


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
