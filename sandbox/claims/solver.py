"""Z3 decides: is there a point at which a formula is defined and fails?

[de Moura and Bjørner, "Z3", TACAS 2008; Jovanović and de Moura, "Solving non-linear arithmetic", IJCAR 2012]

Its limit is a number of its own steps rather than seconds, so a busy machine reaches the same answer. The points it
finds are exact, but become counterexamples only once SymPy has confirmed them.
"""

# SymPy annotates roots and coefficients loosely, and Rational(n) as possibly NaN or infinite.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

from sympy import Expr, Poly, Rational, Symbol

from sandbox.claims.language import COMPARE, Formula, Joined
from sandbox.claims.polynomials import Fact, Region, Sign, Translation, Unsupported, plainly, regions

Z3_STEPS = 1_000_000
"""Steps that Z3 may take for one question; about a second or two."""

Z3_SECONDS = 20
"""Seconds after which Z3 is stopped even if its steps are not used up."""

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
"""Simple values of the squared length of x, the ratio of the lengths and the cosine; those that fix most come first."""


class Answer(NamedTuple):
    """What Z3 says about a formula.

    Attributes:
        kind:    "true", "false", "undefined" (defined nowhere), "unknown" or "missing" (Z3 is not installed)
        point:   values of the moments and free symbols at which it fails
        vacuous: whether it is an implication whose condition no vectors meet
        why:     why there is no answer
    """

    kind: str
    point: dict[Symbol, Expr] | None = None
    vacuous: bool = False
    why: str = ""


def z3_module() -> ModuleType | None:
    """The package z3; None where it is not installed, as in a browser."""
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
        questions: list[_Question] = []
        undecided = False
        for region in regions(about):
            question = _Question(z3, formula, region, free)
            if question.empty:
                continue
            questions.append(question)
            result, point = question.fails()
            if point:
                return Answer("false", point)
            undecided |= result != "unsat"
        if undecided:
            return Answer("unknown", why=f"Z3 did not decide it within {Z3_STEPS:,} steps")
        if all(question.undefined() for question in questions):
            return Answer("undefined")
        return Answer("true", vacuous=all(question.never_met() for question in questions))
    except Unsupported as trouble:
        return Answer("unknown", why=f"Z3 cannot handle it: {trouble}")
    except z3.Z3Exception as trouble:
        return Answer("unknown", why=f"Z3 failed: {trouble}")


def simpler(formula: Formula, about: tuple[str, ...], free: tuple[Symbol, ...]) -> Iterator[dict[Symbol, Expr]]:
    """More points with x ≠ 0 at which a formula fails, with simple values of length, ratio and cosine."""
    z3 = z3_module()
    if z3 is None:
        return
    try:
        question = _Question(z3, formula, regions(about)[0], free)
        for fixed in SIMPLE if not question.empty else ():
            _, point = question.fails(fixed)
            if point:
                yield point
    except (Unsupported, z3.Z3Exception):
        return


class _Question:
    """A formula in one region, in Z3's terms; `empty` if it is defined nowhere in the region."""

    def __init__(self, z3: Any, formula: Formula, region: Region, free: tuple[Symbol, ...]):
        self.z3, self.formula, self.region, self.free = z3, formula, region, free
        self.context = z3.Context()  # its own, so no other question or thread changes the answer
        self.variables: dict[Symbol, Any] = {}
        self.translation = Translation(region)
        bounds = self.translation.domain(formula)
        self.empty = bounds is None
        if bounds is None:
            return
        try:
            fact, unsupported = self.translation.formula(formula), None
        except Unsupported as trouble:
            fact, unsupported = None, trouble
        self.domain = [self.fact(bound) for bound in (*bounds, *self.translation.facts)]
        if unsupported or fact is None:
            self.empty = self.undefined()
            if not self.empty:
                raise unsupported or Unsupported
            return
        self.claim = self.fact(fact)
        self.condition = self.fact(fact.parts[0]) if isinstance(fact, Joined) and fact.how == "=>" else None

    def fails(self, fixed: Mapping[str, Rational] | None = None) -> tuple[str, dict[Symbol, Expr] | None]:
        """Z3's result on whether the formula fails somewhere, and such a point; `fixed` fixes symbols by name."""
        values = [
            (symbol, value) for symbol in self.symbols for name, value in (fixed or {}).items() if name in symbol.name
        ]
        equal = [self.variable(symbol) == self.number(value) for symbol, value in values]
        solver = self.solver(self.z3.Not(self.claim), *equal)
        result = str(solver.check())
        return result, self.point(solver.model()) if result == "sat" else None

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
        """A fact in Z3's terms."""
        z3 = self.z3
        if isinstance(fact, Sign):
            if (known := plainly(fact)) is not None:
                return z3.BoolVal(known, self.context)
            return COMPARE[fact.sign](self.polynomial(fact.polynomial), z3.RealVal(0, self.context))
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
            raise Unsupported(f"{number} is not a fraction")
        return self.z3.RealVal(str(number), self.context)

    def variable(self, symbol: Symbol) -> Any:
        if symbol not in self.variables:
            self.variables[symbol] = self.z3.Real(f"{symbol.name}.{len(self.variables)}", self.context)
        return self.variables[symbol]

    def point(self, model: Any) -> dict[Symbol, Expr] | None:
        """The exact values of the moments and free symbols in a model."""
        here = {symbol: self.value(model, symbol) for symbol in (*self.symbols, *self.free)}
        numbers = {self.value(model, symbol): number for symbol, number in self.translation.numbers.items()}
        here = {symbol: numbers.get(value, value) for symbol, value in here.items()}  # cos(1), not a fraction near it
        moments = {symbol: value.subs(here) for symbol, value in self.region.moments.items()}
        return moments | {symbol: here[symbol] for symbol in self.free}

    @property
    def symbols(self) -> list[Symbol]:
        """The symbols that the moments are written in."""
        own = {symbol for value in self.region.moments.values() for symbol in value.free_symbols}
        return sorted(own, key=lambda symbol: symbol.name)

    def value(self, model: Any, symbol: Symbol) -> Expr:
        """The value of a symbol in a model: a fraction, or a root of a polynomial."""
        value = model.eval(self.variable(symbol), model_completion=True)
        if self.z3.is_rational_value(value):
            return Rational(value.numerator_as_long(), value.denominator_as_long())
        unknown = Symbol("unknown")
        factors = [Rational(factor.numerator_as_long(), factor.denominator_as_long()) for factor in value.poly()]
        polynomial = Poly(sum(factor * unknown**i for i, factor in enumerate(factors)), unknown)
        return Poly(polynomial, unknown).real_roots(multiple=False)[value.index() - 1][0]
