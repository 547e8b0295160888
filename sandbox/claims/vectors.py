"""Explicit vectors, exact, and what a formula says of them, for certain or not at all.

Nothing is lost by looking at vectors in the plane: any a, b, c that random vectors can have (c² ≤ a·b) are those of one
pair in it; and with two reconstructions, which are not compared with each other, both may lie in one plane with x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr, Rational, Symbol, expand, nan, oo, simplify, sqrt, zoo

from sandbox.claims.language import Formula, Statement, statements
from sandbox.claims.names import moments
from sandbox.maths.measures import Measure
from sandbox.maths.symbols import a

Vector = tuple[Expr, Expr]
Assignment = Mapping[Symbol, Expr]
"""Values of the moments and the free symbols."""


@dataclass(frozen=True)
class Pair:
    """x and x̂ in the plane, exact; beside them the reconstruction of a second SAE and the free numbers, if any."""

    x: Vector
    x_hat: Vector
    second: Vector | None = None
    free: tuple[tuple[Symbol, Expr], ...] = ()

    @property
    def moments(self) -> dict[Symbol, Expr]:
        """a, b, c of this pair alone; with two SAEs those of either; and the free numbers."""
        hats = {"": self.x_hat} if self.second is None else {"_1": self.x_hat, "_2": self.second}
        found = {a: _dot(self.x, self.x)}
        for of, hat in hats.items():
            _, b_i, c_i = moments(of)
            found |= {b_i: _dot(hat, hat), c_i: _dot(self.x, hat)}
        return found | dict(self.free)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """x with each of the reconstructions."""
        return tuple(Pair(self.x, hat) for hat in (self.x_hat, self.second) if hat is not None)

    def measured(self, measure: Measure) -> Expr | str:
        """The exact value of a measure, or the reason why it is undefined here."""
        here = Pair(self.x, self.x_hat).moments
        for positive, reason in measure.needs:
            if sign_of(positive.subs(here)) != 1:
                return reason
        return simplify(measure.expression.subs(here))

    def __str__(self) -> str:
        hats = (("x̂", self.x_hat),) if self.second is None else (("x̂₁", self.x_hat), ("x̂₂", self.second))
        shown = [f"{name} = ({u}, {v})" for name, (u, v) in (("x", self.x), *hats)]
        return ", ".join(shown + [f"{symbol} = {value}" for symbol, value in self.free])


def _dot(u: Vector, v: Vector) -> Expr:
    return expand(u[0] * v[0] + u[1] * v[1])


def pair_of(point: Assignment, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Pair:
    """Vectors with those moments: x along the first axis, each x̂ above it."""
    length = sqrt(point[a])
    hats = []
    for of in about:
        _, b_i, c_i = moments(of)
        along = point[c_i] / length if point[a] != 0 else Rational(0)
        hats.append((along, sqrt(point[b_i] - along**2)))
    second = hats[1] if len(hats) > 1 else None
    return Pair((length, Rational(0)), hats[0], second, tuple((symbol, point[symbol]) for symbol in free))


def truth(formula: Formula, point: Assignment) -> bool | None:
    """Whether a formula holds at a point; None where it is undefined, or where that cannot be told for certain."""
    if not all(_defined(one, point) for one in statements(formula)):
        return None
    return joined_truth(formula, lambda statement: _holds(statement, point))


def joined_truth(formula: Formula, of) -> bool | None:
    """The truth of a formula from that of its statements, None being open (Kleene's logic)."""
    if isinstance(formula, Statement):
        return of(formula)
    parts = [joined_truth(part, of) for part in formula.parts]
    match formula.how:
        case "not":
            return None if parts[0] is None else not parts[0]
        case "and":
            return False if False in parts else None if None in parts else True
        case "or":
            return True if True in parts else None if None in parts else False
        case "=>":
            return True if parts[0] is False or parts[1] is True else None if None in parts else False
        case _:
            return None if None in parts else parts[0] == parts[1]


def values(statement: Statement, point: Assignment) -> tuple[Expr, Expr]:
    """The exact values of both sides."""
    left, right = (statement.in_moments(side).subs(point) for side in (statement.left, statement.right))
    return left, right


def _defined(statement: Statement, point: Assignment) -> bool:
    """Whether it is defined at a point, for certain."""
    needs = [need for need, _ in statement.needs]
    if any(sign_of(need.subs(point)) != 1 for need in needs):
        return False
    below, under = (
        [statement.in_moments(term).subs(point) for term in some] for some in (statement.divisors, statement.radicands)
    )
    return all(sign_of(value) in (-1, 1) for value in below) and all(sign_of(value) in (0, 1) for value in under)


def _holds(statement: Statement, point: Assignment) -> bool | None:
    left, right = values(statement, point)
    size = sign_of(left - right)
    if size is None:
        return None
    return {"=": size == 0, "≠": size != 0, ">": size > 0, "≥": size >= 0}[statement.sign]


def sign_of(number: Expr) -> int | None:
    """−1, 0 or 1 for a real number; None where it is none, or cannot be told from 0 for certain."""
    if number.has(nan, oo, zoo) or number.free_symbols:
        return None
    if number.is_Rational:
        return int(bool(number > 0)) - int(bool(number < 0))
    size = number.evalf(60, maxn=600)
    if not size.is_number or size.is_real is False:
        return None
    if abs(size) > Rational(1, 10**90):
        return 1 if size > 0 else -1
    return 0 if simplify(number) == 0 else None
