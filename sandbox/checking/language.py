"""The language of a reader's own claim: the names that it may use, and the statements that it makes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from sympy import Expr, Symbol, acos, pi
from sympy.printing.pretty.stringpict import prettyForm

from sandbox.checking.reading import Reader, parsed
from sandbox.derivations.step import written_out
from sandbox.derivations.symbols import L, a, b, c, r, rho, theta
from sandbox.measures import REGISTRY, Measure

SIGNS = {ast.Eq: "=", ast.NotEq: "≠", ast.Gt: ">", ast.GtE: "≥", ast.Lt: "<", ast.LtE: "≤"}
TURNED = {">": "<", "≥": "≤"}


class MeasureSymbol(Symbol):
    """A measure by its key, typeset as the registry says."""

    def _sympystr(self, printer):
        return self.name

    def _pretty(self, printer):
        return prettyForm(self.name)

    def _latex(self, printer):
        return REGISTRY[self.name].symbol


class Statement(NamedTuple):
    """`left sign right`, in a, b, c and names; the sign is one of = ≠ > ≥.

    Attributes:
        turned:    whether the reader wrote < or ≤
        used:      the names in it, also those that have cancelled
        divisors:  what it divides by, and radicands: what it takes even roots of, likewise
    """

    left: Expr
    sign: str
    right: Expr
    turned: bool = False
    used: frozenset[str] = frozenset()
    divisors: tuple[Expr, ...] = ()
    radicands: tuple[Expr, ...] = ()

    def as_written(self, left: Expr, right: Expr) -> tuple[Expr, str, Expr]:
        """The sides' values with the sign between them, in the reader's own order."""
        return (right, TURNED[self.sign], left) if self.turned else (left, self.sign, right)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that it names."""
        symbols = {vocabulary()[name] for name in self.used}
        return tuple(REGISTRY[key] for key in REGISTRY if vocabulary()[key] in symbols)

    @property
    def names(self) -> dict[Symbol, Expr]:
        """What its names stand for: the measures' formulas, which come out of the derivations, and θ = arccos ρ."""
        meanings = {vocabulary()[measure.key]: measure.expression for measure in self.measures}
        return meanings | ({theta: acos(rho)} if "theta" in self.used else {})

    @property
    def needs(self) -> list[tuple[Expr, str]]:
        """What must be positive for its names to be defined, with the reason why, each once."""
        found = dict(need for measure in self.measures for need in measure.needs)
        if self.used & {"r", "rho", "theta"}:
            found.setdefault(a, "r, ρ and θ need x (a > 0)")
        if self.used & {"rho", "theta"}:
            found.setdefault(b, "ρ and θ need x̂ (b > 0)")
        return list(found.items())

    def in_moments(self, term: Expr) -> Expr:
        """A term of it in a, b and c."""
        return written_out(term, self.names)

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
    tree, reader = parsed(text), Reader(text, vocabulary())
    if isinstance(tree, ast.BoolOp):
        raise reader.refused("claims are checked one at a time; a chain, as in 0 <= rho <= 1, is one")
    if not isinstance(tree, ast.Compare):
        raise reader.refused("a claim compares two sides with ==, !=, <, <=, > or >=")
    statements = []
    nodes = [tree.left, *tree.comparators]
    for operation, (left_node, right_node) in zip(tree.ops, pairwise(nodes), strict=True):
        reader = Reader(text, vocabulary())
        left, right = reader.built(left_node), reader.built(right_node)
        domain = frozenset(reader.used), tuple(reader.divisors), tuple(reader.radicands)
        sign = SIGNS.get(type(operation))
        if sign is None:
            raise reader.refused("sides are compared with ==, !=, <, <=, > or >=")
        turned = {written: sign for sign, written in TURNED.items()}.get(sign)
        sides = (right, turned, left, True) if turned else (left, sign, right, False)
        statements.append(Statement(*sides, *domain))
    return statements


def read_expression(text: str, names: Mapping[str, Expr]) -> Expr:
    """One side alone, in the names given.

    >>> read_expression("2*(a*s - c)", {"a": a, "c": c, "s": Symbol("s")})
    2*a*s - 2*c
    """
    return Reader(text, names).built(parsed(text))
