"""A statement at every angle and norm ratio, by one point in each cell: a proof, or vectors that refute it."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Add, Expr, Rational, Symbol, lambdify, simplify

from sandbox.checking.cells import signs
from sandbox.checking.language import Statement
from sandbox.checking.limit import Undecidable
from sandbox.checking.vectors import Pair, refuting_pair, simple_rationals
from sandbox.derivations.symbols import a, b, c

k, r, t = (Symbol(name, positive=True) for name in "krt")
COSINE = (1 - t**2) / (1 + t**2)
POLAR = {a: k**2, b: k**2 * r**2, c: k**2 * r * COSINE}
"""All a, b > 0 and c with c² < a·b, by the length k of x, the norm ratio r and the tangent t of half the angle."""

Refutation = tuple[Pair, Expr, Expr]


def everywhere(statement: Statement) -> tuple[Refutation | None, str]:
    """Look at a point in every cell of all angles, norm ratios and, where it matters, lengths.

    Returns: vectors that refute the statement, or None; and what was found, in a sentence
    Raises:  Undecidable
    """
    gap = simplify(statement.in_moments(Add(statement.left, -statement.right)).subs(POLAR))
    needs = [need.subs(POLAR) for need, _ in statement.needs]
    if gap.has(k) and not simplify(gap.subs(k, 2 * k) / gap).free_symbols:
        gap = gap.subs(k, 1)  # scaling x and x̂ together scales the gap, and leaves its sign
    variables = sorted({r, t} | (gap.free_symbols & {k}), key=str)
    needs = [need if k in variables else need.subs(k, 1) for need in needs]
    cells = list(signs(gap, [*variables, *needs], variables))
    if not cells:
        raise Undecidable("its two sides are both defined nowhere, or at single angles or lengths only")
    failing = {"=": (-1, 1), "≥": (-1,), ">": (-1, 0), "≠": ()}[statement.sign]
    if bad := next((point for point, sign in cells if sign in failing), None):
        near = _simple_failures(gap, needs, variables, statement.sign)
        refutation = refuting_pair(statement, [*map(_pair, near), _pair(bad)])
        if refutation is None:
            raise Undecidable("it fails at some angle and length, but no exact vectors were found")
        return refutation, ""
    count = f"{len(cells)} cell{'s' if len(cells) > 1 else ''}"
    if statement.sign == "≠":
        raise Undecidable("neither side is found always the larger, and no vectors at which they are equal")
    if statement.sign == ">":
        raise Undecidable(
            f"the two sides are never the other way round (looked at in each of {count} of angles and lengths in which "
            "they could be); whether they are ever equal is open"
        )
    return None, (
        f"With the norm ratio r and the angle, the difference of the sides can change its sign only where certain "
        f"polynomials are 0. They leave {count} in which both sides are defined; at a point of each the difference "
        f"was found {'to be 0' if statement.sign == '=' else 'not to be negative'}, and so, by continuity, everywhere."
    )


def _simple_failures(gap: Expr, needs: list[Expr], variables: list[Symbol], sign: str) -> list[dict[Symbol, Rational]]:
    """A few points of small fractions at which the statement seems to fail, in floating point."""
    value = lambdify(variables, [gap, *needs], "math", cse=True)
    points = []
    for numbers in _simple_points(len(variables)):
        try:
            found, *positive = value(*map(float, numbers))
        except (ValueError, ZeroDivisionError, OverflowError, TypeError):
            continue
        wrong = found < -1e-9 if sign in ("≥", ">") else abs(found) > 1e-9
        if wrong and all(part > 0 for part in positive):
            points.append(dict(zip(variables, numbers, strict=True)))
            if len(points) == 5:
                break
    return points


def _simple_points(dimension: int) -> list[tuple[Rational, ...]]:
    fractions = simple_rationals(12 if dimension == 2 else 5)
    points = [()]
    for _ in range(dimension):
        points = [(*point, value) for point in points for value in fractions]
    return sorted(points, key=lambda point: sum(value.p + value.q for value in point))


def _pair(point: Mapping[Symbol, Rational]) -> Pair:
    """The vectors of a point: x along the first axis, x̂ at the angle, both rational."""
    length, ratio, tangent = point.get(k, Rational(1)), point[r], point[t]
    cosine, sine = COSINE.subs(t, tangent), 2 * tangent / (1 + tangent**2)
    return Pair((length, Rational(0)), (length * ratio * cosine, length * ratio * sine))
