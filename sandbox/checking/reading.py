"""Text ► SymPy, safely: Python's parser makes a tree of it, and only arithmetic with known names is built.

Anything else is refused. Sizes are bounded before anything is computed, so that no text, however hostile, takes long.
SymPy cancels as it builds (c/c is 1), so what has been divided by, and what has been taken a root of, is kept beside
the result: it is a part of where a formula is defined.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from difflib import get_close_matches

from sympy import Abs, Expr, Rational, cos, exp, expand_trig, nan, oo, sin, sqrt, tan, zoo

from sandbox.derivations.symbols import lam, theta
from sandbox.errors import InputError

LONGEST, LARGEST_EXPONENT, LARGEST_NUMBER, LARGEST_SIZE = 300, 12, 10**9, 40
"""Characters of a text; exponent; numerator and denominator of a number; degree that powers may add up to."""

FUNCTIONS = {"sqrt": sqrt, "abs": Abs, "cos": cos, "sin": sin, "tan": tan, "exp": exp}
OF_MULTIPLES = {"cos": theta, "sin": theta, "tan": theta, "exp": lam}  # these take a whole multiple of one symbol
SPELLINGS = {
    "²": "**2", "³": "**3", "·": "*", "×": "*", "−": "-", "–": "-", "^": "**", "√": "sqrt", "≤": "<=", "≥": ">=",
    "≠": "!=", "ρ": "rho", "θ": "theta", "γ₁₀": "equation_10_v1", "γ": "gamma", "π": "pi", "λ": "lam",
    **{subscript: str(digit) for digit, subscript in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}  # fmt: skip
_LONE_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")


class Reader:
    """Builds the formulas of one text.

    Attributes:
        used:      the names that it has met
        divisors:  what it has divided by, and radicands: what it has taken an even root of
    """

    def __init__(self, text: str, names: Mapping[str, Expr]):
        self.text, self.names = text, names
        self.used: set[str] = set()
        self.divisors: list[Expr] = []
        self.radicands: list[Expr] = []

    def built(self, node: ast.expr) -> Expr:
        """The mathematics of a node of the text's tree."""
        return self._built(node)[0]

    def refused(self, why: str) -> InputError:
        """The error for this text, in one line."""
        return InputError(f"{short(self.text)}: {why}")

    def _built(self, node: ast.expr) -> tuple[Expr, int]:
        """The mathematics of a node, and its size: a bound of the degrees that it may have once multiplied out."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._number(value), 0
            case ast.Name(id=name):
                return self._named(name), 1
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as operation, operand=operand):
                inner, size = self._built(operand)
                return (-inner if isinstance(operation, ast.USub) else inner), size
            case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
                return self._power(*self._built(base), self._built(exponent)[0])
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as operation, right=right):
                return self._combined(self._built(left), operation, self._built(right))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
                return self._applied(name, *self._built(argument))
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                raise self.refused(f"{name} takes one number")
            case ast.Compare():
                raise self.refused("a comparison cannot stand inside a formula")
        known = f"only numbers, names, + - * / ** and {', '.join(FUNCTIONS)} can be read"
        raise self.refused(f"{known}, not {short(ast.unparse(node))}")

    def _number(self, value: float) -> Expr:
        if not abs(value) <= LARGEST_NUMBER:
            raise self.refused(f"a number is too large; {LARGEST_NUMBER:,} is the largest")
        if 0 < abs(value) < 1 / LARGEST_NUMBER:
            raise self.refused(f"a number is too small; 1/{LARGEST_NUMBER:,} is the smallest")
        return Rational(repr(value))

    def _named(self, name: str) -> Expr:
        if name not in self.names:
            near = get_close_matches(name.lower(), self.names, 2)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise self.refused(f"there is no {short(name)}; {hint}there are {', '.join(self.names)}")
        self.used.add(name)
        return self.names[name]

    def _applied(self, name: str, inner: Expr, size: int) -> tuple[Expr, int]:
        if name in OF_MULTIPLES:
            multiple = inner / OF_MULTIPLES[name]
            if not (multiple.is_Integer and abs(multiple) <= LARGEST_EXPONENT):
                raise self.refused(f"{name} takes {OF_MULTIPLES[name]}, or up to {LARGEST_EXPONENT} times it")
            if name == "tan":
                self.divisors.append(expand_trig(cos(inner)))
            return expand_trig(FUNCTIONS[name](inner)), int(abs(multiple))
        return self._power(inner, size, Rational(1, 2)) if name == "sqrt" else (FUNCTIONS[name](inner), size)

    def _power(self, base: Expr, size: int, exponent: Expr) -> tuple[Expr, int]:
        if not (exponent.is_Rational and abs(exponent) <= LARGEST_EXPONENT and exponent.q <= 2):
            raise self.refused(f"an exponent is a whole or half number up to {LARGEST_EXPONENT}")
        if exponent < 0:
            self._divides_by(base)
        if exponent.q == 2:
            if base.is_number and base.is_negative:
                raise self.refused("the root of a negative number is not real")
            self.radicands.append(base)
        return self._bounded(base**exponent, max(1, int(abs(exponent))) * size)

    def _combined(self, left: tuple[Expr, int], operation: ast.operator, right: tuple[Expr, int]) -> tuple[Expr, int]:
        (u, size_u), (v, size_v) = left, right
        if isinstance(operation, ast.Div):
            self._divides_by(v)
        match operation:
            case ast.Add():
                result = u + v
            case ast.Sub():
                result = u - v
            case ast.Mult():
                result = u * v
            case _:
                result = u / v
        return self._bounded(result, size_u + size_v)

    def _divides_by(self, divisor: Expr) -> None:
        if divisor == 0:
            raise self.refused("it divides by 0")
        if not divisor.is_number:
            self.divisors.append(divisor)

    def _bounded(self, result: Expr, size: int) -> tuple[Expr, int]:
        """Refuse what has grown too large; numbers are bounded at every operation, so none is ever large."""
        largest = LARGEST_NUMBER**2
        if result.has(zoo, nan, oo):
            raise self.refused("it divides by 0")
        if size > LARGEST_SIZE or any(abs(n.p) > largest or n.q > largest for n in result.atoms(Rational)):
            raise self.refused("too large to decide, its powers or numbers multiply to too much")
        return result, size


def parsed(text: str) -> ast.expr:
    """The tree of a text.

    Raises: InputError, one line, for what is no formula
    """
    if not isinstance(text, str):
        raise InputError(f"a formula is a text, such as 'c/a * c/b', not {type(text).__name__}")
    if len(text) > LONGEST:
        raise InputError(f"this text has {len(text)} characters: {LONGEST} at most are read")
    plain = " ".join(text.split())
    for spelling, python in SPELLINGS.items():
        plain = plain.replace(spelling, python)
    if not plain:
        raise InputError("the text is empty: write a formula, such as c/a * c/b")
    try:
        return ast.parse(_LONE_EQUALS.sub("==", plain), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError(
            f"{short(text)}: this is no formula that can be read; products are written with *, as in 2*c"
        ) from None


def short(text: str) -> str:
    """A text as an error message quotes it."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
