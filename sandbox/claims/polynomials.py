"""A claim's terms as polynomials: what is no polynomial becomes a symbol with facts that hold of it.

Where x ≠ 0, the moments are b = a·r² and c = a·r·ρ, with a > 0, r ≥ 0 and −1 ≤ ρ ≤ 1: every pair, and nothing else.
Where x = 0, c is 0, too. A root is a symbol y ≥ 0 with yⁿ = u, and an absolute value, a maximum or an angle likewise;
numbers such as π lie between two fractions. The facts are true wherever the claim is defined, so what follows from them
follows. What they allow need not be: it is looked at exactly afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sympy import (
    Abs,
    Dummy,
    Expr,
    I,
    Max,
    Min,
    Poly,
    Pow,
    Rational,
    Symbol,
    acos,
    cancel,
    cos,
    floor,
    fraction,
    pi,
    sqrt,
    together,
)

from sandbox.claims.angles import linear
from sandbox.claims.language import Formula, Joined, Statement, statements
from sandbox.claims.names import moments
from sandbox.maths.symbols import a

MOST_TERMS = 3000
REVERSED = {">": "<", "≥": "≤", "=": "=", "≠": "≠", "<": ">", "≤": "≥"}
TRUE, FALSE = Rational(1), Rational(0)


class Unsupported(Exception):
    """A term that is not made of polynomials, roots, absolute values and angles."""


class Sign(NamedTuple):
    """A polynomial compared with 0; the sign is one of = ≠ > ≥ < ≤."""

    polynomial: Poly | Expr
    sign: str


Fact = Sign | Joined
"""Signs, joined by and, or, not, => and <=>."""


class Region(NamedTuple):
    """A part of the vectors: what the moments are there, and the facts that bound its symbols."""

    moments: dict[Symbol, Expr]
    facts: tuple[Fact, ...]


def regions(about: tuple[str, ...]) -> tuple[Region, Region]:
    """All vectors: those with x ≠ 0, and those with x = 0."""
    size = Symbol("size", positive=True)
    away, facts = {a: size}, [Sign(size, ">")]
    zero, edge = {a: Rational(0)}, []
    for of in about:
        _, b_i, c_i = moments(of)
        ratio, cosine = Symbol(f"ratio{of}", nonnegative=True), Symbol(f"cosine{of}", real=True)
        rest = Symbol(f"rest{of}", nonnegative=True)
        away |= {b_i: size * ratio**2, c_i: size * ratio * cosine}
        zero |= {b_i: rest, c_i: Rational(0)}
        facts += [Sign(ratio, "≥"), Sign(cosine + 1, "≥"), Sign(1 - cosine, "≥")]
        edge += [Sign(rest, "≥")]
    return Region(away, tuple(facts)), Region(zero, tuple(edge))


def plainly(sign: Sign) -> bool | None:
    """Whether a number is in that relation to 0; None for a polynomial."""
    number = sign.polynomial
    if number.free_symbols:
        return None
    size = int(bool(number > 0)) - int(bool(number < 0))
    return {"=": size == 0, "≠": size != 0, ">": size > 0, "≥": size >= 0, "<": size < 0, "≤": size <= 0}[sign.sign]


def _bounds(formula: Formula) -> Iterator[tuple[Expr, str]]:
    """What has to be positive, not 0 or not negative: what a term is made of before the term."""
    yield from ((need, ">") for one in statements(formula) for need, _ in one.needs)
    yield from ((one.in_moments(term), "≠") for one in statements(formula) for term in one.divisors)
    yield from ((one.in_moments(term), "≥") for one in statements(formula) for term in one.radicands)


class Translation:
    """A formula in one region, as facts about polynomials.

    Attributes:
        facts:   what holds of the symbols that have been made
        numbers: those of them that stand for a number, such as π
    Raises: Unsupported, from each method
    """

    def __init__(self, region: Region):
        self.region, self.facts = region, list(region.facts)
        self.numbers: dict[Symbol, Expr] = {}
        self._made: dict[Expr, Expr] = {}

    def domain(self, formula: Formula) -> list[Fact] | None:
        """Where the formula is defined; None where a part of it plainly is not, and the rest may have no value."""
        found: dict[Fact, None] = {}
        for term, sign in _bounds(formula):
            if term.subs(self.region.moments).has(I):  # a root of what is negative: its radicand says so
                continue
            fact = self.sign(term, sign)
            if plainly(fact) is False:
                return None
            found[fact] = None
        return list(found)

    def formula(self, formula: Formula) -> Fact:
        """What the formula says."""
        if isinstance(formula, Statement):
            return self.compared(formula.in_moments(formula.left), formula.sign, formula.in_moments(formula.right))
        return Joined(formula.how, tuple(map(self.formula, formula.parts)))  # type: ignore[arg-type]

    def compared(self, left: Expr, sign: str, right: Expr) -> Fact:
        """Two terms in the moments; angles between 0 and π by their cosines, which fall where they rise."""
        gap = (left - right).subs(self.region.moments)
        if gap.has(acos) and (fact := self._by_cosines(gap, sign)) is not None:
            return fact
        return self._signed(gap, sign)

    def sign(self, term: Expr, sign: str) -> Sign:
        """A term in the moments, compared with 0."""
        return self._signed(term.subs(self.region.moments), sign)

    def _signed(self, term: Expr, sign: str) -> Sign:
        above, below = self._fraction(term)
        if below.is_number:
            return Sign(above, sign if below.is_positive else REVERSED[sign])
        return Sign(above, sign) if sign in ("=", "≠") else Sign(above * below, sign)

    def _fraction(self, term: Expr) -> tuple[Expr, Expr]:
        flat = self._flat(term)
        if flat.count_ops() > MOST_TERMS:
            raise Unsupported("it is too long")
        above, below = fraction(cancel(together(flat)) if flat.is_rational_function() else together(flat))
        return above, below

    def _flat(self, term: Expr) -> Expr:
        """The term with symbols for whatever is no polynomial."""
        if term.is_Rational or term.is_Symbol:
            return term
        if term in self._made:
            return self._made[term]
        if term.is_Add or term.is_Mul or (term.is_Pow and term.exp.is_Integer):
            return term.func(*map(self._flat, term.args))
        if isinstance(term, Pow) and term.exp.is_Rational:
            return self._root(term.base, term.exp.q) ** term.exp.p
        if isinstance(term, Abs):
            return self._chosen(term, (term.args[0], -term.args[0]), "≥")
        if isinstance(term, Max | Min):
            return self._chosen(term, term.args, "≥" if isinstance(term, Max) else "≤")
        if isinstance(term, acos) and term.free_symbols:
            return self._angle(term)
        if term.is_number and term.is_real:
            return self._between(term)
        raise Unsupported(f"{term} is not made of polynomials, roots and angles")

    def _new(self, term: Expr, name: str) -> Symbol:
        self._made[term] = symbol = Dummy(name, real=True)
        return symbol

    def _root(self, base: Expr, degree: int) -> Expr:
        term = base ** Rational(1, degree)
        if not (isinstance(term, Pow) and term.exp.q > 1):  # it is none, once simplified
            return self._flat(term)
        if term in self._made:
            return self._made[term]
        above, below = self._fraction(base)
        root = self._new(term, "root")
        unreal = Sign(above * below, "<")  # where the claim is not defined
        self.facts += [Sign(root, "≥"), Joined("or", (unreal, Sign(root**degree * below - above, "=")))]
        return root

    def _chosen(self, term: Expr, candidates: Iterable[Expr], sign: str) -> Expr:
        """The one of the candidates that is on that side of all of them."""
        flat = [self._fraction(one) for one in candidates]
        chosen = self._new(term, "chosen")
        gaps = [(chosen * below - above, below) for above, below in flat]
        self.facts.append(Joined("or", tuple(Sign(gap, "=") for gap, _ in gaps)))
        self.facts += [Sign(gap * below, sign) for gap, below in gaps]
        return chosen

    def _between(self, number: Expr) -> Symbol:
        """A real number that is no fraction, by two fractions that it lies between."""
        fine = 10**45
        low = floor(number.evalf(80) * fine)
        if not low.is_Integer:
            raise Unsupported(f"{number} is no real number")
        symbol = self._new(number, "number")
        self.numbers[symbol] = number
        self.facts += [
            Sign(symbol - Rational(int(low) - 1, fine), ">"),
            Sign(Rational(int(low) + 2, fine) - symbol, ">"),
        ]
        return symbol

    def _angle(self, term: Expr) -> Symbol:
        """acos u: between 0 and π, with facts that an angle and its cosine have in common."""
        u = term.args[0]
        angle = self._new(term, "angle")
        half_turn, sine = self._between_once(pi), self._flat(sqrt(cancel(1 - u**2)))
        above, below = self._fraction(u)
        cosine = self._new(Symbol(f"cosine of {angle.name} {len(self._made)}"), "cosine")
        self.facts += [
            Sign(cosine * below - above, "="),
            Sign(angle, "≥"),
            Sign(half_turn - angle, "≥"),
            Joined("<=>", (Sign(cosine, ">"), Sign(half_turn - 2 * angle, ">"))),
            Joined("<=>", (Sign(cosine, "="), Sign(half_turn - 2 * angle, "="))),
            Joined("<=>", (Sign(cosine - 1, "="), Sign(angle, "="))),
            Joined("<=>", (Sign(cosine + 1, "="), Sign(half_turn - angle, "="))),
            Sign(cosine - 1 + angle**2 / 2, "≥"),
            Sign(1 - angle**2 / 2 + angle**4 / 24 - cosine, "≥"),
            Sign(angle - sine, "≥"),
            Sign(sine - angle + angle**3 / 6, "≥"),
        ]
        return angle

    def _between_once(self, number: Expr) -> Expr:
        return self._made[number] if number in self._made else self._between(number)

    def _by_cosines(self, gap: Expr, sign: str) -> Fact | None:
        """A comparison of one angle with a number, or of two angles, without angles; None where it is neither."""
        parts = linear(gap)
        if parts is None:
            return None
        angles = [(key, parts.pop(key)) for key in list(parts) if isinstance(key, acos)]
        rest = sum((key * factor for key, factor in parts.items()), Rational(0))
        (first, factor), *others = angles
        edge = -rest / factor  # first compared with this
        sign = sign if factor > 0 else REVERSED[sign]
        if not others:
            if edge.evalf(30) < 0 or (edge - pi).evalf(30) > 0:
                return Sign(TRUE if _holds_beyond(sign, bool(edge.evalf(30) < 0)) else FALSE, ">")
            return self._signed(first.args[0] - cos(edge), REVERSED[sign])
        if len(others) == 1:
            second, other = others[0]
            if other == -factor and rest == 0:
                return self._signed(first.args[0] - second.args[0], REVERSED[sign])
            if other == factor and edge == pi:
                return self._signed(first.args[0] + second.args[0], REVERSED[sign])
        return None


def _holds_beyond(sign: str, below: bool) -> bool:
    """Whether an angle is in that relation to a number below 0, or above π."""
    return sign == "≠" or sign in ((">", "≥") if below else ("<", "≤"))
