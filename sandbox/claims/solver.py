"""Z3 decides: is there a point at which a formula is defined and fails?

[de Moura and Bjørner, "Z3", TACAS 2008; Jovanović and de Moura, "Solving non-linear arithmetic", IJCAR 2012]

It is given a number of its own steps rather than seconds, so that a busy machine comes to the same answer. A point that
it finds is exact, and is a counterexample only once SymPy has looked at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

from sympy import Expr, Poly, Rational, Symbol

from sandbox.claims.language import Formula, Joined
from sandbox.claims.polynomials import Fact, Region, Sign, Translation, Unsupported, plainly, regions

Z3_STEPS = 1_000_000
"""Of Z3, for one question; about a second or two. Seconds beyond which it is stopped, should they not bind."""
Z3_SECONDS = 20

SIMPLE = sorted(
    (
        {name: value for name, value in zip(("size", "ratio", "cosine"), values, strict=True) if value is not None}
        for values in product(
            (Rational(1), None), (Rational(1), Rational(1, 2), Rational(2), None), (Rational(1), Rational(1, 2), None)
        )
    ),
    key=len,
    reverse=True,
)[:-1]
"""What may be fixed, most of it first: the squared length of x, the ratio of the lengths, the cosine."""


class Answer(NamedTuple):
    """What Z3 says of a formula.

    Attributes:
        kind:   "true", "false", "undefined" (nowhere defined), "unknown" or "missing" (there is no Z3)
        points: values of the moments and free symbols at which it fails
        vacuous: whether it is an implication whose condition no vectors meet
        why:    what stood in the way
    """

    kind: str
    points: tuple[dict[Symbol, Expr], ...] = ()
    vacuous: bool = False
    why: str = ""


def z3_module() -> ModuleType | None:
    """The package z3, or None where it is not installed, as in a browser."""
    try:
        import z3
    except ImportError:
        return None
    return z3


def ask(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Answer:
    """Ask Z3 whether a formula holds wherever it is defined."""
    z3 = z3_module()
    if z3 is None:
        return Answer("missing", why="Z3 is not installed (pip install z3-solver)")
    try:
        asked: list[_Question] = []
        open_end = False
        for region in regions(about):
            asked.append(question := _Question(z3, formula, region, free))
            if question.empty:
                continue
            found, point = question.fails()
            if found == "sat" and point:
                return Answer("false", (point,))
            open_end |= found != "unsat"
        if open_end:
            return Answer("unknown", why=f"Z3 did not decide it within {Z3_STEPS:,} steps")
        if all(question.empty or question.undefined() for question in asked):
            return Answer("undefined")
        return Answer("true", vacuous=all(question.empty or question.never_met() for question in asked))
    except Unsupported as trouble:
        return Answer("unknown", why=f"Z3 cannot be asked: {trouble}")
    except z3.Z3Exception as trouble:
        return Answer("unknown", why=f"Z3 stumbled: {trouble}")


def simpler(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Iterator[dict[Symbol, Expr]]:
    """More points at which a formula fails: with x ≠ 0, and some of length, ratio and cosine simple fractions."""
    z3 = z3_module()
    if z3 is None:
        return
    try:
        question = _Question(z3, formula, regions(about)[0], free)
        for fixed in SIMPLE if not question.empty else ():
            found, point = question.fails(fixed)
            if found == "sat" and point:
                yield point
    except (Unsupported, z3.Z3Exception):
        return


class _Question:
    """A formula in one region, as Z3 takes it; `empty` where it is plainly not defined there."""

    def __init__(self, z3: Any, formula: Formula, region: Region, free: tuple[Symbol, ...]):
        self.z3, self.formula, self.region, self.free = z3, formula, region, free
        self.context = z3.Context()  # one of its own: no other question, and no other thread, changes the answer
        self.variables: dict[Symbol, Any] = {}
        self.translation = Translation(region)
        domain = self.translation.domain(formula)
        self.empty = domain is None
        if domain is not None:
            try:
                said = self.translation.formula(formula)
            except Unsupported:
                self.domain = [self.fact(one) for one in (*domain, *self.translation.facts)]
                self.empty = self.undefined()
                if self.empty:
                    return
                raise
            self.domain = [self.fact(one) for one in (*domain, *self.translation.facts)]
            self.said = self.fact(said)
            self.condition = self.fact(said.parts[0]) if isinstance(said, Joined) and said.how == "=>" else None

    def fails(self, fixed: Mapping[str, Rational] | None = None) -> tuple[str, dict[Symbol, Expr] | None]:
        """Whether there is a point at which the formula fails, and the point; with some of its symbols fixed."""
        places = [(one, value) for one in self.symbols for name, value in (fixed or {}).items() if name in one.name]
        equal = [self.variable(symbol) == self.number(value) for symbol, value in places]
        solver = self.solver(self.z3.Not(self.said), *equal)
        found = str(solver.check())
        return found, self.point(solver.model()) if found == "sat" else None

    def undefined(self) -> bool:
        """Whether there is no point at which the formula is defined."""
        return str(self.solver().check()) == "unsat"

    def never_met(self) -> bool:
        """Whether the condition of an implication holds nowhere."""
        return self.condition is not None and str(self.solver(self.condition).check()) == "unsat"

    def solver(self, *more: Any) -> Any:
        solver = self.z3.SolverFor("QF_NRA", ctx=self.context)
        solver.set("rlimit", Z3_STEPS)
        solver.set("timeout", 1000 * Z3_SECONDS)
        solver.add(*self.domain, *more)
        return solver

    def fact(self, fact: Fact) -> Any:
        """Signs of polynomials, joined, for Z3."""
        z3 = self.z3
        if isinstance(fact, Sign):
            if (known := plainly(fact)) is not None:
                return z3.BoolVal(known, self.context)
            polynomial, zero = self.polynomial(fact.polynomial), z3.RealVal(0, self.context)
            return {
                "=": polynomial == zero,
                "≠": polynomial != zero,
                ">": polynomial > zero,
                "≥": polynomial >= zero,
                "<": polynomial < zero,
                "≤": polynomial <= zero,
            }[fact.sign]
        parts = [self.fact(part) for part in fact.parts]
        match fact.how:
            case "not":
                return z3.Not(parts[0])
            case "=>":
                return z3.Implies(*parts)
            case "<=>":
                return parts[0] == parts[1]
            case _:
                return z3.And(*parts) if fact.how == "and" else z3.Or(*parts)

    def polynomial(self, term: Expr) -> Any:
        symbols = sorted(term.free_symbols, key=lambda symbol: symbol.sort_key())
        total = self.z3.RealVal(0, self.context)
        for exponents, factor in Poly(term, *symbols).terms():
            product = self.number(factor)
            for symbol, exponent in zip(symbols, exponents, strict=True):
                for _ in range(exponent):
                    product = product * self.variable(symbol)
            total = total + product
        return total

    def number(self, number: Expr) -> Any:
        if not number.is_Rational:
            raise Unsupported(f"{number} is no fraction")
        return self.z3.RealVal(str(number), self.context)

    def variable(self, symbol: Symbol) -> Any:
        if symbol not in self.variables:
            self.variables[symbol] = self.z3.Real(f"{symbol.name}.{len(self.variables)}", self.context)
        return self.variables[symbol]

    def point(self, model: Any) -> dict[Symbol, Expr] | None:
        """The moments and free symbols of a model, exactly."""
        here = {symbol: self.value(model, symbol) for symbol in (*self.symbols, *self.free)}
        numbers = {self.value(model, symbol): number for symbol, number in self.translation.numbers.items()}
        here = {symbol: numbers.get(value, value) for symbol, value in here.items()}  # cos(1), not what lies near it
        moments = {symbol: value.subs(here) for symbol, value in self.region.moments.items()}
        return moments | {symbol: here[symbol] for symbol in self.free}

    @property
    def symbols(self) -> list[Symbol]:
        """Those that the moments are written in."""
        own = {symbol for value in self.region.moments.values() for symbol in value.free_symbols}
        return sorted(own, key=lambda symbol: symbol.name)

    def value(self, model: Any, symbol: Symbol) -> Expr:
        """A symbol's number in a model: a fraction, or a root of a polynomial."""
        value = model.eval(self.variable(symbol), model_completion=True)
        if self.z3.is_rational_value(value):
            return Rational(value.numerator_as_long(), value.denominator_as_long())
        unknown = Symbol("unknown")
        factors = [Rational(one.numerator_as_long(), one.denominator_as_long()) for one in value.poly()]
        polynomial = Poly(sum(factor * unknown**i for i, factor in enumerate(factors)), unknown)
        return Poly(polynomial, unknown).real_roots(multiple=False)[value.index() - 1][0]
