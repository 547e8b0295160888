"""Exact vectors, and what a formula says about them: true, false, or neither where that is not certain.

Vectors in the plane are enough. Any a, b and c that random vectors can have (c² ≤ a·b) are those of one pair in the
plane. Two reconstructions are never compared directly, so both can lie in one plane with x.
"""

# SymPy annotates the keys of subs invariantly, so a dict of Symbol does not match.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sympy import Expr, Rational, Symbol, expand, nan, oo, simplify, sqrt, zoo

from sandbox.claims.language import COMPARE, Formula, Statement, domain
from sandbox.claims.names import moments
from sandbox.maths.measures import Measure
from sandbox.maths.symbols import a

Vector = tuple[Expr, Expr]
Assignment = Mapping[Symbol, Expr]
"""Values of the moments and the free symbols."""


@dataclass(frozen=True)
class Pair:
    """Exact x and x̂ in the plane, with the reconstruction of a second SAE and the free numbers, if any."""

    x: Vector
    x_hat: Vector
    second: Vector | None = None
    free: tuple[tuple[Symbol, Expr], ...] = ()

    @property
    def hats(self) -> dict[str, Vector]:
        """Its reconstructions by suffix: "" for the only one, "_1" and "_2" for two."""
        return {"": self.x_hat} if self.second is None else {"_1": self.x_hat, "_2": self.second}

    @property
    def moments(self) -> dict[Symbol, Expr]:
        """a, b and c of this pair alone, or of both where there are two x̂; and the free numbers."""
        values = {a: _dot(self.x, self.x)}
        for suffix, hat in self.hats.items():
            _, b_i, c_i = moments(suffix)
            values |= {b_i: _dot(hat, hat), c_i: _dot(self.x, hat)}
        return values | dict(self.free)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """x with each reconstruction."""
        return tuple(Pair(self.x, hat) for hat in self.hats.values())

    def measured(self, measure: Measure) -> Expr | str:
        """The exact value of a measure, or the reason why it is undefined here."""
        here = Pair(self.x, self.x_hat).moments
        for positive, reason in measure.needs:
            if sign_of(positive.subs(here)) != 1:
                return reason
        return simplify(measure.expression.subs(here))

    def __str__(self) -> str:
        vectors = [("x", self.x), *((hat_name(suffix), hat) for suffix, hat in self.hats.items())]
        shown = [f"{name} = ({u}, {v})" for name, (u, v) in vectors]
        return ", ".join(shown + [f"{symbol} = {value}" for symbol, value in self.free])


def hat_name(suffix: str) -> str:
    """x̂, x̂₁ or x̂₂."""
    return {"": "x̂", "_1": "x̂₁", "_2": "x̂₂"}[suffix]


def _dot(u: Vector, v: Vector) -> Expr:
    return expand(u[0] * v[0] + u[1] * v[1])


def pair_of(point: Assignment, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Pair:
    """Vectors with those moments: x along the first axis, each x̂ above it."""
    length = sqrt(point[a])
    hats = []
    for suffix in about:
        _, b_i, c_i = moments(suffix)
        along = point[c_i] / length if point[a] != 0 else Rational(0)
        hats.append((along, sqrt(point[b_i] - along**2)))
    second = hats[1] if len(hats) > 1 else None
    return Pair((length, Rational(0)), hats[0], second, tuple((symbol, point[symbol]) for symbol in free))


def truth(formula: Formula, point: Assignment) -> bool | None:
    """Whether a formula holds at a point; None where it is undefined, or where that is not certain."""
    for term, sign in domain(formula):
        size = sign_of(term.subs(point))
        if size is None or not COMPARE[sign](size, 0):
            return None
    return joined_truth(formula, lambda statement: _holds(statement, point))


def joined_truth(formula: Formula, truth_of: Callable[[Statement], bool | None]) -> bool | None:
    """The truth of a formula from that of its statements, where None is open (Kleene's three-valued logic)."""
    if isinstance(formula, Statement):
        return truth_of(formula)
    parts = [joined_truth(part, truth_of) for part in formula.parts]
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


def _holds(statement: Statement, point: Assignment) -> bool | None:
    left, right = values(statement, point)
    size = sign_of(left - right)
    return None if size is None else COMPARE[statement.sign](size, 0)


def sign_of(number: Expr) -> int | None:
    """−1, 0 or 1 for a real number; None for any other term, and for a number that cannot be told apart from 0."""
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
