"""A tree ► SymPy, safely: only arithmetic with known names is built, and sizes are bounded before anything is computed.

SymPy cancels as it builds (c/c is 1), so the reader records every divisor and every radicand: they are part of where a
formula is defined.
"""

# After is_Symbol and is_Rational, SymPy still annotates a term as Expr.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from sympy import Abs, Expr, Max, Min, Rational, Symbol, acos, exp, nan, oo, pi, zoo

from sandbox.claims.angles import is_angle, trigonometric
from sandbox.claims.grammar import Node
from sandbox.claims.tokens import short
from sandbox.errors import InputError
from sandbox.maths.symbols import lam

LARGEST_EXPONENT, LARGEST_ROOT, LARGEST_SIZE = 12, 6, 40
"""Exponent of a sum; degree of a root; total degree of a term, which also bounds the exponent of a single name."""

LARGEST_DIGITS, LARGEST_RESULT = 30, 10**200
"""Digits of a number before and after its point; numerator and denominator of any product of numbers."""

_OF_NUMBERS = {"abs": Abs, "min": Min, "max": Max, "exp": exp}
FUNCTIONS = {*_OF_NUMBERS, "sqrt", "cos", "sin", "tan", "acos", "arccos", "norm", "dot"}

FIXED, PRODUCTS, OTHER, NORM = range(4)
"""How a number depends on the random pair: not at all, as a sum of products u·v, in another way, as a norm."""


class Value(NamedTuple):
    """A number: its formula, a bound on its degree once multiplied out, and how it depends on the random pair."""

    term: Expr
    size: int = 0
    random: int = FIXED


class Combination(NamedTuple):
    """A linear combination of x and its reconstructions: the factor of each, by name."""

    parts: Mapping[str, Expr]
    size: int = 0


class TermReader:
    """Builds the terms of one text.

    Args:
        names:    what each name stands for
        products: what x·x, x·x̂ and x̂·x̂ are; None for a product that has no name

    Attributes:
        pairwise: whether the text is about one pair x, x̂ (a norm or a product outside E)
        averaged: whether it is about expectations
        remarks:  how it was read, where that may surprise
    """

    def __init__(self, text: str, names: Mapping[str, Expr], products: Callable[[str, str], Expr | None]):
        self.text, self.names, self.products = text, names, products
        self.remarks: list[str] = []
        self.pairwise = self.averaged = False
        self._used: set[Symbol] = set()
        self._divisors: list[Expr] = []
        self._radicands: list[Expr] = []

    def take_domain(self) -> tuple[frozenset[Symbol], tuple[Expr, ...], tuple[Expr, ...]]:
        """The symbols, the divisors and the radicands of even roots that were read since this was last called."""
        domain = frozenset(self._used), tuple(self._divisors), tuple(self._radicands)
        self._used, self._divisors, self._radicands = set(), [], []
        return domain

    def built(self, node: Node) -> Expr:
        """The term of a node, which must be a number."""
        return self._term(self._value(node), node)

    def compared(self, left: Node, right: Node, node: Node, equated: bool) -> tuple[Expr, Expr]:
        """The two sides of a comparison; vectors are compared by the square of their distance, and 0."""
        u, v = self._value(left), self._value(right)
        if isinstance(u, Combination) or isinstance(v, Combination):
            if not equated:
                raise self.refused("vectors can only be equal or unequal; norm(x) is a number", node)
            zero = Combination({})
            u, v = (zero if isinstance(side, Value) and side.term == 0 else side for side in (u, v))
            difference = self._sum(u, self._scaled(v, Value(Rational(-1)), node), node)
            assert isinstance(difference, Combination)
            return self._dot(difference, difference, node).term, Rational(0)
        sides = self._term(u, left), self._term(v, right)
        self._check_units(*sides, node)
        for angle, number in (sides, sides[::-1]):
            if is_angle(angle) and number.is_Rational and number:
                self.remarks.append(f"theta is in radians: {number} is {float(number * 180 / pi):.4g} degrees.")
        return sides

    def refused(self, why: str, node: Node | None = None) -> InputError:
        """The error for this text, in one line."""
        return InputError(f"{short(self.text)}: {why}" + (f" (character {node.at})" if node else ""))

    def _term(self, value: Value | Combination, node: Node) -> Expr:
        if isinstance(value, Combination):
            raise self.refused("a vector stands where a number should; use norm(x) or dot(x, x_hat)", node)
        self.pairwise |= value.random != FIXED
        if self.pairwise and self.averaged:
            raise self.refused("norm(x) is about one pair, E[...] averages over all pairs: use one or the other")
        return value.term

    def _value(self, node: Node) -> Value | Combination:
        match node:
            case Node("number", (digits,)):
                return Value(self._number(digits, node))
            case Node("deg", (number,)):
                return Value(self.built(number) * pi / 180)
            case Node("name", (name, word)):
                return self._named(name, word, node)
            case Node("neg", (inner,)):
                return self._scaled(self._value(inner), Value(Rational(-1)), node)
            case Node("E", (inner,)):
                return self._expectation(self._scalar(inner), node)
            case Node("call", (name, arguments)):
                return self._applied(name, [self._value(argument) for argument in arguments], node)
            case Node("**", (base, exponent)):
                return self._power(self._scalar(base), self.built(exponent), node)
            case Node("+" | "-" as sign, (left, right)):
                factor = Value(Rational(1 if sign == "+" else -1))
                return self._sum(self._value(left), self._scaled(self._value(right), factor, node), node)
            case Node("*", (left, right)):
                u, v = self._value(left), self._value(right)
                if isinstance(v, Value):
                    return self._scaled(u, v, node)
                return self._scaled(v, u, node) if isinstance(u, Value) else self._dot(u, v, node)
            case Node("/", (left, right)):
                divisor = self._scalar(right)
                inverse = 1 / self._divides_by(divisor.term, node)
                return self._scaled(
                    self._value(left), Value(inverse, divisor.size, OTHER if divisor.random else FIXED), node
                )
        kind = "a comparison" if node.kind == "chain" else node.kind
        raise self.refused(f"a claim ({kind}) stands where a number should; for greater or equal write >=", node)

    def _scalar(self, node: Node) -> Value:
        value = self._value(node)
        if isinstance(value, Combination):
            raise self.refused("this takes a number, not a vector; the square of x is norm(x)**2", node)
        return value

    def _number(self, written: str, node: Node) -> Expr:
        match = re.fullmatch(r"(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?", written)
        before, after, exponent = match.groups() if match else ("", "", "0")
        power = int(exponent or 0) if len(exponent or "") < 5 else LARGEST_DIGITS * (-9 if "-" in exponent else 9)
        if len(before.lstrip("0")) + power > LARGEST_DIGITS and set(before + after) - {"0"}:
            raise self.refused(f"a number is too large; the largest is 10**{LARGEST_DIGITS}", node)
        if len(after) - power > LARGEST_DIGITS:
            raise self.refused(f"a number is too small, or has more than {LARGEST_DIGITS} decimal places", node)
        return Rational(written)

    def _named(self, name: str, word: str, node: Node) -> Value | Combination:
        if name == "x" or re.fullmatch("x_hat[12]?|x_hat_[12]", name):
            name = name.replace("hat_", "hat")
            if self.products(name, name) is not None:
                return Combination({name: Rational(1)}, 1)
        if name not in self.names:
            near = get_close_matches((word or name).lower(), self.names, 2)
            names = f"did you mean {' or '.join(near)}? The names are" if near else "the names are"
            known = [other for other in self.names if other[-1:] not in "12" or other == "equation_10_v1"]
            raise self.refused(f"there is no {short(word or name)}; {names} {', '.join(known)}", node)
        if self.names[name].is_Symbol:
            self._used.add(self.names[name])
        if word:
            self.remarks.append(f"{word} is read as {'·'.join(word)}.")
        return Value(self.names[name], 1)

    def _sum(self, left: Value | Combination, right: Value | Combination, node: Node) -> Value | Combination:
        if isinstance(left, Combination) and isinstance(right, Combination):
            names = {**left.parts, **right.parts}
            parts = {name: left.parts.get(name, Rational(0)) + right.parts.get(name, Rational(0)) for name in names}
            return Combination(parts, left.size + right.size)
        if isinstance(left, Value) and isinstance(right, Value):
            self._check_units(left.term, right.term, node)
            random = max(left.random, right.random)
            return self._bounded(left.term + right.term, left.size + right.size, min(random, OTHER), node)
        raise self.refused("a vector and a number cannot be added", node)

    def _scaled(self, left: Value | Combination, factor: Value, node: Node) -> Value | Combination:
        if isinstance(left, Combination):
            return Combination({name: part * factor.term for name, part in left.parts.items()}, left.size + factor.size)
        random = OTHER if left.random and factor.random else left.random or factor.random
        return self._bounded(left.term * factor.term, left.size + factor.size, random, node)

    def _dot(self, left: Combination, right: Combination, node: Node) -> Value:
        total = Rational(0)
        for u, factor in left.parts.items():
            for v, other in right.parts.items():
                product = self.products(u, v)
                if product is None:
                    raise self.refused(f"{u}·{v} has no name: two reconstructions are compared only through x")
                total += factor * other * product
                if product.is_Symbol:
                    self._used.add(product)
        return self._bounded(total, left.size + right.size, PRODUCTS, node)

    def _expectation(self, inside: Value, node: Node) -> Value:
        if inside.random > PRODUCTS:
            raise self.refused("E[...] takes a sum of products u·v and squares norm(u)**2, times numbers", node)
        self.averaged = True
        return Value(inside.term, inside.size)

    def _applied(self, name: str, arguments: Sequence[Value | Combination], node: Node) -> Value:
        if (len(arguments) != 1 and name not in ("min", "max", "dot")) or (name == "dot" and len(arguments) != 2):
            raise self.refused(f"{name} takes {'two vectors' if name == 'dot' else 'one number'}", node)
        vectors = [argument for argument in arguments if isinstance(argument, Combination)]
        if name == "dot" and len(vectors) == 2:
            return self._dot(vectors[0], vectors[1], node)
        if name in ("norm", "abs") and vectors:
            square = self._dot(vectors[0], vectors[0], node)
            return Value(square.term ** Rational(1, 2), square.size, NORM)  # always defined, so not a radicand
        if vectors or name in ("norm", "dot"):
            raise self.refused(f"{name} takes {'vectors' if name in ('norm', 'dot') else 'numbers'}", node)
        return self._of_numbers(name, [argument for argument in arguments if isinstance(argument, Value)], node)

    def _of_numbers(self, name: str, values: list[Value], node: Node) -> Value:
        first, *others = (value.term for value in values)
        size, random = sum(value.size for value in values), OTHER if any(value.random for value in values) else FIXED
        match name:
            case "sqrt":
                return self._power(values[0], Rational(1, 2), node)
            case "cos" | "sin" | "tan":
                return Value(self._trigonometric(name, first, node), max(size, 1) * 2, random)
            case "acos" | "arccos":
                self._radicands += [1 - first, 1 + first]
                angle = acos(first)
                if angle.is_number and angle.is_real is False:
                    raise self.refused("it has no real value", node)
                return Value(angle, size, random)
            case "min" | "max":
                for term in others:
                    self._check_units(first, term, node)
            case "exp" if not ((first / lam).is_Integer and abs(first / lam) <= LARGEST_EXPONENT):
                raise self.refused(f"exp takes lam or a whole multiple of it, at most {LARGEST_EXPONENT} times", node)
        return Value(_OF_NUMBERS[name](first, *others), size, random)

    def _trigonometric(self, name: str, argument: Expr, node: Node) -> Expr:
        self._check_radians(argument, node)
        expanded = trigonometric(name, argument)
        if expanded is None:
            raise self.refused(f"{name} takes theta, a multiple of it (at most 12), an angle such as 30 deg, or a sum "
                               "of these", node)  # fmt: skip
        term, divisor = expanded
        if divisor is not None:
            self._divides_by(divisor, node)
        return term

    def _check_units(self, left: Expr, right: Expr, node: Node) -> None:
        """Refuse an angle compared with, or added to, a number that must have been meant in degrees."""
        for angle, number in ((left, right), (right, left)):
            if is_angle(angle):
                self._check_radians(number, node)

    def _check_radians(self, number: Expr, node: Node) -> None:
        if number.is_Rational and abs(number) > 2 * pi:
            raise self.refused(f"theta is in radians, from 0 to pi; for {number} degrees write {number} deg", node)

    def _power(self, value: Value, exponent: Expr, node: Node) -> Value:
        base, size, random = value
        most = LARGEST_SIZE if base.is_Atom else LARGEST_EXPONENT
        if not exponent.is_Rational:
            raise self.refused("an exponent must be a number, such as 2 or 1/2", node)
        if abs(exponent) > most or exponent.q > LARGEST_ROOT:
            raise self.refused(f"an exponent may be at most {most} here, and a root at most the {LARGEST_ROOT}th", node)
        if exponent < 0:
            self._divides_by(base, node)
        if exponent.q > 1:
            if base.is_number and base.is_negative:
                raise self.refused("the root of a negative number is not real", node)
            self._radicands.append(base)
        if random == NORM and exponent == 2:
            random = PRODUCTS
        elif random and exponent != 1:
            random = OTHER
        return self._bounded(base**exponent, max(1, int(abs(exponent))) * size, random, node)

    def _divides_by(self, divisor: Expr, node: Node) -> Expr:
        if divisor == 0:
            raise self.refused("it divides by 0", node)
        if not divisor.is_number:
            self._divisors.append(divisor)
        return divisor

    def _bounded(self, result: Expr, size: int, random: int, node: Node) -> Value:
        """The value of an operation; refused if it has grown too large, so no number ever gets large."""
        if result.has(zoo, nan, oo):
            raise self.refused("it divides by 0", node)
        numbers = result.atoms(Rational)
        if size > LARGEST_SIZE or any(max(abs(number.p), number.q) > LARGEST_RESULT for number in numbers):
            raise self.refused("too large to decide: its powers or numbers multiply to too much", node)
        return Value(result, size, random)
