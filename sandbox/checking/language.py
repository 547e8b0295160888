"""The language of a reader's own claim: text ► SymPy, without ever running the text.

Python's parser makes a tree of it, and only the nodes that are arithmetic, with the names below, are turned into
mathematics, one by one; anything else is refused. Sizes are bounded before anything is computed, so that no text,
however hostile, takes long.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from sympy import Abs, Expr, Rational, Symbol, acos, cos, exp, expand_trig, nan, oo, pi, sin, sqrt, tan, zoo
from sympy.printing.pretty.stringpict import prettyForm

from sandbox.derivations.symbols import L, a, b, c, r, rho, theta
from sandbox.errors import InputError
from sandbox.measures import REGISTRY, Measure

LONGEST, LARGEST_EXPONENT, LARGEST_NUMBER, LARGEST_SIZE = 300, 12, 10**9, 40
"""Characters of a claim; exponent; numerator and denominator of a number; degree that powers may add up to."""

FUNCTIONS = {"sqrt": sqrt, "abs": Abs, "cos": cos, "sin": sin, "tan": tan, "exp": exp}
SPELLINGS = {
    "²": "**2", "³": "**3", "·": "*", "×": "*", "−": "-", "–": "-", "^": "**", "√": "sqrt",
    "≤": "<=", "≥": ">=", "≠": "!=", "ρ": "rho", "θ": "theta", "γ₁₀": "equation_10_v1", "γ": "gamma", "π": "pi",
    "λ": "lam",
}  # fmt: skip
SIGNS = {ast.Eq: "=", ast.NotEq: "≠", ast.Gt: ">", ast.GtE: "≥", ast.Lt: "<", ast.LtE: "≤"}
TURNED = {">": "<", "≥": "≤"}
_LONE_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")


class MeasureSymbol(Symbol):
    """A measure by its key, typeset as the registry says."""

    def _sympystr(self, printer):
        return self.name

    def _pretty(self, printer):
        return prettyForm(self.name)

    def _latex(self, printer):
        return REGISTRY[self.name].symbol


class Statement(NamedTuple):
    """`left sign right`, in a, b, c and names; the sign is one of = ≠ > ≥. `turned`: the reader wrote < or ≤."""

    left: Expr
    sign: str
    right: Expr
    turned: bool = False

    def as_written(self, left: Expr, right: Expr) -> tuple[Expr, str, Expr]:
        """The sides' values with the sign between them, in the reader's own order."""
        return (right, TURNED[self.sign], left) if self.turned else (left, self.sign, right)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that it names."""
        return tuple(REGISTRY[key] for key in REGISTRY if MeasureSymbol(key, real=True) in self.symbols)

    @property
    def symbols(self) -> set[Symbol]:
        """All its symbols."""
        return self.left.free_symbols | self.right.free_symbols

    @property
    def names(self) -> dict[Symbol, Expr]:
        """What its names stand for: the measures' formulas, which come out of the derivations, and θ = arccos ρ."""
        meanings = {MeasureSymbol(measure.key, real=True): measure.expression for measure in self.measures}
        return meanings | ({theta: acos(rho)} if theta in self.symbols else {})

    @property
    def needs(self) -> list[tuple[Expr, str]]:
        """What must be positive for its names to be defined, with the reason why, each once."""
        found = dict(need for measure in self.measures for need in measure.needs)
        if self.symbols & {r, rho, theta}:
            found.setdefault(a, "r, ρ and θ need x (a > 0)")
        if self.symbols & {rho, theta}:
            found.setdefault(b, "ρ and θ need x̂ (b > 0)")
        return list(found.items())

    def __str__(self) -> str:
        return " ".join(map(str, self.as_written(self.left, self.right)))


@cache
def vocabulary() -> Mapping[str, Expr]:
    """Every name that a claim may use, and its symbol."""
    measures = {key: MeasureSymbol(key, real=True) for key in REGISTRY}
    others = {"a": a, "b": b, "c": c, "r": r, "rho": rho, "theta": theta, "L": L, "pi": pi}
    return measures | others | {"gamma": measures["relative_reconstruction_bias"]}


def read_claim(text: str) -> Sequence[Statement]:
    """The statements of a claim such as `c/a * c/b == 1` or `0 < cosine**2 <= 1`.

    Raises: InputError (a ValueError), one line, for a text that is no claim in the names above.
    """
    tree = _tree(text)
    if isinstance(tree, ast.BoolOp):
        raise InputError(f"{_short(text)}: claims are checked one at a time; a chain, as in 0 <= rho <= 1, is one")
    if not isinstance(tree, ast.Compare):
        raise InputError(f"{_short(text)}: a claim compares two sides with ==, !=, <, <=, > or >=")
    sides = [_built(side, vocabulary(), text)[0] for side in (tree.left, *tree.comparators)]
    statements = []
    for left, operation, right in zip(sides, tree.ops, sides[1:], strict=False):
        sign = SIGNS.get(type(operation))
        if sign is None:
            raise InputError(f"{_short(text)}: sides are compared with ==, !=, <, <=, > or >=")
        turned = {written: sign for sign, written in TURNED.items()}.get(sign)
        statements.append(Statement(right, turned, left, True) if turned else Statement(left, sign, right))
    return statements


def read_expression(text: str, names: Mapping[str, Expr]) -> Expr:
    """One side alone, in the names given.

    >>> read_expression("2*(a*s - c)", {"a": a, "c": c, "s": Symbol("s")})
    2*a*s - 2*c
    """
    return _built(_tree(text), names, text)[0]


def _tree(text: str) -> ast.expr:
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
            f"{_short(text)}: this is no formula that can be read; products are written with *, as in 2*c"
        ) from None


def _built(node: ast.expr, names: Mapping[str, Expr], text: str) -> tuple[Expr, int]:
    """The mathematics of a node, and its size: a bound of the degrees that it may have once multiplied out."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not abs(value) <= LARGEST_NUMBER:
                raise InputError(f"{_short(text)}: a number is too large; {LARGEST_NUMBER:,} is the largest")
            return Rational(repr(value)), 0
        case ast.Name(id=name) if name in names:
            return names[name], 2 if name in REGISTRY or name == "gamma" else 1
        case ast.Name(id=name):
            near = get_close_matches(name.lower(), names, 2)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise InputError(f"{_short(text)}: there is no {_short(name)}; {hint}there are {', '.join(names)}")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as operation, operand=operand):
            inner, size = _built(operand, names, text)
            return (-inner if isinstance(operation, ast.USub) else inner), size
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return _power(_built(base, names, text), _built(exponent, names, text)[0], text)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as operation, right=right):
            return _combined(_built(left, names, text), operation, _built(right, names, text), text)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return _applied(name, *_built(argument, names, text), text)
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            raise InputError(f"{_short(text)}: {name} takes one number")
        case ast.Compare():
            raise InputError(f"{_short(text)}: a comparison cannot stand inside a formula")
    raise InputError(
        f"{_short(text)}: only numbers, names, + - * / ** and {', '.join(FUNCTIONS)} can be read, "
        f"not {_short(ast.unparse(node)) if len(text) <= LONGEST else 'this'}"
    )


def _applied(name: str, inner: Expr, size: int, text: str) -> tuple[Expr, int]:
    if name in ("cos", "sin", "tan"):
        multiple = inner / theta
        if not (multiple.is_Integer and abs(multiple) <= LARGEST_EXPONENT):
            raise InputError(f"{_short(text)}: {name} takes theta, or a whole multiple of it up to {LARGEST_EXPONENT}")
        return expand_trig(FUNCTIONS[name](inner)), int(abs(multiple))
    if name == "sqrt" and inner.is_number and inner.is_negative:
        raise InputError(f"{_short(text)}: the root of a negative number is not real")
    return FUNCTIONS[name](inner), size


def _power(of: tuple[Expr, int], exponent: Expr, text: str) -> tuple[Expr, int]:
    base, size = of
    if not (exponent.is_Rational and abs(exponent) <= LARGEST_EXPONENT and exponent.q <= 2):
        raise InputError(f"{_short(text)}: an exponent is a whole or half number up to {LARGEST_EXPONENT}")
    if base == 0 and exponent < 0:
        raise InputError(f"{_short(text)}: it divides by 0")
    if base.is_number and base.is_negative and exponent.q == 2:
        raise InputError(f"{_short(text)}: the root of a negative number is not real")
    return _bounded(base**exponent, max(1, int(abs(exponent))) * size, text)


def _combined(left: tuple[Expr, int], operation: ast.operator, right: tuple[Expr, int], text: str) -> tuple[Expr, int]:
    (u, size_u), (v, size_v) = left, right
    if isinstance(operation, ast.Div) and v == 0:
        raise InputError(f"{_short(text)}: it divides by 0")
    match operation:
        case ast.Add():
            result = u + v
        case ast.Sub():
            result = u - v
        case ast.Mult():
            result = u * v
        case _:
            result = u / v
    return _bounded(result, size_u + size_v, text)


def _bounded(result: Expr, size: int, text: str) -> tuple[Expr, int]:
    """Refuse what has grown too large; numbers are bounded at every operation, so none is ever large."""
    largest = LARGEST_NUMBER**2
    if result.has(zoo, nan, oo):
        raise InputError(f"{_short(text)}: it divides by 0")
    if size > LARGEST_SIZE or any(abs(n.p) > largest or n.q > largest for n in result.atoms(Rational)):
        raise InputError(f"{_short(text)}: too large to decide, its powers or numbers multiply to too much")
    return result, size


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
