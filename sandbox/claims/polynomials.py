"""A claim's terms as polynomials, in which a new symbol, with facts about it, stands for each root, angle and so on.

Where x ≠ 0, the moments are b = a·r² and c = a·r·ρ with a > 0, r ≥ 0 and −1 ≤ ρ ≤ 1: these are the moments of all
pairs, and of nothing else. Where x = 0, c is 0 too. The n-th root of u becomes a symbol y ≥ 0 with yⁿ = u; absolute
values, maxima and angles are treated in the same way; a number such as π is enclosed by two fractions. The facts hold
wherever the claim is defined, so whatever follows from them is true. A point that they allow need not exist: it is
evaluated exactly later.
"""

# SymPy annotates parts of terms as Basic, and arithmetic on them loosely; here they are real Expr.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Iterable
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
from sandbox.claims.language import COMPARE, MIRRORED, Formula, Joined, Statement, domain
from sandbox.claims.names import moments
from sandbox.claims.vectors import sign_of
from sandbox.maths.symbols import a

MOST_TERMS = 3000


class Unsupported(Exception):
    """A term that cannot be translated: not made of polynomials, roots, absolute values and angles, or too long."""


class Sign(NamedTuple):
    """A polynomial compared with 0; the sign is =, ≠, >, ≥, < or ≤."""

    polynomial: Poly | Expr
    sign: str


Fact = Sign | Joined
"""A sign, or several joined by and, or, not, => and <=>."""


class Region(NamedTuple):
    """A part of the space of all vectors: the moments there, in the region's symbols, and facts about these symbols."""

    moments: dict[Symbol, Expr]
    facts: tuple[Fact, ...]


def regions(about: tuple[str, ...]) -> tuple[Region, Region]:
    """All vectors: those with x ≠ 0, and those with x = 0."""
    size = Symbol("size", positive=True)
    away, facts = {a: size}, [Sign(size, ">")]
    zero, edge = {a: Rational(0)}, []
    for suffix in about:
        _, b_i, c_i = moments(suffix)
        ratio, cosine = Symbol(f"ratio{suffix}", nonnegative=True), Symbol(f"cosine{suffix}", real=True)
        rest = Symbol(f"rest{suffix}", nonnegative=True)
        away |= {b_i: size * ratio**2, c_i: size * ratio * cosine}
        zero |= {b_i: rest, c_i: Rational(0)}
        facts += [Sign(ratio, "≥"), Sign(cosine + 1, "≥"), Sign(1 - cosine, "≥")]
        edge += [Sign(rest, "≥")]
    return Region(away, tuple(facts)), Region(zero, tuple(edge))


def plainly(sign: Sign) -> bool | None:
    """Whether a number satisfies the sign; None for a polynomial."""
    size = sign_of(sign.polynomial)
    return None if size is None else COMPARE[sign.sign](size, 0)


class Translation:
    """A formula in one region, as facts about polynomials.

    Attributes:
        facts:   what is known about the region's symbols and the new ones
        numbers: the new symbols that stand for a number, such as π

    Every method may raise Unsupported.
    """

    def __init__(self, region: Region):
        self.region, self.facts = region, list(region.facts)
        self.numbers: dict[Symbol, Expr] = {}
        self._made: dict[Expr, Expr] = {}

    def domain(self, formula: Formula) -> list[Fact] | None:
        """Where the formula is defined; None if that is plainly nowhere, in which case its terms may have no value."""
        bounds: dict[Fact, None] = {}
        for term, sign in domain(formula):
            here = term.subs(self.region.moments)
            if here.has(I):  # the root of a negative number: the bound of its radicand says so
                continue
            bound = self._signed(here, sign)
            if plainly(bound) is False:
                return None
            bounds[bound] = None
        return list(bounds)

    def formula(self, formula: Formula) -> Fact:
        """What the formula says."""
        if isinstance(formula, Statement):
            gap = formula.in_moments(formula.left) - formula.in_moments(formula.right)
            gap = gap.subs(self.region.moments)
            by_cosines = self._by_cosines(gap, formula.sign) if gap.has(acos) else None
            return by_cosines or self._signed(gap, formula.sign)
        return Joined(formula.how, tuple(map(self.formula, formula.parts)))

    def _signed(self, term: Expr, sign: str) -> Sign:
        above, below = self._fraction(term)
        if below.is_number:
            return Sign(above, sign if below.is_positive else MIRRORED[sign])
        return Sign(above, sign) if sign in ("=", "≠") else Sign(above * below, sign)

    def _fraction(self, term: Expr) -> tuple[Expr, Expr]:
        flat = self._flat(term)
        if flat.count_ops() > MOST_TERMS:
            raise Unsupported("it is too long")
        above, below = fraction(cancel(together(flat)) if flat.is_rational_function() else together(flat))
        return above, below

    def _flat(self, term: Expr) -> Expr:
        """The term with a symbol in place of every part that is not a polynomial."""
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
        if not (isinstance(term, Pow) and term.exp.q > 1):  # SymPy has simplified it to something without this root
            return self._flat(term)
        if term in self._made:
            return self._made[term]
        above, below = self._fraction(base)
        root = self._new(term, "root")
        unreal = Sign(above * below, "<")  # there the claim is undefined
        self.facts += [Sign(root, "≥"), Joined("or", (unreal, Sign(root**degree * below - above, "=")))]
        return root

    def _chosen(self, term: Expr, candidates: Iterable[Expr], sign: str) -> Expr:
        """The largest (≥) or smallest (≤) of the candidates."""
        flat = [self._fraction(candidate) for candidate in candidates]
        chosen = self._new(term, "chosen")
        gaps = [(chosen * below - above, below) for above, below in flat]
        self.facts.append(Joined("or", tuple(Sign(gap, "=") for gap, _ in gaps)))
        self.facts += [Sign(gap * below, sign) for gap, below in gaps]
        return chosen

    def _between(self, number: Expr) -> Symbol:
        """A symbol for an irrational number, with two fractions that enclose it."""
        fine = 10**45
        low = floor(number.evalf(80) * fine)
        if not low.is_Integer:
            raise Unsupported(f"{number} is not a real number")
        symbol = self._new(number, "number")
        self.numbers[symbol] = number
        self.facts += [
            Sign(symbol - Rational(int(low) - 1, fine), ">"),
            Sign(Rational(int(low) + 2, fine) - symbol, ">"),
        ]
        return symbol

    def _angle(self, term: Expr) -> Symbol:
        """A symbol for acos u, between 0 and π, with facts that relate an angle to its cosine."""
        u = term.args[0]
        angle = self._new(term, "angle")
        half_turn, sine = self._flat(pi), self._flat(sqrt(cancel(1 - u**2)))
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

    def _by_cosines(self, gap: Expr, sign: str) -> Fact | None:
        """Compare an angle with a number, or two angles, by cosines, which fall as angles rise; None for other gaps."""
        parts = linear(gap)
        if parts is None:
            return None
        angles = [(key, parts.pop(key)) for key in list(parts) if isinstance(key, acos)]
        rest = sum((key * factor for key, factor in parts.items()), Rational(0))
        (first, factor), *others = angles
        edge = -rest / factor  # what the first angle is compared with
        sign = sign if factor > 0 else MIRRORED[sign]
        if not others:
            if (below := edge.evalf(30) < 0) or (edge - pi).evalf(30) > 0:  # no angle reaches the edge
                holds = sign == "≠" or sign in ((">", "≥") if below else ("<", "≤"))
                return Sign(Rational(int(holds)), ">")
            return self._signed(first.args[0] - cos(edge), MIRRORED[sign])
        if len(others) == 1:
            second, other = others[0]
            if other == -factor and rest == 0:
                return self._signed(first.args[0] - second.args[0], MIRRORED[sign])
            if other == factor and edge == pi:
                return self._signed(first.args[0] + second.args[0], MIRRORED[sign])
        return None
