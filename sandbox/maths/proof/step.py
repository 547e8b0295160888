"""`Step`: a line of mathematics that SymPy checks when it is written down.

A step is a chain of terms, each related to the next: `Step("Why.", lhs, "=", middle, ">", 0)`. Building it decides each
link. A link that is not decided to be true raises `StepError`, so a step that exists has been proven. A step must also
be defined: under its conditions, no part of a term as displayed may divide by what could be 0, or take an even root of
what could be negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from threading import RLock
from typing import Any

from sympy import (
    Derivative,
    Dummy,
    Expr,
    Function,
    Integral,
    Lambda,
    Limit,
    Order,
    Rational,
    Rel,
    S,
    Subs,
    Symbol,
    oo,
    sympify,
)
from sympy.core.function import UndefinedFunction

from sandbox.errors import InputError
from sandbox.maths.proof.calculus import eventually, limit_at_0
from sandbox.maths.proof.conditions import Conditions, possible
from sandbox.maths.proof.deciding import STUMBLES, decided, points, refuted
from sandbox.maths.proof.formulas import chain_text
from sandbox.maths.proof.meaning import Reader, Undefined
from sandbox.maths.proof.vocabulary import MEANINGFUL, NotUnderstood, vet
from sandbox.maths.symbols import DEFINITIONS, GIVEN, Expect

SIGNS = {":=": r"\coloneqq", "=": "=", ">": ">", "≥": r"\ge"}
"""Each relation with its LaTeX; `:=` names something, and is true by itself."""

VARYING = (Derivative, Integral, Limit, Subs)
"""Terms that vary a symbol, with which the terms that names stand for may vary, too."""

LOCK = RLock()
"""One thread at a time may use SymPy: two would build two forms of one condition, and equal terms would differ."""


class StepError(InputError):
    """SymPy does not find a step true; the message names the step and says why.

    Attributes: at: numbers at which it fails, in words, if any are known
    """

    def __init__(self, message: str, at: str = ""):
        super().__init__(message)
        self.at = at


class MalformedStep(StepError, TypeError):
    """What was written is not a step: no chain, not a new name, or conditions that cannot hold together."""


class Step:
    """One line of a proof: a reason and a chain of relations, checked when it is built.

    Args:
        reason: one sentence that says why the chain holds
        chain:  terms and relations in turn, `u, "=", v, ">", 0`; or a definition, `name, ":=", value`
        where:  conditions under which it holds, in addition to a > 0 and b > 0 (see `Conditions`)
        names:  names that earlier steps defined, and what they stand for
        hint:   for readers who try to find the last term themselves
    Raises: StepError if a relation is not decided to be true, or a term is not understood; MalformedStep, also a
            TypeError, if this is not a step at all

    >>> u = Symbol("u", real=True)
    >>> Step("A square.", (u + 1) ** 2, "=", u**2 + 2 * u + 1).reason
    'A square.'
    >>> Step("A slip.", (u + 1) ** 2, "=", u**2 + 1)
    Traceback (most recent call last):
    sandbox.maths.proof.step.StepError: the step 'A slip.' does not hold: (u + 1)**2 = u**2 + 1 fails at u = 2
    """

    def __init__(
        self,
        reason: str,
        *chain: Any,
        where: tuple[Rel, ...] = (),
        names: Mapping[Any, Expr | Lambda] | None = None,
        hint: str | None = None,
    ):
        if len(chain) < 3 or len(chain) % 2 == 0 or not set(chain[1::2]) <= set(SIGNS):
            raise MalformedStep(
                f"the step {reason!r} needs terms and relations in turn; relations are {' '.join(SIGNS)}"
            )
        self.reason, self.where, self.names, self.hint = reason, tuple(where), dict(names or {}), hint
        self.signs: tuple[str, ...] = chain[1::2]
        with LOCK:
            self.terms: tuple[Expr, ...] = tuple(self._vetted(chain[::2]))
            self._check_names()
            if ":=" in self.signs:
                self._check_definition()
            elif any(term.has(Order) for term in self.terms):
                self._check_series()
            else:
                self._check_chain()

    def _vetted(self, terms: tuple) -> list[Expr]:
        try:
            vetted = [sympify(term, strict=True) for term in terms]
            meanings = [value.expr if isinstance(value, Lambda) else value for value in self.names.values()]
            meanings = [value for value in meanings if value != S.IdentityFunction.expr]  # SymPy's own symbol
            functions = [name(Symbol("u", real=True)) for name in self.names if isinstance(name, UndefinedFunction)]
            symbols = [name for name in self.names if isinstance(name, Symbol)]
            vet((*vetted, *map(sympify, self.where), *meanings, *functions, *symbols))
        except (NotUnderstood, ValueError) as trouble:
            raise StepError(f"the step {self.reason!r} is refused: {trouble}") from None
        return vetted

    def _check_names(self) -> None:
        """Check that each name is new, and stands for a term in symbols and names known before it."""
        later = set(self.names)
        for name, value in self.names.items():
            expression = value.expr if isinstance(value, Lambda) else value
            used = expression.atoms(Symbol) | {part.func for part in expression.atoms(Function)}
            kind = UndefinedFunction if isinstance(value, Lambda) else Symbol
            if not isinstance(name, kind) or name in MEANINGFUL or used & later:
                raise MalformedStep(f"the step {self.reason!r}: {name} cannot be a name for {expression}")
            later.discard(name)

    def _check_definition(self) -> None:
        name, value = self.terms[0], self.terms[-1]
        is_name = isinstance(name, Symbol) or (
            isinstance(name.func, UndefinedFunction)
            and all(isinstance(u, Symbol) for u in name.args)
            and len(set(name.args)) == len(name.args) > 0
            and not set(name.args) & {*DEFINITIONS, *self.names}
        )
        word = name.func if name.args else name
        if self.signs != (":=",) or not is_name or value.has(word) or word in MEANINGFUL or word in self.names:
            raise MalformedStep(
                f"the step {self.reason!r} must define a new name (a symbol, or a function of symbols) by one term "
                "that does not contain it"
            )
        reader = Conditions((), GIVEN, self.names).reader()
        try:
            reader.read(value)
        except (NotUnderstood, Undefined, *STUMBLES) as trouble:
            raise StepError(f"the step {self.reason!r} is refused: {trouble}") from None
        needs = [(need.value, need.sign) for need in reader.needs]
        symbols = set().union(*(need.free_symbols for need, _ in needs))
        if not any(all(_holds(need.subs(point), sign) for need, sign in needs) for point in points(symbols)):
            raise StepError(f"the step {self.reason!r} is refused: {value} is defined nowhere")

    def _check_chain(self) -> None:
        reader = self._conditions.reader()
        values = [self._value(reader, i) for i in range(len(self.terms))]
        for i, sign in enumerate(self.signs):
            if not self._is_square(i) and not self._is_plain(i):
                self._check_link(i, values[i], sign, values[i + 1])

    def _value(self, reader: Reader, i: int) -> Expr:
        link = max(i - 1, 0)
        try:
            if self.terms[i] in (oo, -oo) and not (len(self.terms) == 2 and isinstance(self.terms[0], Limit)):
                raise NotUnderstood("is not understood: ∞ is not a number; only a limit can have it as its value")
            return reader.value(self.terms[i])
        except (NotUnderstood, Undefined, *STUMBLES) as trouble:
            raise self._wrong(link, str(trouble)) from None

    def _wrong(self, i: int, trouble: str, at: str = "") -> StepError:
        link = f"{_text(self.terms[i])} {self.signs[i]} {_text(self.terms[i + 1])}"
        return StepError(f"the step {self.reason!r} does not hold: {link} {trouble}", at)

    def _check_link(self, i: int, left: Expr, sign: str, right: Expr) -> None:
        try:
            point = refuted(left, sign, right)
            holds = point is None and decided(left, sign, right)
        except STUMBLES as trouble:
            raise self._wrong(i, str(trouble)) from None
        if point is not None:
            values = _displayed(self._conditions, point)
            at = ", ".join(f"{symbol} = {value}" for symbol, value in values.items()) if possible(values) else ""
            raise self._wrong(i, f"fails{f' at {at}' if at else ''}", at)
        if not holds:
            raise self._wrong(i, "cannot be decided")

    def _is_square(self, i: int) -> bool:
        """Whether link i is the one fact that a, b and c do not show: an expected square is not negative."""
        square = self.terms[i]
        return self.signs[i] == "≥" and self.terms[i + 1] == 0 and isinstance(square, Expect) and square.is_square

    def _is_plain(self, i: int) -> bool:
        """Whether link i holds by the signs of names alone, whatever numbers they stand for."""
        shown = (self.terms[i], self.terms[i + 1], *self.names.values())
        if self.signs[i] == "=" or not self._conditions.taken or any(term.has(*VARYING) for term in shown):
            return False
        try:
            reader = self._conditions.reader_of_signs()
            return decided(reader.value(self.terms[i]), self.signs[i], reader.value(self.terms[i + 1]))
        except (NotUnderstood, Undefined, *STUMBLES):
            return False

    def _check_series(self) -> None:
        """Check `function = polynomial + O(uⁿ)`: their difference over uⁿ has a limit at 0, from either side."""
        try:
            if not self._is_series():
                raise self._wrong(0, "is not a series that can be checked")
        except (NotUnderstood, Undefined, *STUMBLES) as trouble:
            raise trouble if isinstance(trouble, StepError) else self._wrong(0, str(trouble)) from None

    def _is_series(self) -> bool:
        left, right = self.terms[0], self.terms[-1]
        order, polynomial = right.getO(), right.removeO()
        if self.signs != ("=",) or left.has(Order) or order is None or polynomial == 0:
            return False
        if order.point != (0,) or len(order.variables) != 1:
            return False
        (u,) = order.variables
        base, degree = order.expr.as_base_exp()
        if base != u or not degree.is_Integer or not polynomial.is_polynomial(u) or polynomial.free_symbols - {u}:
            return False
        if any(condition.has(u) for condition in self.where) or u in self.names or u in MEANINGFUL:
            return False
        near = Dummy("epsilon", positive=True)
        for position in (near, -near):
            reader = self._conditions.reader()
            value = reader.read(left, {u: position})
            if not all(eventually(need.value, need.sign, near) for need in reader.needs):
                return False
            if not limit_at_0((value - polynomial.subs(u, position)) / position**degree, near).is_finite:
                return False
        return True

    @property
    def _conditions(self) -> Conditions:
        try:
            return conditions(self.where, tuple(self.names.items()))
        except TypeError as trouble:
            raise MalformedStep(f"the step {self.reason!r} is refused: {trouble}") from None

    @property
    def ties(self) -> dict[Symbol, Expr]:
        """The symbols that its conditions tie to terms: `c` to b under the condition c = b."""
        return self._conditions.ties

    def reader(self) -> Reader:
        """A reader of terms with this step's names and conditions."""
        return self._conditions.reader()

    def means(self, term: Expr) -> Expr:
        """What the term stands for in this step."""
        with LOCK:
            return self.reader().whole(term)

    @property
    def definition(self) -> tuple[Any, Expr | Lambda] | None:
        """The name that the step defines, and its meaning: a symbol and a term, or a function and a Lambda."""
        if self.signs != (":=",):
            return None
        name, value = self.terms
        return (name.func, Lambda(name.args, value)) if name.args else (name, value)

    def __repr__(self) -> str:
        return chain_text(self.terms, self.signs, self.where)


def written_out(term: Expr, names: Mapping[Any, Expr | Lambda]) -> Expr:
    """The term in a, b, c and the step's free symbols: names replaced, expectations and derivatives evaluated.

    Use it to display a term or put numbers into it. It decides nothing: only `Reader` says what a term stands for.
    """
    term = _named(_named(term, names).subs(DEFINITIONS).replace(Expect, lambda *uv: Expect(*uv).doit()), names)
    return term.replace(lambda part: isinstance(part, Derivative | Subs), lambda part: part.doit())


def _named(term: Expr, names: Mapping[Any, Expr | Lambda]) -> Expr:
    for name, value in reversed(names.items()):  # a later name may use an earlier one
        term = term.replace(name, value) if isinstance(value, Lambda) else term.subs(name, value)
    return term


@lru_cache(4096)  # a proof and its mutants use the same conditions many times
def conditions(where: tuple[Rel, ...], names: tuple[tuple[Any, Expr | Lambda], ...]) -> Conditions:
    """`Conditions`, the same object each time, so that equal terms under equal conditions are equal."""
    return Conditions(where, GIVEN, dict(names))


@lru_cache(4096)
def evaluated(term: Expr) -> Expr:
    """The term with its limits and integrals worked out; antiderivatives are by far the quickest way here."""
    return term.doit(meijerg=False)


def _text(term: Expr) -> str:
    try:
        return str(term)
    except STUMBLES:  # an expectation of something that is not a vector cannot be printed
        return type(term).__name__


def _holds(value: Expr, sign: str) -> bool:
    number = value.evalf()
    return bool(number.is_real and {"≠": number != 0, ">": number > 0, "≥": number >= 0}[sign])


def _displayed(conditions: Conditions, point: Mapping[Symbol, Rational]) -> dict[Symbol, Expr]:
    """The values at a point of the symbols that are displayed, rather than those that conditions put in their place."""
    images = conditions.image.items()
    values = {symbol: image.subs(point) for symbol, image in images if image.free_symbols <= set(point)} | dict(point)
    return {symbol: values[symbol] for symbol in sorted(values, key=str) if not isinstance(symbol, Dummy)}
