"""`Step`: a line of mathematics that is checked, by SymPy, at the moment it is written down.

A step is a chain of terms, each related to the next: `Step("Why.", lhs, "=", middle, ">", 0)`. Every link is decided
when the step is built. One that is not decided true raises `StepError` with the step's own words, so a step that
exists has been proven. A step also has to mean something: no term may divide by what could be 0, or take an even
root of what could be negative, under the step's conditions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
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
    PoleError,
    Pow,
    Rational,
    Rel,
    Subs,
    Symbol,
    cos,
    denom,
    expand,
    factor,
    log,
    nan,
    numer,
    oo,
    simplify,
    sympify,
    tan,
    together,
    zoo,
)
from sympy.core.function import AppliedUndef

from sandbox.derivations.conditions import Conditions, points, possible
from sandbox.derivations.symbols import DEFINITIONS, GIVEN, Expect

SIGNS = {":=": r"\coloneqq", "=": "=", ">": ">", "≥": r"\ge"}
"""Each relation, and its LaTeX; `:=` gives a name to something and is true by itself."""

_KNOWN = {"=": "is_zero", ">": "is_positive", "≥": "is_nonnegative"}  # what SymPy must know of the difference


class StepError(ValueError):
    """A step that SymPy does not find true.

    Attributes: at: numbers at which it fails, where some are known, in words
    """

    def __init__(self, message: str, at: str = ""):
        super().__init__(message)
        self.at = at


class Undefined(Exception):
    """A term that could divide by 0, or take an even root of what is negative; with what it needs."""


STUMBLES = (ArithmeticError, AttributeError, NotImplementedError, PoleError, RecursionError, ValueError)
"""What SymPy raises where it cannot work something out."""


class Step:
    """One line of a proof: a reason and a chain of relations, checked when it is built.

    Args:
        reason: one sentence, why the chain holds
        chain:  terms and relations in turn: `u, "=", v, ">", 0`; or `name, ":=", value`
        where:  conditions under which it holds, beside a > 0 and b > 0 (see `Conditions`)
        names:  what the names that earlier steps gave stand for
        hint:   for whoever tries to find the last term by themselves
    Raises: StepError, which names the step, when a relation is not decided to be true.

    >>> from sympy.abc import u
    >>> Step("A square.", (u + 1) ** 2, "=", u**2 + 2 * u + 1).reason
    'A square.'
    >>> Step("A slip.", (u + 1) ** 2, "=", u**2 + 1)
    Traceback (most recent call last):
    sandbox.derivations.step.StepError: the step 'A slip.' does not hold: (u + 1)**2 = u**2 + 1 fails at u = 2
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
            raise TypeError(f"the step {reason!r} needs terms and relations in turn; relations are {' '.join(SIGNS)}")
        self.reason, self.where, self.names, self.hint = reason, tuple(where), dict(names or {}), hint
        self.terms: tuple[Expr, ...] = tuple(sympify(term) for term in chain[::2])
        self.signs: tuple[str, ...] = chain[1::2]
        if ":=" in self.signs:
            self._check_definition()
        else:
            self._check_chain()

    def _check_definition(self) -> None:
        name, value = self.terms[0], self.terms[-1]
        is_name = name.is_Symbol or (isinstance(name.func, type(Function("f"))) and all(u.is_Symbol for u in name.args))
        if self.signs != (":=",) or not is_name or value.has(name.func if name.args else name):
            raise TypeError(f"the step {self.reason!r} defines a name, or a function of symbols, by one other term")

    def _check_chain(self) -> None:
        for i, sign in enumerate(self.signs):
            if not self._is_square(i):
                self._check_link(i, sign)

    def _check_link(self, i: int, sign: str) -> None:
        pair = self.terms[i], self.terms[i + 1]
        wrong, link = f"the step {self.reason!r} does not hold:", f"{pair[0]} {sign} {pair[1]}"
        try:
            left, right = (self._value(term) for term in pair)
            point = refuted(left, sign, right)
            holds = point is None and decided(left, sign, right)
        except (Undefined, *STUMBLES) as trouble:
            raise StepError(f"{wrong} {link} {trouble}") from None
        if point is not None:
            seen = _in_sight(self._given, point)
            at = ", ".join(f"{symbol} = {value}" for symbol, value in seen.items()) if possible(seen) else ""
            raise StepError(f"{wrong} {link} fails{f' at {at}' if at else ''}", at)
        if not holds:
            raise StepError(f"{wrong} {link} cannot be decided")

    def _value(self, term: Expr) -> Expr:
        """The term's value in this step; raises Undefined where it may have none."""
        meaning = self.means(term)
        if not self._is_local and (trouble := _undefined(meaning)) is not None:
            raise Undefined(f"needs {trouble}")
        return evaluated(meaning)

    def _is_square(self, i: int) -> bool:
        """The one fact that a, b and c do not show: an expected square is not negative."""
        if self.signs[i] != "≥" or self.terms[i + 1] != 0 or not isinstance(self.terms[i], Expect):
            return False
        written = self._given.apply(_named(self.terms[i], self.names))  # are its scales real, under the conditions?
        return isinstance(written, Expect) and bool(written.is_nonnegative)

    @property
    def _is_local(self) -> bool:
        """Whether it is a series, which holds near its point, whatever holds elsewhere."""
        return any(term.has(Order) for term in self.terms)

    @property
    def _given(self) -> Conditions:
        assumed = tuple(condition for condition in GIVEN if condition.lhs not in self.names)
        return conditions(*(written_out(one, self.names) for one in (() if self._is_local else assumed + self.where)))

    def means(self, term: Expr) -> Expr:
        """What the term stands for in this step: names and definitions written out, the conditions written in."""
        return self._given.apply(written_out(term, self.names))

    @property
    def definition(self) -> tuple[Any, Expr | Lambda] | None:
        """The name and the meaning that the step gives it, if it does: a symbol, or a function and a Lambda."""
        if self.signs != (":=",):
            return None
        name, value = self.terms
        return (name.func, Lambda(name.args, value)) if name.args else (name, value)

    def __repr__(self) -> str:
        from sandbox.derivations.typeset import step_text

        return step_text(self)


def written_out(term: Expr, names: Mapping[Any, Expr | Lambda]) -> Expr:
    """The term in a, b, c and the step's free symbols: names replaced, expectations and derivatives evaluated."""
    term = _named(_named(term, names).subs(DEFINITIONS).replace(Expect, lambda *uv: Expect(*uv).doit()), names)
    return term.replace(lambda part: isinstance(part, Derivative | Subs), lambda part: part.doit())


def _named(term: Expr, names: Mapping[Any, Expr | Lambda]) -> Expr:
    for name, value in reversed(names.items()):  # a later name may use an earlier one
        term = term.replace(name, value) if isinstance(value, Lambda) else term.subs(name, value)
    return term


@lru_cache(4096)  # a proof asks for the same terms again and again; so do its mutants
def conditions(*them: Rel) -> Conditions:
    """`Conditions`, the same each time, so that equal terms under equal conditions are equal."""
    return Conditions(them)


@lru_cache(4096)
def evaluated(term: Expr) -> Expr:
    """Limits and integrals done; integrals by antiderivatives, which is much the quickest way here."""
    return term.doit(meijerg=False)


@lru_cache(4096)
def refuted(left: Expr, sign: str, right: Expr) -> dict[Symbol, Rational] | None:
    """A point where `left sign right` fails, found by trying a few, or None."""
    gap = left - right
    if gap.has(Order, Limit, Integral, AppliedUndef, oo, -oo, zoo, nan):
        return None
    for point in points(gap.free_symbols):
        value = gap.subs(point).evalf()
        if not value.is_number or value.has(nan, zoo, oo, -oo) or not (distance := abs(value).evalf()).is_Float:
            continue
        if distance > 1e-9 and (sign == "=" or not value.is_real or value < 0):
            return point
    return None


@lru_cache(4096)
def decided(left: Expr, sign: str, right: Expr) -> bool:
    """Whether SymPy finds `left sign right` true for all values of its symbols that their assumptions allow."""
    if (left - right).has(Order):
        return sign == "=" and _is_series(left, right)
    if left.is_infinite or right.is_infinite:
        return sign == "=" and left == right
    return any(getattr(form, _KNOWN[sign]) for form in _forms(left - right))


def _forms(gap: Expr) -> Iterator[Expr]:
    """The difference in the forms in which SymPy may see its sign."""
    yield (short := simplify(gap))
    yield factor(short)
    whole = together(short)
    yield expand(numer(whole)) / factor(denom(whole))
    yield factor(expand(numer(whole))) / factor(denom(whole))


def _is_series(left: Expr, right: Expr) -> bool:
    """Whether `right`, a polynomial and O(uⁿ), is the series of `left`; a series that says nothing is none."""
    order = right.getO()
    polynomial = right.removeO()
    if left.has(Order) or order is None or polynomial == 0 or order.point != (0,) or len(order.variables) != 1:
        return False
    (u,) = order.variables
    base, degree = order.expr.as_base_exp()
    if base != u or not degree.is_Integer or not polynomial.is_polynomial(u):
        return False
    sides = ((left - polynomial).series(u, 0, degree, side).removeO() for side in "+-")
    return all(simplify(rest) == 0 for rest in sides)


@lru_cache(4096)
def _undefined(term: Expr, bound: frozenset[Symbol] = frozenset()) -> str | None:
    """What a term would need in order to be defined and real, or None if it is.

    `bound`: variables of a limit or an integral around it. What depends on them is left to SymPy: a divisor may well
    be 0 at the point that is approached.
    """
    if isinstance(term, Limit | Integral):
        inside = frozenset({term.args[1]} if isinstance(term, Limit) else term.bound_symbols)
        return _undefined(term.args[0], bound | inside)
    if term in (zoo, nan):
        return "a value"
    if isinstance(term, log) and not term.free_symbols & bound and not _is(term.args[0], "is_positive"):
        return f"{term.args[0]} > 0"
    if isinstance(term, tan) and not term.free_symbols & bound and not _is(cos(term.args[0]), "is_nonzero"):
        return f"cos({term.args[0]}) ≠ 0"
    if isinstance(term, Pow) and not term.args[0].free_symbols & bound:
        base, exponent = term.args
        if exponent.is_negative and not _is(base, "is_nonzero"):
            return f"{base} ≠ 0"
        if exponent.is_Rational and exponent.q % 2 == 0 and not _is(base, "is_nonnegative"):
            return f"{base} ≥ 0"
    return next((trouble for part in term.args if (trouble := _undefined(part, bound)) is not None), None)


def _is(base: Expr, known: str) -> bool:
    return bool(getattr(base, known)) or any(getattr(form, known) for form in _forms(evaluated(base)))


def _in_sight(given: Conditions, point: Mapping[Symbol, Rational]) -> dict[Symbol, Expr]:
    """The symbols that a reader sees, and what the conditions make of them at the point."""
    shown = {name: image.subs(point) for name, image in given.image.items() if image.free_symbols <= set(point)}
    found = shown | dict(point)
    return {name: found[name] for name in sorted(found, key=str) if not isinstance(name, Dummy)}
