"""`Step`: a line of mathematics that is checked, by SymPy, at the moment it is written down.

A step is a chain of terms, each related to the next: `Step("Why.", lhs, "=", middle, ">", 0)`. Every link is decided
when the step is built. One that is not decided true raises `StepError` with the step's own words, so a step that
exists has been proven. A step also has to mean something: no part of a term, as it is displayed, may divide by what
could be 0, or take an even root of what could be negative, under the step's conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from threading import RLock
from typing import Any

from sympy import Derivative, Dummy, Expr, Function, Lambda, Limit, Order, Rational, Rel, S, Subs, Symbol, oo, sympify
from sympy.core.function import UndefinedFunction

from sandbox.errors import InputError
from sandbox.maths.proof.calculus import eventually, limit_at_0
from sandbox.maths.proof.conditions import Conditions, possible
from sandbox.maths.proof.deciding import STUMBLES, decided, points, refuted
from sandbox.maths.proof.meaning import Reader, Undefined
from sandbox.maths.proof.vocabulary import MEANINGFUL, NotUnderstood, vet
from sandbox.maths.symbols import DEFINITIONS, GIVEN, Expect

SIGNS = {":=": r"\coloneqq", "=": "=", ">": ">", "≥": r"\ge"}
"""Each relation, and its LaTeX; `:=` gives a name to something and is true by itself."""

LOCK = RLock()
"""SymPy is asked by one thread at a time: two would find two forms of one condition, and equal terms unequal."""


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
        reason: one sentence, why the chain holds
        chain:  terms and relations in turn: `u, "=", v, ">", 0`; or `name, ":=", value`
        where:  conditions under which it holds, beside a > 0 and b > 0 (see `Conditions`)
        names:  what the names that earlier steps gave stand for
        hint:   for whoever tries to find the last term by themselves
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
            found = [sympify(term, strict=True) for term in terms]
            meanings = [value.expr if isinstance(value, Lambda) else value for value in self.names.values()]
            meanings = [value for value in meanings if value != S.IdentityFunction.expr]  # SymPy's own symbol
            functions = [name(Symbol("u", real=True)) for name in self.names if isinstance(name, UndefinedFunction)]
            symbols = [name for name in self.names if isinstance(name, Symbol)]
            vet((*found, *map(sympify, self.where), *meanings, *functions, *symbols))
        except (NotUnderstood, ValueError) as trouble:
            raise StepError(f"the step {self.reason!r} is refused: {trouble}") from None
        return found

    def _check_names(self) -> None:
        """Each name is new, and stands for something in words that are known before it."""
        later = set(self.names)
        for name, value in self.names.items():
            expression = value.expr if isinstance(value, Lambda) else value
            used = expression.atoms(Symbol) | {part.func for part in expression.atoms(Function)}
            kind = UndefinedFunction if isinstance(value, Lambda) else Symbol
            if not isinstance(name, kind) or name in MEANINGFUL or used & later:
                raise MalformedStep(f"the step {self.reason!r}: {name} may not be a name for {expression}")
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
                f"the step {self.reason!r} defines a new name, or a function of symbols, by one other term"
            )
        reader = Conditions((), GIVEN, self.names).reader()
        try:
            reader.read(value)
        except (NotUnderstood, Undefined, *STUMBLES) as trouble:
            raise StepError(f"the step {self.reason!r} is refused: {trouble}") from None
        needs = [(need.value, need.sign) for need in reader.needs]
        symbols = set().union(*(need.free_symbols for need, _ in needs))
        if not any(all(_is_so(need.subs(point), sign) for need, sign in needs) for point in points(symbols)):
            raise StepError(f"the step {self.reason!r} is refused: {value} is defined nowhere")

    def _check_chain(self) -> None:
        reader = self._conditions.reader()
        values = [self._value(reader, i) for i in range(len(self.terms))]
        for i, sign in enumerate(self.signs):
            if not self._is_square(i):
                self._check_link(i, values[i], sign, values[i + 1])

    def _value(self, reader: Reader, i: int) -> Expr:
        link = max(i - 1, 0)
        try:
            if self.terms[i] in (oo, -oo) and not (len(self.terms) == 2 and isinstance(self.terms[0], Limit)):
                raise NotUnderstood("is not understood: ∞ is the value of a limit, and no number")
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
            seen = _in_sight(self._conditions, point)
            at = ", ".join(f"{symbol} = {value}" for symbol, value in seen.items()) if possible(seen) else ""
            raise self._wrong(i, f"fails{f' at {at}' if at else ''}", at)
        if not holds:
            raise self._wrong(i, "cannot be decided")

    def _is_square(self, i: int) -> bool:
        """The one fact that a, b and c do not show: an expected square is not negative."""
        square = self.terms[i]
        return self.signs[i] == "≥" and self.terms[i + 1] == 0 and isinstance(square, Expect) and square.is_square

    def _check_series(self) -> None:
        """`function = polynomial + O(uⁿ)`: the rest over uⁿ has a limit at 0, from either side."""
        try:
            if not self._is_series():
                raise self._wrong(0, "is no series that can be checked")
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
        for place in (near, -near):
            reader = self._conditions.reader()
            value = reader.read(left, {u: place})
            if not all(eventually(need.value, need.sign, near) for need in reader.needs):
                return False
            if not limit_at_0((value - polynomial.subs(u, place)) / place**degree, near).is_finite:
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
        """What its conditions tie symbols to: `c` to b under the condition c = b."""
        return self._conditions.ties

    def reader(self) -> Reader:
        """What reads a term as this step does: names written out, conditions written in."""
        return self._conditions.reader()

    def means(self, term: Expr) -> Expr:
        """What the term stands for in this step."""
        with LOCK:
            return self.reader().whole(term)

    @property
    def definition(self) -> tuple[Any, Expr | Lambda] | None:
        """The name and the meaning that the step gives it, if it does: a symbol, or a function and a Lambda."""
        if self.signs != (":=",):
            return None
        name, value = self.terms
        return (name.func, Lambda(name.args, value)) if name.args else (name, value)

    def __repr__(self) -> str:
        from sandbox.maths.proof.typeset import step_text

        return step_text(self)


def written_out(term: Expr, names: Mapping[Any, Expr | Lambda]) -> Expr:
    """The term in a, b, c and the step's free symbols: names replaced, expectations and derivatives evaluated.

    To show, or to put numbers into. It decides nothing: `Reader` says what a term of a step stands for.
    """
    term = _named(_named(term, names).subs(DEFINITIONS).replace(Expect, lambda *uv: Expect(*uv).doit()), names)
    return term.replace(lambda part: isinstance(part, Derivative | Subs), lambda part: part.doit())


def _named(term: Expr, names: Mapping[Any, Expr | Lambda]) -> Expr:
    for name, value in reversed(names.items()):  # a later name may use an earlier one
        term = term.replace(name, value) if isinstance(value, Lambda) else term.subs(name, value)
    return term


@lru_cache(4096)  # a proof asks for the same conditions again and again; so do its mutants
def conditions(where: tuple[Rel, ...], names: tuple[tuple[Any, Expr | Lambda], ...]) -> Conditions:
    """`Conditions`, the same each time, so that equal terms under equal conditions are equal."""
    return Conditions(where, GIVEN, dict(names))


@lru_cache(4096)
def evaluated(term: Expr) -> Expr:
    """Limits and integrals done; integrals by antiderivatives, which is much the quickest way here."""
    return term.doit(meijerg=False)


def _text(term: Expr) -> str:
    try:
        return str(term)
    except STUMBLES:  # what is no vector has no text within an expectation
        return type(term).__name__


def _is_so(value: Expr, sign: str) -> bool:
    number = value.evalf()
    return bool(number.is_real and {"≠": number != 0, ">": number > 0, "≥": number >= 0}[sign])


def _in_sight(given: Conditions, point: Mapping[Symbol, Rational]) -> dict[Symbol, Expr]:
    """The symbols that a reader sees, and what the conditions make of them at the point."""
    shown = {name: image.subs(point) for name, image in given.image.items() if image.free_symbols <= set(point)}
    found = shown | dict(point)
    return {name: found[name] for name in sorted(found, key=str) if not isinstance(name, Dummy)}
