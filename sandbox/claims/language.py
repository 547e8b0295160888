"""The language of a reader's own claim: statements, which compare two sides, and formulas, which join them."""

# SymPy annotates the keys of subs invariantly, so a dict of Symbol does not match.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from sympy import Expr, Symbol

from sandbox.claims.grammar import Node, parsed
from sandbox.claims.names import meanings, products, vocabulary
from sandbox.claims.reading import FUNCTIONS, TermReader
from sandbox.claims.tokens import short
from sandbox.errors import InputError
from sandbox.maths.symbols import Expect, x, x_hat

COMPARE = {
    "=": operator.eq,
    "≠": operator.ne,
    ">": operator.gt,
    "≥": operator.ge,
    "<": operator.lt,
    "≤": operator.le,
}
CONNECTIVES = ("and", "or", "=>", "<=>", "not")
MIRRORED = {"<": ">", "≤": "≥", ">": "<", "≥": "≤", "=": "=", "≠": "≠"}
"""The sign that says the same with its sides exchanged, or of the negatives of both sides."""

VECTOR_NAMES = ("x", "x_hat", "x_hat1", "x_hat2", "E")


class Statement(NamedTuple):
    """`left sign right`, in a, b, c and names; the sign is =, ≠, > or ≥.

    SymPy cancels as it builds the sides, so what bounds the domain is kept beside them.

    Attributes:
        turned:    whether the reader wrote < or ≤, with the sides the other way round
        used:      every symbol in it
        divisors:  every term it divides by
        radicands: every term it takes an even root of
    """

    left: Expr
    sign: str
    right: Expr
    turned: bool = False
    used: frozenset[Symbol] = frozenset()
    divisors: tuple[Expr, ...] = ()
    radicands: tuple[Expr, ...] = ()

    def as_written(self, left: Expr, right: Expr) -> tuple[Expr, str, Expr]:
        """The values of the sides with the sign between them, in the reader's own order."""
        return (right, MIRRORED[self.sign], left) if self.turned else (left, self.sign, right)

    @property
    def ordered(self) -> list[Symbol]:
        """Its symbols in the order of `meanings`, free ones first."""
        order = list(meanings())
        return sorted(self.used, key=lambda symbol: order.index(symbol) if symbol in order else -1)

    @property
    def names(self) -> dict[Symbol, Expr]:
        """The formula of each of its names in the moments, as the derivations give it."""
        known = meanings()
        return {
            name: formula for name in self.ordered if name in known and (formula := known[name].formula) is not None
        }

    @property
    def bounds(self) -> list[tuple[Expr, str]]:
        """Where it is defined: terms with the sign (>, ≠ or ≥) that relates each to 0."""
        known = meanings()
        needs = [need for symbol in self.ordered if symbol in known for need in known[symbol].needs]
        return [
            *((need, ">") for need in dict.fromkeys(needs)),
            *((divisor, "≠") for divisor in self.divisors),
            *((radicand, "≥") for radicand in self.radicands),
        ]

    @property
    def positive(self) -> list[Expr]:
        """What must be positive for its names to be defined."""
        return [term for term, sign in self.bounds if sign == ">"]

    def in_moments(self, term: Expr) -> Expr:
        """A term of the statement, in the moments and free symbols."""
        return term.subs(self.names)


class Joined(NamedTuple):
    """Formulas joined by `how`: and, or, not, => or <=>."""

    how: str
    parts: tuple[Formula, ...]


Formula = Statement | Joined


def statements(formula: Formula) -> Iterator[Statement]:
    """The statements in a formula, from left to right."""
    if isinstance(formula, Statement):
        yield formula
    else:
        for part in formula.parts:
            yield from statements(part)


def domain(formula: Formula) -> list[tuple[Expr, str]]:
    """Where a formula is defined: the bounds of its statements in the moments, the simplest terms first."""
    parts = statements(formula)
    bounds = [(statement.in_moments(term), sign) for statement in parts for term, sign in statement.bounds]
    return sorted(bounds, key=lambda bound: (">", "≠", "≥").index(bound[1]))


@dataclass(frozen=True)
class ParsedClaim:
    """A claim as formulas, all of which must hold.

    Attributes:
        free:     the names after "for all"
        pairwise: whether it is about one pair, x and x̂
        remarks:  how it was read, where that may surprise
    """

    text: str
    formulas: tuple[Formula, ...]
    free: tuple[Symbol, ...] = ()
    pairwise: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def about(self) -> tuple[str, ...]:
        """The suffixes of the reconstructions that it is about: ("",) or ("_1", "_2")."""
        return ("_1", "_2") if self.suffixes & {"_1", "_2"} else ("",)

    @property
    def suffixes(self) -> set[str | None]:
        """The suffixes of the names in it."""
        parts = [statement for formula in self.formulas for statement in statements(formula)]
        used = {symbol for statement in parts for symbol in statement.used}
        return {meanings()[symbol].suffix for symbol in used if symbol in meanings()}


def read_claim(text: str) -> ParsedClaim:
    """A claim such as `c/a * c/b == 1`, `0 < rho <= 1` or `gamma < 1 => r < 1`.

    Raises: InputError (a ValueError), one line, for a text that is not a claim in the names of `vocabulary`
    """
    names = vocabulary()
    free, condition, tree = parsed(text, [*names, *VECTOR_NAMES], FUNCTIONS - {"exp"})
    symbols = {name: Symbol(name, real=True) for name in free}
    reader = _ClaimReader(text, {**names, **symbols})
    formulas = reader.conjuncts(tree)
    if condition is not None:
        premise = reader.formula(condition)
        formulas = [Joined("=>", (premise, formula)) for formula in formulas]
    remarks = tuple(dict.fromkeys(reader.terms.remarks))
    claim = ParsedClaim(text, _on_one_domain(formulas), tuple(symbols.values()), reader.terms.pairwise, remarks)
    if "" in claim.suffixes and claim.about != ("",):
        raise InputError(f"{short(text)}: with two SAEs, every name but a needs a number, as in gamma1 <= gamma2")
    return claim


def _on_one_domain(formulas: Sequence[Formula]) -> tuple[Formula, ...]:
    """The formulas, each defined only where all of them are, as if joined in one."""
    if len(formulas) == 1:
        return tuple(formulas)
    parts = [statement for formula in formulas for statement in statements(formula)]
    used = frozenset(symbol for statement in parts for symbol in statement.used)
    divisors = tuple(dict.fromkeys(term for statement in parts for term in statement.divisors))
    radicands = tuple(dict.fromkeys(term for statement in parts for term in statement.radicands))

    def limited(formula: Formula) -> Formula:
        if isinstance(formula, Statement):
            return formula._replace(used=used, divisors=divisors, radicands=radicands)
        return formula._replace(
            parts=(limited(formula.parts[0]), *formula.parts[1:])
        )  # one part carries the needs of all

    return tuple(map(limited, formulas))


class _ClaimReader:
    """Trees of claims ► formulas."""

    def __init__(self, text: str, names: Mapping[str, Expr]):
        self.terms = TermReader(text, names, products)

    def conjuncts(self, node: Node) -> list[Formula]:
        """The formulas that must all hold, each by itself."""
        if node.kind == "and":
            return [part for inner in node.parts for part in self.conjuncts(inner)]
        formula = self.formula(node)
        return list(formula.parts) if isinstance(formula, Joined) and formula.how == "and" else [formula]

    def formula(self, node: Node) -> Formula:
        """The formula of a node."""
        if node.kind in CONNECTIVES:
            claims = (*CONNECTIVES, "chain", "in")
            if node.kind == "=>" and not any(part.kind in claims for part in node.parts):
                raise self.terms.refused("=> means 'implies' and joins claims; for greater or equal write >=", node)
            return Joined(node.kind, tuple(self.formula(part) for part in node.parts))
        if node.kind == "chain":
            nodes, signs = node.parts
            links = [self.statement(u, sign, v, node) for (u, v), sign in zip(pairwise(nodes), signs, strict=True)]
        elif node.kind == "in":
            value, low, high, with_low, with_high = node.parts
            ends = ((low, "≥" if with_low else ">"), (high, "≤" if with_high else "<"))
            links = [self.statement(value, sign, end, node) for end, sign in ends if end]
            if not links:
                raise self.terms.refused("an interval without ends says nothing", node)
        else:
            raise self.terms.refused("a claim compares two sides with ==, !=, <, <=, > or >=", node)
        return links[0] if len(links) == 1 else Joined("and", tuple(links))

    def statement(self, left: Node, sign: str, right: Node, node: Node) -> Statement:
        """The statement that one comparison makes."""
        u, v = self.terms.compared(left, right, node, sign in ("=", "≠"))
        domain = self.terms.take_domain()
        if sign in ("<", "≤"):
            return Statement(v, MIRRORED[sign], u, True, *domain)
        return Statement(u, sign, v, False, *domain)


def read_expression(text: str, names: Mapping[str, Expr]) -> Expr:
    """A term in the given names, and in E[u·v] of x and x_hat, which stays as it is.

    >>> read_expression("2*(a*s - c)", {"a": Symbol("a"), "c": Symbol("c"), "s": Symbol("s")})
    2*a*s - 2*c
    """
    free, _, tree = parsed(text, [*names, "x", "x_hat", "E"], FUNCTIONS)
    reader = TermReader(text, names, _expected)
    if free:
        raise reader.refused("'for all' belongs to a claim, not to a term")
    term = reader.built(tree)
    if reader.pairwise:
        raise reader.refused("x·x̂ is random; its average is E[x·x̂]")
    return term


def _expected(u: str, v: str) -> Expr | None:
    vectors = {"x": x, "x_hat": x_hat}
    if u not in vectors or v not in vectors:
        return None
    return Expect(vectors[u], vectors[v]) if (u, v) != ("x_hat", "x") else Expect(x, x_hat)
