"""Conditions of a step, and how SymPy is made to know them: by writing the symbol in another that has no choice.

SymPy knows the sign of a symbol, not that 2c − b > 0. But every c with 2c − b > 0 is (b + q)/2 with some q > 0, and
every such q gives one. So a condition is *substituted*: it says neither more nor less, and a step proven for every
q > 0 is proven for every c that the condition allows. An equation `symbol = term` *ties* the symbol: it abbreviates
the term wherever it stands, within a derivative too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sympy import Eq, Expr, Ge, Gt, Lambda, Le, Lt, Ne, Rel, Symbol, cancel

from sandbox.maths.proof.deciding import STUMBLES, known, points
from sandbox.maths.proof.meaning import Reader, Undefined
from sandbox.maths.proof.vocabulary import NotUnderstood, free, vet
from sandbox.maths.symbols import a, b, c, offset, spread

SIGN = {Eq: "=", Ne: "≠", Gt: ">", Ge: "≥"}


class Conditions:
    """Conditions `u > v`, `u >= v`, `u != v` or `u == v`, each linear in one of its symbols, in order.

    Args:   given: conditions that hold as well, if they can be used: they are dropped where a tie makes them
                   useless, which only makes a step harder to prove
            names: what earlier definitions stand for
    Raises: TypeError for a condition of another form, one that no substitution can express, or conditions that
            no vectors meet.

    >>> v = Symbol("v", real=True)
    >>> Conditions((v - 2 > 0,)).apply(v).is_positive
    True
    """

    def __init__(
        self, conditions: Sequence[Rel], given: Sequence[Rel] = (), names: Mapping[Any, Expr | Lambda] | None = None
    ):
        self.names, self.ties, self.image = dict(names or {}), {}, {}
        self._fixed: frozenset[Symbol] = frozenset()
        turned = [condition.reversed if isinstance(condition, Lt | Le) else condition for condition in conditions]
        for condition in turned:
            if not isinstance(condition, Rel):  # decided already: by SymPy, or by Python, whose u == v is False
                raise TypeError(f"a condition relates symbols, as in u > v or Eq(u, v); it cannot be {condition}")
        try:
            vet(turned)
            free = [condition for condition in turned if not self._tie(condition)]
            for condition in (*given, *free):
                self._write(condition, condition in free)
            self._meet((*given, *turned))
        except (NotUnderstood, Undefined, *STUMBLES) as trouble:
            raise TypeError(f"cannot use the conditions {', '.join(map(str, turned))}: {trouble}") from None

    def reader(self) -> Reader:
        """A reader of terms under these conditions."""
        return Reader(self.names, self.ties, self.image, self._fixed)

    def apply(self, expression: Expr) -> Expr:
        """The expression with every condition written into its symbols."""
        return self.reader().read(expression)

    def _tie(self, condition: Rel) -> bool:
        """Take `symbol = term` as what the symbol stands for, if it is of that form."""
        symbol = condition.lhs
        if not isinstance(condition, Eq) or not isinstance(symbol, Symbol):
            return False
        reader = self.reader()
        if symbol in reader.abbreviations or symbol in reader.reach(condition.rhs):
            return False
        self.ties[symbol] = condition.rhs
        return True

    def _write(self, condition: Rel, wanted: bool) -> None:
        """Write the condition into the images, if it does not hold anyway."""
        gap = self.apply(condition.lhs) - self.apply(condition.rhs)
        if known(gap, SIGN[type(condition)]):
            return
        if isinstance(condition, Eq):
            self._fixed |= self.reader().reach(condition.lhs, condition.rhs)
        try:
            symbol, value = _substitution(condition, gap, len(self.image))
        except TypeError:
            if wanted:
                raise
            return
        self.image = {one: image.subs(symbol, value) for one, image in self.image.items()}
        self.image.setdefault(symbol, value)

    def _meet(self, conditions: Sequence[Rel]) -> None:
        """Raise TypeError unless some vectors meet all conditions at once, where every condition is defined."""
        reader = self.reader()
        gaps = [(reader.read(one.lhs) - reader.read(one.rhs), SIGN[type(one)]) for one in conditions]
        moments = {symbol: reader.read(symbol) for symbol in (a, b, c, offset, spread)}
        shown = [condition for condition in conditions if isinstance(condition, Rel)]
        for symbol in self.ties:
            reader.read(symbol)
        needs = [(need.value, need.sign) for need in reader.needs]
        terms = [value for value, _ in (*gaps, *needs)] + list(moments.values())
        for point in points(set().union(*(term.free_symbols for term in terms))):
            at = {symbol: value.subs(point) for symbol, value in moments.items()}
            if possible(at) and all(_holds(value.subs(point), sign) for value, sign in (*gaps, *needs)):
                return
        raise TypeError(f"the conditions never hold together: {', '.join(map(str, shown))}")


def _holds(value: Expr, sign: str) -> bool:
    """Whether a number is in that relation to 0; exactly where its digits leave it open."""
    glance = value.evalf()
    if not glance.is_real or abs(glance) < 1e-6:
        return bool(glance.is_real) and known(value, sign)
    return sign == "≠" or (sign != "=" and bool(glance > 0))


def possible(values: Mapping[Symbol, Expr]) -> bool:
    """Whether numbers for a, b and c can be those of vectors: a, b ≥ 0 and c² ≤ a·b (Cauchy–Schwarz)."""
    of = {symbol: values[symbol] for symbol in values if not values[symbol].free_symbols}
    if not all(_holds(of[symbol], "≥") for symbol in (a, b, offset, spread) if symbol in of):
        return False
    return any(symbol not in of for symbol in (a, b, c)) or _holds(of[a] * of[b] - of[c] ** 2, "≥")


def _substitution(condition: Rel, gap: Expr, place: int) -> tuple[Symbol, Expr]:
    """A symbol of `gap` (the condition's two sides, less each other), and what to write for it."""
    symbols = sorted(gap.free_symbols, key=_preference)
    for bounded, symbol in product((False, True), symbols):
        slope = gap.diff(symbol)
        if not slope.is_nonzero or slope.has(symbol):
            continue
        edge = cancel(-gap.subs(symbol, 0) / slope)  # where the gap closes
        if isinstance(condition, Eq):
            return symbol, edge
        if isinstance(condition, Ne):
            return symbol, edge + free(symbol.name, -place, nonzero=True)
        if isinstance(condition, Gt | Ge):
            strict = isinstance(condition, Gt)
            more = free(symbol.name, -place, positive=strict, nonnegative=not strict)
            if (found := _beyond(symbol, edge, slope, more, bounded)) is not None:
                return symbol, found
    raise TypeError(
        f"cannot use the condition {condition}: it must be linear in a symbol, and possible beside the others"
    )


def _beyond(symbol: Symbol, edge: Expr, slope: Expr, more: Symbol, bounded: bool) -> Expr | None:
    """The values of `symbol` on the side of `edge` where the gap is positive, and positive if the symbol was."""
    if bounded:
        return edge / (1 + more) if slope.is_negative and edge.is_positive else None  # between 0 and the edge
    if slope.is_positive and (not symbol.is_positive or edge.is_nonnegative):
        return edge + more
    if slope.is_negative and not symbol.is_positive:
        return edge - more
    return None


def _preference(symbol: Symbol) -> tuple[bool, str]:
    """Symbols of either sign first: writing them in a positive one loses nothing that is known."""
    return bool(symbol.is_positive), symbol.name
