"""Two explicit vectors that refute a claim: found among small numbers, evaluated exactly.

Nothing is lost by looking at two vectors only: any a, b, c that random vectors can have (c² ≤ a·b) are those of one
pair in the plane.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from sympy import Expr, Matrix, Rational, Symbol, simplify

from sandbox.checking.language import Statement
from sandbox.derivations.symbols import a, b, c
from sandbox.measures import Measure

Vector = tuple[Expr, Expr]


@dataclass(frozen=True)
class Pair:
    """x and x̂ in the plane, exact."""

    x: Vector
    x_hat: Vector

    @property
    def moments(self) -> dict[Symbol, Expr]:
        """a, b, c of this pair alone."""
        u, v = Matrix(self.x), Matrix(self.x_hat)
        return {a: u.dot(u), b: v.dot(v), c: u.dot(v)}

    def measured(self, measure: Measure) -> Expr | str:
        """The exact value of a measure, or the reason why it is undefined here."""
        moments = self.moments
        for positive, reason in measure.needs:
            if not positive.subs(moments) > 0:
                return reason
        return simplify(measure.expression.subs(moments))

    def __str__(self) -> str:
        return f"x = ({self.x[0]}, {self.x[1]}), x̂ = ({self.x_hat[0]}, {self.x_hat[1]})"


def refuting_pair(statement: Statement, pairs: Iterable[Pair] | None = None) -> tuple[Pair, Expr, Expr] | None:
    """The first pair at which the statement is defined and fails, with the values of both its sides; or None."""
    parts = (statement.left, statement.right), statement.divisors, statement.radicands
    sides, divisors, radicands = ([statement.in_moments(term) for term in part] for part in parts)
    needs = [need for need, _ in statement.needs]
    for pair in small_pairs() if pairs is None else pairs:
        point = pair.moments
        if not all(need.subs(point) > 0 for need in needs):
            continue
        values, below, under = ([term.subs(point) for term in some] for some in (sides, divisors, radicands))
        if not all(value.is_number and value.is_finite and value.is_real for value in values + below + under):
            continue
        if any(sign_of(value) == 0 for value in below) or any(sign_of(value) < 0 for value in under):
            continue
        if fails(values[0], statement.sign, values[1]):
            return pair, values[0], values[1]
    return None


def fails(left: Expr, sign: str, right: Expr) -> bool:
    """Whether two numbers are not in that relation, for certain: numbers that look equal are not called different,
    and called equal only where SymPy says so.
    """
    gap = left - right
    size = sign_of(gap)
    if size:
        return sign == "=" or (size < 0 and sign in (">", "≥"))
    return sign in (">", "≠") and simplify(gap) == 0


def sign_of(number: Expr) -> int:
    """−1, 0 or 1; 0 for a number that cannot be told from 0 in 40 digits."""
    size = number if number.is_Rational else number.evalf(60)
    return 0 if abs(size) < Rational(1, 10**40) else 1 if size > 0 else -1


@cache
def small_pairs() -> tuple[Pair, ...]:
    """A few hundred pairs, the simplest first."""
    return tuple(_small_pairs())


def _small_pairs() -> Iterator[Pair]:
    half = Rational(1, 2)
    along, across = (1, 2, half, 3, -1, Rational(1, 3), Rational(3, 2), 0, -2, 4, 5), (0, 1, half, 2, 3, Rational(1, 4))
    tips = sorted(product(along, across), key=lambda tip: sum(_complexity(part) for part in tip))
    for length in (1, 2, half, 3):
        for tip in tips if length == 1 else tips[:25]:
            yield Pair((Rational(length), Rational(0)), (Rational(tip[0]), Rational(tip[1])))
    for x, x_hat in (
        ((1, 1), (1, 0)),
        ((2, 1), (1, 2)),
        ((3, 4), (4, 3)),
        ((3, 4), (3, 0)),
        ((0, 0), (1, 0)),
        ((0, 0), (0, 0)),
    ):
        yield Pair((Rational(x[0]), Rational(x[1])), (Rational(x_hat[0]), Rational(x_hat[1])))


def _complexity(number: Expr) -> Rational:
    number = Rational(number)
    size = abs(number.p) or 3  # 0 is a special case, and so not the simplest
    return size + 2 * (number.q - 1) + (1 if number < 0 else 0)


def simple_rationals(limit: int) -> list[Rational]:
    """Positive fractions with numerator and denominator up to a limit, the simplest first."""
    found = {Rational(p, q) for p in range(1, limit + 1) for q in range(1, limit + 1)}
    return sorted(found, key=lambda value: (value.p + value.q, value.q))
