"""A tree ► SymPy, safely: only arithmetic with known names is built, and sizes are bounded before anything is computed.

SymPy cancels as it builds (c/c is 1), so what has been divided by, and what has been taken a root of, is kept beside
the result: it is a part of where a formula is defined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from sympy import Abs, Expr, Max, Min, Rational, Symbol, acos, cos, exp, nan, oo, pi, sin, tan, zoo

from sandbox.claims.angles import is_angle, trigonometric
from sandbox.claims.grammar import Node
from sandbox.claims.tokens import short
from sandbox.errors import InputError
from sandbox.maths.symbols import Expect, lam

LARGEST_EXPONENT, LARGEST_ROOT, LARGEST_SIZE = 12, 6, 40
"""Exponent of a sum; root; degree that powers may add up to, which is also the largest exponent of one name."""

LARGEST_DIGITS, LARGEST_RESULT = 30, 10**200
"""Digits of a number before and after its point; numerator and denominator of what numbers multiply to."""

FUNCTIONS = {
    "sqrt": None, "abs": Abs, "min": Min, "max": Max, "cos": cos, "sin": sin, "tan": tan, "acos": acos, "arccos": acos,
    "exp": exp, "norm": None, "dot": None,
}  # fmt: skip
MANY = {"min", "max", "dot"}


class Value(NamedTuple):
    """A number: its formula, a bound of the degrees that it may have once multiplied out, and what it is made of.

    Attributes: random: 0 for a number; 1 for a sum of products u·v of random vectors, 3 for a norm, the root of one,
                2 for anything else that is made of them
    """

    term: Expr
    size: int = 0
    random: int = 0


class Combination(NamedTuple):
    """A combination of x and the reconstructions: the factor of each, by its name."""

    parts: Mapping[str, Expr]
    size: int = 0


Products = Callable[[str, str], Expr | None]
"""What x·x, x·x̂ and x̂·x̂ are, or None for a product that has no name."""


class TermReader:
    """Builds the formulas of one text.

    Attributes:
        used:      the names that it has met
        divisors:  what it has divided by, and radicands: what it has taken an even root of
        pairwise:  whether it speaks of one pair, x and x̂ (a norm or a product outside of E)
        averaged:  whether it speaks of expectations
        moments:   the symbols of the products u·v in it
        remarks:   what may surprise about how it has been read
    """

    def __init__(self, text: str, names: Mapping[str, Expr], products: Products, keep_expectations: bool = False):
        self.text, self.names, self.products, self.keep = text, names, products, keep_expectations
        self.used: set[str] = set()
        self.divisors: list[Expr] = []
        self.radicands: list[Expr] = []
        self.moments: set[Symbol] = set()
        self.remarks: list[str] = []
        self.pairwise = self.averaged = False

    def built(self, node: Node) -> Expr:
        """The mathematics of a node, which has to be a number."""
        value = self.value(node)
        if isinstance(value, Combination):
            raise self.refused("a vector stands where a number should; norm(x) is one, and dot(x, x_hat)", node)
        if value.random:
            self.pairwise = True
        if self.pairwise and self.averaged:
            raise self.refused("norm(x) is of one pair, E[...] an average over all: a claim speaks of one or the other")
        return value.term

    def compared(self, left: Node, right: Node, node: Node, equated: bool) -> tuple[Expr, Expr]:
        """Two sides of a comparison; that of two vectors is one of the square of their distance with 0."""
        u, v = self.value(left), self.value(right)
        if isinstance(u, Combination) or isinstance(v, Combination):
            if not equated:
                raise self.refused("vectors are equal or not; norm(x) is a number", node)
            zero = Combination({})
            u, v = (zero if isinstance(side, Value) and side.term == 0 else side for side in (u, v))
            difference = self._sum(u, self._scaled(v, Value(Rational(-1)), node), node)
            assert isinstance(difference, Combination)
            return self._dot(difference, difference, node).term, Rational(0)
        sides = self.built(left), self.built(right)
        self._same_unit(*sides, node)
        for angle, number in (sides, sides[::-1]):
            if is_angle(angle) and number.is_Rational and number:
                self.remarks.append(f"theta is in radians: {number} is {float(number * 180 / pi):.4g} degrees.")
        return sides

    def refused(self, why: str, node: Node | None = None) -> InputError:
        """The error for this text, in one line."""
        return InputError(f"{short(self.text)}: {why}" + (f" (character {node.at})" if node else ""))

    def value(self, node: Node) -> Value | Combination:
        """The mathematics of a node."""
        match node:
            case Node("number", (digits,)):
                return Value(self._number(digits, node))
            case Node("deg", (number,)):
                return Value(self.built(number) * pi / 180)
            case Node("name", (name, of)):
                return self._named(name, of, node)
            case Node("neg", (inner,)):
                return self._scaled(self.value(inner), Value(Rational(-1)), node)
            case Node("E", (inner,)):
                return self._expectation(self._number_of(inner), node)
            case Node("call", (name, arguments)):
                return self._applied(name, [self.value(one) for one in arguments], node)
            case Node("**", (base, exponent)):
                return self._power(self._number_of(base), self.built(exponent), node)
            case Node("+" | "-" as sign, (left, right)):
                factor = Value(Rational(1 if sign == "+" else -1))
                return self._sum(self.value(left), self._scaled(self.value(right), factor, node), node)
            case Node("*", (left, right)):
                return self._product(self.value(left), self.value(right), node)
            case Node("/", (left, right)):
                below = self._number_of(right)
                inverse = Value(1 / self._divides_by(below.term, node), below.size, 2 * bool(below.random))
                return self._scaled(self.value(left), inverse, node)
        raise self.refused(f"a claim ({node.kind if node.kind != 'chain' else 'a comparison'}) stands where a "
                           "number should; 'greater or equal' is >=", node)  # fmt: skip

    def _number_of(self, node: Node) -> Value:
        value = self.value(node)
        if isinstance(value, Combination):
            raise self.refused("this takes a number, not a vector: norm(x)**2 is the square of x", node)
        return value

    def _number(self, written: str, node: Node) -> Expr:
        match = re.fullmatch(r"(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?", written)
        before, after, exponent = match.groups() if match else ("", "", "0")
        power = int(exponent or 0) if len(exponent or "") < 5 else LARGEST_DIGITS * (-9 if "-" in exponent else 9)
        if len(before.lstrip("0")) + power > LARGEST_DIGITS and set(before + after) - {"0"}:
            raise self.refused(f"a number is too large; 10**{LARGEST_DIGITS} is the largest", node)
        if len(after) - power > LARGEST_DIGITS:
            raise self.refused(
                f"a number is too small, or has more than {LARGEST_DIGITS} digits behind its point", node
            )
        return Rational(written)

    def _named(self, name: str, of: str, node: Node) -> Value | Combination:
        if name == "x" or re.fullmatch("x_hat[12]?|x_hat_[12]", name):
            name = name.replace("hat_", "hat")
            if self.products(name, name) is not None:
                return Combination({name: Rational(1)}, 1)
        if name not in self.names:
            near = get_close_matches((of or name).lower(), self.names, 2)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            known = [one for one in self.names if one[-1:] not in "12" or one == "equation_10_v1"]
            raise self.refused(f"there is no {short(of or name)}; {hint}there are {', '.join(known)}", node)
        self.used.add(name)
        if of:
            self.remarks.append(f"{of} is read as {'·'.join(of)}.")
        return Value(self.names[name], 1)

    def _sum(self, left: Value | Combination, right: Value | Combination, node: Node) -> Value | Combination:
        if isinstance(left, Combination) and isinstance(right, Combination):
            names = {**left.parts, **right.parts}
            parts = {name: left.parts.get(name, Rational(0)) + right.parts.get(name, Rational(0)) for name in names}
            return Combination(parts, left.size + right.size)
        if isinstance(left, Value) and isinstance(right, Value):
            self._same_unit(left.term, right.term, node)
            random = left.random | right.random if max(left.random, right.random) < 2 else 2
            return self._bounded(left.term + right.term, left.size + right.size, random, node)
        raise self.refused("a vector and a number cannot be added", node)

    def _product(self, left: Value | Combination, right: Value | Combination, node: Node) -> Value | Combination:
        if isinstance(left, Combination) and isinstance(right, Combination):
            return self._dot(left, right, node)
        return self._scaled(left, right, node) if isinstance(right, Value) else self._scaled(right, left, node)

    def _scaled(self, left: Value | Combination, factor: Value, node: Node) -> Value | Combination:
        if isinstance(left, Combination):
            return Combination({name: part * factor.term for name, part in left.parts.items()}, left.size + factor.size)
        random = left.random + factor.random if min(left.random, factor.random) == 0 else 2
        return self._bounded(left.term * factor.term, left.size + factor.size, random, node)

    def _dot(self, left: Combination, right: Combination, node: Node) -> Value:
        whole = Rational(0)
        for u, factor in left.parts.items():
            for v, other in right.parts.items():
                product = self.products(u, v)
                if product is None:
                    raise self.refused(f"{u}·{v} has no name: two reconstructions are compared by how each is to x")
                whole += factor * other * product
                self.moments |= {symbol for symbol in product.atoms(Symbol) if product.is_Symbol}
        return self._bounded(whole, left.size + right.size, 1, node)

    def _expectation(self, inside: Value, node: Node) -> Value:
        if inside.random > 1:
            raise self.refused("E[...] takes a sum of products u·v and squares norm(u)**2, times numbers", node)
        self.averaged = True
        term = inside.term if self.keep else inside.term.replace(Expect, lambda *uv: Expect(*uv).doit())
        return Value(term, inside.size)

    def _applied(self, name: str, given: list[Value | Combination], node: Node) -> Value:
        if (len(given) != 1 and name not in MANY) or (name == "dot" and len(given) != 2):
            raise self.refused(f"{name} takes {'two vectors' if name == 'dot' else 'one number'}", node)
        vectors = [one for one in given if isinstance(one, Combination)]
        if name == "dot" and len(vectors) == 2:
            return self._dot(vectors[0], vectors[1], node)
        if name in ("norm", "abs") and vectors:
            return self._root(self._dot(vectors[0], vectors[0], node), node)
        if vectors or name in ("norm", "dot"):
            raise self.refused(f"{name} takes {'vectors' if name in ('norm', 'dot') else 'numbers'}", node)
        values = [one for one in given if isinstance(one, Value)]
        terms, size = [one.term for one in values], sum(one.size for one in values)
        random = 2 * any(one.random for one in values)
        if name == "sqrt":
            return self._power(values[0], Rational(1, 2), node)
        if name in ("min", "max"):
            for term in terms[1:]:
                self._same_unit(terms[0], term, node)
        if name in ("cos", "sin", "tan"):
            return Value(self._trigonometric(name, terms[0], node), max(size, 1) * 2, random)
        if name in ("acos", "arccos"):
            self.radicands += [1 - terms[0], 1 + terms[0]]
            return Value(self._real(acos(terms[0]), node), size, random)
        if name == "exp" and not ((terms[0] / lam).is_Integer and abs(terms[0] / lam) <= LARGEST_EXPONENT):
            raise self.refused(f"exp takes lam, or up to {LARGEST_EXPONENT} times it", node)
        return Value(FUNCTIONS[name](*terms), size, random)

    def _trigonometric(self, name: str, argument: Expr, node: Node) -> Expr:
        self._in_radians(argument, node)
        found = trigonometric(name, argument)
        if found is None:
            raise self.refused(f"{name} takes theta, a number of times it (12 at most), an angle such as 30 deg, or "
                               "a sum of those", node)  # fmt: skip
        term, divisor = found
        if divisor is not None:
            self._divides_by(divisor, node)
        return term

    def _same_unit(self, left: Expr, right: Expr, node: Node) -> None:
        """Ask back where an angle meets a number that must have been meant in degrees."""
        for angle, number in ((left, right), (right, left)):
            if is_angle(angle):
                self._in_radians(number, node)

    def _in_radians(self, number: Expr, node: Node) -> None:
        if number.is_Rational and abs(number) > 2 * pi:
            raise self.refused(f"theta is in radians, 0 to pi: {number} is no such angle; write {number} deg", node)

    def _root(self, square: Value, node: Node) -> Value:
        """√ of a square: a norm, which is always defined."""
        return Value(square.term ** Rational(1, 2), square.size, 3)

    def _power(self, value: Value, exponent: Expr, node: Node) -> Value:
        base, size, random = value
        most = LARGEST_SIZE if base.is_Atom else LARGEST_EXPONENT
        if not exponent.is_Rational:
            raise self.refused("an exponent is a number, such as 2 or 1/2", node)
        if abs(exponent) > most or exponent.q > LARGEST_ROOT:
            raise self.refused(f"an exponent is at most {most} here, with a root of {LARGEST_ROOT} at most", node)
        if exponent < 0:
            self._divides_by(base, node)
        if exponent.q > 1:
            if base.is_number and base.is_negative:
                raise self.refused("the root of a negative number is not real", node)
            self.radicands.append(base)
        random = 1 if random == 3 and exponent == 2 else 2 * bool(random) if exponent != 1 else random
        return self._bounded(base**exponent, max(1, int(abs(exponent))) * size, random, node)

    def _divides_by(self, divisor: Expr, node: Node) -> Expr:
        if divisor == 0:
            raise self.refused("it divides by 0", node)
        if not divisor.is_number:
            self.divisors.append(divisor)
        return divisor

    def _real(self, term: Expr, node: Node) -> Expr:
        if term.is_number and term.is_real is False:
            raise self.refused("it has no real value", node)
        return term

    def _bounded(self, result: Expr, size: int, random: int, node: Node) -> Value:
        """Refuse what has grown too large; numbers are bounded at every operation, so none is ever large."""
        if result.has(zoo, nan, oo):
            raise self.refused("it divides by 0", node)
        numbers = result.atoms(Rational)
        if size > LARGEST_SIZE or any(max(abs(number.p), number.q) > LARGEST_RESULT for number in numbers):
            raise self.refused("too large to decide, its powers or numbers multiply to too much", node)
        return Value(result, size, random)
