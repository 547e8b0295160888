"""Deciding a sign everywhere by looking at one point in each of finitely many cells.

A function that is made of polynomials, roots and absolute values can change its sign only where it, or a part of it,
is 0 or ends. Those places are zeros of polynomials, and they cut the space of the variables into cells; one rational
point in each settles the whole cell. This is the open part of Collins' cylindrical algebraic decomposition, with the
projection (leading coefficients, discriminants, resultants) that suffices for cells of full dimension [Strzeboński,
"Solving systems of strict polynomial inequalities", J. Symb. Comp. 29 (2000)].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from time import process_time

from sympy import (
    Abs,
    Dummy,
    Expr,
    Poly,
    Pow,
    Rational,
    Symbol,
    discriminant,
    factor_list,
    fraction,
    resultant,
    together,
)

from sandbox.checking.limit import Undecidable

MOST_CELLS, LARGEST_DEGREE, SECONDS = 5000, 24, 10.0


def boundaries(function: Expr) -> set[Expr]:
    """Polynomials whose zeros contain every place where a function can change its sign, or end."""
    function, radicals = _without_radicals(function)
    found = set(fraction(together(function)))
    for generator, inside, is_root in reversed(radicals):  # the outermost first
        found |= set(fraction(together(inside)))
        found = {part for polynomial in found for part in _conjugates(polynomial, generator, inside, is_root)}
    return {factor for polynomial in found for factor in _factors(polynomial)}


def _without_radicals(function: Expr) -> tuple[Expr, list[tuple[Symbol, Expr, bool]]]:
    """Roots √u and absolute values |u| as symbols; the symbol, u, and whether it is a root. Inner ones first."""
    radicals: list[tuple[Symbol, Expr, bool]] = []
    while found := [part for part in function.atoms(Pow, Abs) if _is_radical(part)]:
        inner = min(found, key=lambda part: part.count_ops())
        generator, inside, is_root = Dummy("root", positive=True), inner.args[0], isinstance(inner, Pow)
        radicals.append((generator, inside, is_root))
        function = function.replace(
            lambda part, of=inside, root=is_root: _is_radical(part) and part.args[0] == of and part.is_Pow == root,
            lambda part, by=generator: by ** (2 * part.exp) if part.is_Pow else by,
        )
    return function, radicals


def _is_radical(part: Expr) -> bool:
    return isinstance(part, Abs) or (isinstance(part, Pow) and not part.exp.is_Integer)


def _conjugates(polynomial: Expr, generator: Symbol, inside: Expr, is_root: bool) -> list[Expr]:
    """Without the generator: A + B·√u ► A² − B²·u, and A + B·|u| ► A + B·u and A − B·u, less one that is 0."""
    if not polynomial.has(generator):
        return [polynomial]
    even, odd = Rational(0), Rational(0)
    square = inside if is_root else inside**2
    for (power,), coefficient in Poly(polynomial, generator).terms():
        if power % 2:
            odd += coefficient * square ** (power // 2)
        else:
            even += coefficient * square ** (power // 2)
    products = [even**2 - odd**2 * square] if is_root else [even + odd * inside, even - odd * inside]
    parts = [fraction(together(product)) for product in products if product.expand() != 0]
    if is_root and not parts:
        raise Undecidable("two roots in it depend on each other")
    return [part for pair in parts for part in pair]


def _factors(polynomial: Expr) -> list[Expr]:
    """The irreducible factors that are no numbers."""
    return [factor for factor, _ in factor_list(polynomial)[1]] if polynomial.free_symbols else []


def samples(polynomials: set[Expr], variables: Sequence[Symbol]) -> Iterator[dict[Symbol, Rational]]:
    """A rational point in every open cell that the zeros of the polynomials cut the space into."""
    deadline = process_time() + SECONDS
    levels = [polynomials]
    for variable in reversed(variables[1:]):
        levels.append(_projection(levels[-1], variable, deadline))
    yield from _lifted(levels[::-1], list(variables), {}, deadline)


def _projection(polynomials: set[Expr], variable: Symbol, deadline: float) -> set[Expr]:
    """What the cells of one variable fewer are bounded by."""
    inside = [Poly(p, variable) for p in polynomials if p.has(variable)]
    shadow = {p for p in polynomials if not p.has(variable)}
    parts = [p.LC() for p in inside]
    for p in inside:
        _check(p.degree() <= LARGEST_DEGREE and process_time() < deadline)
        parts.append(discriminant(p) if p.degree() > 1 else Rational(1))
    for p, q in combinations(inside, 2):
        _check(process_time() < deadline)
        parts.append(resultant(p, q))
    return shadow | {
        factor for part in parts for factor in _factors(Poly(part).as_expr() if part.free_symbols else part)
    }


def _lifted(levels, variables, point, deadline) -> Iterator[dict[Symbol, Rational]]:
    if not variables:
        yield dict(point)
        return
    variable, *others = variables
    here = {p.subs(point) for p in levels[0]}
    for value in between([Poly(p, variable) for p in here if p.has(variable)]):
        _check(process_time() < deadline)
        yield from _lifted(levels[1:], others, point | {variable: value}, deadline)


def between(polynomials: Sequence[Poly]) -> list[Rational]:
    """A rational on each side of, and between any two neighbours of, the real roots of some polynomials."""
    if not polynomials:
        return [Rational(0)]
    whole = polynomials[0]
    for polynomial in polynomials[1:]:
        whole = whole.lcm(polynomial)
    whole, width = whole.sqf_part(), Rational(1, 4)
    while True:
        roots: list[tuple[Rational, Rational]] = [ends for ends, _ in whole.intervals(eps=width)]
        if all(high < low for (_, high), (low, _) in pairwise(roots)):
            break
        width /= 16
    if not roots:
        return [Rational(0)]
    (lowest, _), (_, highest) = roots[0], roots[-1]
    inner = [_simplest(high, low) for (_, high), (low, _) in pairwise(roots)]
    return [Rational(lowest) - 1, *inner, Rational(highest) + 1]


def _simplest(low, high) -> Rational:
    """A fraction of few digits strictly between two others."""
    low, high = Rational(low), Rational(high)
    denominator = 1
    while True:
        numerator = (low * denominator).floor() + 1
        if numerator < high * denominator:
            return Rational(numerator, denominator)
        denominator *= 2


def _check(well: bool) -> None:
    if not well:
        raise Undecidable(f"it has too many cells to look at within {SECONDS:g} s")


def signs(
    function: Expr, positive: Sequence[Expr], variables: Sequence[Symbol]
) -> Iterator[tuple[Mapping[Symbol, Rational], int]]:
    """The sign of a function at a point of every cell in which all of `positive` are; and it is real in all of them.

    Raises: Undecidable where the function is not algebraic, ends inside, or has too many cells.
    """
    if not _algebraic(function):
        raise Undecidable("it is not made of polynomials and roots alone")
    edges = boundaries(function) | {factor for part in positive for factor in _factors(fraction(together(part))[0])}
    for count, point in enumerate(samples(edges, variables)):
        _check(count < MOST_CELLS)
        if not all(part.subs(point) > 0 for part in positive):
            continue
        value = function.subs(point)
        size = value if value.is_Rational else value.evalf(40)
        if not size.is_real:
            raise Undecidable("it is defined on a part of the vectors only")
        if size != 0 and abs(size) < Rational(1, 10**25):  # it is not 0 inside a cell, but it could be too near to tell
            raise Undecidable("two sides are too near to each other to tell apart")
        yield point, 0 if size == 0 else 1 if size > 0 else -1


def _algebraic(function: Expr) -> bool:
    if isinstance(function, Pow):
        return bool((2 * function.exp).is_Integer) and _algebraic(function.base)
    kinds = function.is_Add, function.is_Mul, function.is_Symbol, function.is_Rational, isinstance(function, Abs)
    return any(kinds) and all(map(_algebraic, function.args))
