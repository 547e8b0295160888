"""The language of a reader's own claim: statements that compare two sides, and how they are joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from sympy import Expr, Symbol

from sandbox.claims.grammar import Node, parsed
from sandbox.claims.names import meanings, moments, products, vocabulary
from sandbox.claims.reading import FUNCTIONS, TermReader
from sandbox.errors import InputError
from sandbox.maths.symbols import Expect, x, x_hat

CLAIMS = ("chain", "in", "not", "and", "or", "=>", "<=>")
"""The kinds of a tree that is true or false."""

TURNED = {">": "<", "≥": "≤"}
_STRAIGHT = {"<": ">", "≤": "≥"}
VECTOR_NAMES = ("x", "x_hat", "x_hat1", "x_hat2", "E")


class Statement(NamedTuple):
    """`left sign right`, in a, b, c and names; the sign is one of = ≠ > ≥.

    Attributes:
        turned:    whether the reader wrote < or ≤
        used:      the symbols in it, also those that have cancelled
        divisors:  what it divides by, and radicands: what it takes even roots of, likewise
    """

    left: Expr
    sign: str
    right: Expr
    turned: bool = False
    used: frozenset[Symbol] = frozenset()
    divisors: tuple[Expr, ...] = ()
    radicands: tuple[Expr, ...] = ()

    def as_written(self, left: Expr, right: Expr) -> tuple[Expr, str, Expr]:
        """The sides' values with the sign between them, in the reader's own order."""
        return (right, TURNED[self.sign], left) if self.turned else (left, self.sign, right)

    @property
    def names(self) -> dict[Symbol, Expr]:
        """What its names stand for: formulas in the moments, which come out of the derivations."""
        known = meanings()
        return {one: known[one].formula for one in self.ordered if one in known and known[one].formula is not None}

    @property
    def ordered(self) -> list[Symbol]:
        """Its symbols, in the order of the vocabulary."""
        return sorted(self.used, key=lambda one: list(meanings()).index(one) if one in meanings() else -1)

    @property
    def needs(self) -> list[tuple[Expr, str]]:
        """What must be positive for its names to be defined, with the reason why, each once."""
        known = meanings()
        found: dict[Expr, str] = {}
        for symbol in self.ordered:
            for need, reason in known[symbol].needs if symbol in known else ():
                found.setdefault(need, reason)
        return list(found.items())

    def in_moments(self, term: Expr) -> Expr:
        """A term of it in the moments and free symbols."""
        return term.subs(self.names)

    def __str__(self) -> str:
        return " ".join(map(str, self.as_written(self.left, self.right)))


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


@dataclass(frozen=True)
class ParsedClaim:
    """A claim as formulas that are decided one after the other: it is true if all of them are.

    Attributes:
        free:     the names after "for all"
        pairwise: whether it speaks of one pair, x and x̂
        remarks:  how it has been read, where that may surprise
    """

    text: str
    formulas: tuple[Formula, ...]
    free: tuple[Symbol, ...] = ()
    pairwise: bool = False
    remarks: tuple[str, ...] = field(default=())

    @property
    def about(self) -> tuple[str, ...]:
        """The reconstructions that it is about: ("",) or ("_1", "_2")."""
        used = {symbol for formula in self.formulas for one in statements(formula) for symbol in one.used}
        return ("_1", "_2") if any(meanings()[one].of for one in used if one in meanings()) else ("",)

    @property
    def variables(self) -> tuple[Symbol, ...]:
        """The moments that it is about, and its free symbols."""
        return tuple(dict.fromkeys(one for of in self.about for one in moments(of))) + self.free


def read_claim(text: str) -> ParsedClaim:
    """A claim such as `c/a * c/b == 1`, `0 < rho <= 1` or `gamma < 1 => r < 1`.

    Raises: InputError (a ValueError), one line, for a text that is no claim in the vocabulary's names
    """
    names = vocabulary()
    free, condition, tree = parsed(text, [*names, *VECTOR_NAMES], set(FUNCTIONS) - {"exp"})
    symbols = {name: Symbol(name, real=True) for name in free}
    reading = _Reading(text, {**names, **symbols})
    parts = reading.conjuncts(tree)
    if condition is not None:
        given = reading.joined(condition)
        parts = [Joined("=>", (given, part)) for part in parts]
    remarks = tuple(dict.fromkeys(reading.remarks))
    claim = ParsedClaim(text, _on_one_domain(parts), tuple(symbols.values()), reading.pairwise, remarks)
    used = {meanings()[one].of for part in parts for made in statements(part) for one in made.used if one in meanings()}
    if "" in used and used & {"_1", "_2"}:
        raise InputError(
            f"{text.strip()[:60]!r}: of two SAEs each name takes a number, as in gamma1 <= gamma2; a has none"
        )
    return claim


def _on_one_domain(parts: Sequence[Formula]) -> tuple[Formula, ...]:
    """The parts, each of them defined only where all of them are, as if they were joined in one formula."""
    every = [one for part in parts for one in statements(part)]
    used = frozenset(symbol for one in every for symbol in one.used)
    divisors = tuple(dict.fromkeys(term for one in every for term in one.divisors))
    radicands = tuple(dict.fromkeys(term for one in every for term in one.radicands))

    def limited(formula: Formula) -> Formula:
        if isinstance(formula, Statement):
            return formula._replace(used=used, divisors=divisors, radicands=radicands)
        return formula._replace(parts=(limited(formula.parts[0]), *formula.parts[1:]))  # what one needs, all need

    return tuple(map(limited, parts)) if len(parts) > 1 else tuple(parts)


class _Reading:
    """Trees of claims ► formulas."""

    def __init__(self, text: str, names: Mapping[str, Expr]):
        self.text, self.names, self.pairwise = text, names, False
        self.averaged = False
        self.remarks: list[str] = []

    def conjuncts(self, node: Node) -> list[Formula]:
        """The formulas that have to hold, each by itself."""
        if node.kind == "and":
            return [part for inner in node.parts for part in self.conjuncts(inner)]
        formula = self.joined(node)
        return list(formula.parts) if isinstance(formula, Joined) and formula.how == "and" else [formula]

    def joined(self, node: Node) -> Formula:
        """The formula of a node."""
        if node.kind in ("and", "or", "=>", "<=>", "not"):
            if node.kind == "=>" and not any(part.kind in CLAIMS for part in node.parts):
                raise self._reader().refused("=> is 'implies', and joins claims; for greater or equal write >=", node)
            return Joined(node.kind, tuple(self.joined(part) for part in node.parts))
        if node.kind == "chain":
            nodes, signs = node.parts
            links = [self.compared(u, sign, v, node) for (u, v), sign in zip(pairwise(nodes), signs, strict=True)]
        elif node.kind == "in":
            value, low, high, low_belongs, high_belongs = node.parts
            ends = ((value, ">", low, low_belongs), (value, "<", high, high_belongs))
            closed = {">": "≥", "<": "≤"}
            links = [self.compared(u, closed[s] if belongs else s, v, node) for u, s, v, belongs in ends if v]
            if not links:
                raise self._reader().refused("an interval without ends says nothing", node)
        else:
            raise self._reader().refused("a claim compares two sides with ==, !=, <, <=, > or >=", node)
        return links[0] if len(links) == 1 else Joined("and", tuple(links))

    def _reader(self) -> TermReader:
        return TermReader(self.text, self.names, products)

    def compared(self, left: Node, sign: str, right: Node, node: Node) -> Statement:
        """The statement of one comparison."""
        reader = self._reader()
        reader.pairwise, reader.averaged = self.pairwise, self.averaged
        sides = reader.compared(left, right, node, sign in ("=", "≠"))
        self.pairwise, self.averaged = reader.pairwise, reader.averaged
        self.remarks += reader.remarks
        used = frozenset(self.names[name] for name in reader.used if self.names[name].is_Symbol) | reader.moments
        domain = used, tuple(reader.divisors), tuple(reader.radicands)
        if sign in _STRAIGHT:
            return Statement(sides[1], _STRAIGHT[sign], sides[0], True, *domain)
        return Statement(sides[0], sign, sides[1], False, *domain)


def read_expression(text: str, names: Mapping[str, Expr]) -> Expr:
    """One side alone, in the names given, and E[u·v] of x and x_hat, which stays as it is.

    >>> read_expression("2*(a*s - c)", {"a": Symbol("a"), "c": Symbol("c"), "s": Symbol("s")})
    2*a*s - 2*c
    """
    free, _, tree = parsed(text, [*names, "x", "x_hat", "E"], FUNCTIONS)
    reader = TermReader(text, names, _expected, keep_expectations=True)
    if free:
        raise reader.refused("a term takes no 'for all'")
    term = reader.built(tree)
    if reader.pairwise:
        raise reader.refused("x·x̂ is random; its average is E[x·x̂]")
    return term


def _expected(u: str, v: str) -> Expr | None:
    vectors = {"x": x, "x_hat": x_hat}
    if u not in vectors or v not in vectors:
        return None
    return Expect(vectors[u], vectors[v]) if (u, v) != ("x_hat", "x") else Expect(x, x_hat)
