"""Conditions of a step, which SymPy learns by substitution.

SymPy can know the sign of a symbol, but not that 2c − b > 0. Yet every c with 2c − b > 0 is (b + q)/2 for some q > 0,
and every such q gives such a c. So (b + q)/2 is *substituted* for c: this says neither more nor less than the
condition, and a step proven for every q > 0 is proven for every c that the condition allows. An equation
`symbol = term` *ties* the symbol: it abbreviates the term wherever it occurs, within a derivative too. Where
`name > 0` cannot be substituted, the name itself is *taken* as any positive number: what holds for all of them holds
for the term that it names.
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
    """Conditions u > v, u ≥ v, u ≠ v or u = v (as `Eq` and `Ne`), each linear in one of its symbols.

    Args:   conditions: they are written into the symbols in this order
            given:      further conditions, dropped where a tie makes them unusable; that only makes a step harder to
                        prove
            names:      what earlier definitions stand for
    Raises: TypeError for a condition of another form, one that no substitution can express, or conditions that
            no vectors meet

    >>> v = Symbol("v", real=True)
    >>> Conditions((v - 2 > 0,)).apply(v).is_positive
    True
    """

    def __init__(
        self, conditions: Sequence[Rel], given: Sequence[Rel] = (), names: Mapping[Any, Expr | Lambda] | None = None
    ):
        self.names, self.ties, self.image = dict(names or {}), {}, {}
        self.taken: dict[Symbol, Symbol] = {}
        self._fixed: frozenset[Symbol] = frozenset()
        turned = [condition.reversed if isinstance(condition, Lt | Le) else condition for condition in conditions]
        for condition in turned:
            if not isinstance(condition, Rel):  # decided already: by SymPy, or by Python, whose u == v is False
                raise TypeError(f"a condition relates symbols, as in u > v or Eq(u, v); it cannot be {condition}")
        try:
            vet(turned)
            untied = [condition for condition in turned if not self._tie(condition)]
            for condition in (*given, *untied):
                self._write(condition, condition in untied)
            self._meet(given, turned)
        except (NotUnderstood, Undefined, *STUMBLES) as trouble:
            raise TypeError(f"cannot use the conditions {', '.join(map(str, turned))}: {trouble}") from None

    def reader(self) -> Reader:
        """A reader of terms under these conditions."""
        return Reader(self.names, self.ties, self.image, self._fixed)

    def reader_of_signs(self) -> Reader:
        """A reader that knows no more than the sign of the names taken."""
        names = {name: value for name, value in self.names.items() if name not in self.taken}
        return Reader(names, self.ties, self.image | self.taken, self._fixed)

    def apply(self, expression: Expr) -> Expr:
        """The expression with every condition written into its symbols."""
        return self.reader().read(expression)

    def _tie(self, condition: Rel) -> bool:
        """Tie a symbol to a term, if the condition is `symbol = term`; whether it is."""
        symbol = condition.lhs
        if not isinstance(condition, Eq) or not isinstance(symbol, Symbol):
            return False
        reader = self.reader()
        if symbol in reader.abbreviations or symbol in reader.reach(condition.rhs):
            return False
        self.ties[symbol] = condition.rhs
        return True

    def _write(self, condition: Rel, required: bool) -> None:
        """Write the condition into the images, unless it holds already."""
        gap = self.apply(condition.lhs) - self.apply(condition.rhs)
        if known(gap, SIGN[type(condition)]):
            return
        if isinstance(condition, Eq):
            self._fixed |= self.reader().reach(condition.lhs, condition.rhs)
        try:
            symbol, value = _substitution(condition, gap, len(self.image))
        except TypeError:
            if required and not self._take(condition):
                raise
            return
        self.image = {key: image.subs(symbol, value) for key, image in self.image.items()}
        self.image.setdefault(symbol, value)

    def _take(self, condition: Rel) -> bool:
        """Take a name as any number of a sign, if the condition is `name > 0` or `name ≥ 0`; whether it is."""
        name, strict = condition.lhs, isinstance(condition, Gt)
        if not isinstance(condition, Gt | Ge) or condition.rhs != 0 or name not in self.names:
            return False
        self.taken[name] = free(name.name, 0, positive=strict, nonnegative=not strict)
        return True

    def _meet(self, given: Sequence[Rel], own: Sequence[Rel]) -> None:
        """Raise TypeError unless all conditions are defined and met at once for some vectors."""
        reader, conditions = self.reader(), (*given, *own)
        gaps = [(reader.read(part.lhs) - reader.read(part.rhs), SIGN[type(part)]) for part in conditions]
        for symbol in self.ties:
            reader.read(symbol)
        needs = [*gaps, *((need.value, need.sign) for need in reader.needs)]
        # A moment that no condition is about can be as large, or as small, as vectors need it to be.
        about = reader.reach(*(side for part in own for side in (part.lhs, part.rhs)))
        moments = {symbol: reader.read(symbol) for symbol in (a, b, c, offset, spread) if symbol in about}
        terms = [value for value, _ in needs] + list(moments.values())
        for point in points(set().union(*(term.free_symbols for term in terms))):
            at = {symbol: value.subs(point) for symbol, value in moments.items()}
            if possible(at) and all(_holds(value.subs(point), sign) for value, sign in needs):
                return
        raise TypeError(f"the conditions never hold together: {', '.join(map(str, conditions))}")


def _holds(value: Expr, sign: str) -> bool:
    """Whether a number is in that relation to 0: by its digits, or exactly where it is too close to 0 for that."""
    rounded = value.evalf()
    if not rounded.is_real or abs(rounded) < 1e-6:
        return bool(rounded.is_real) and known(value, sign)
    return sign == "≠" or (sign != "=" and bool(rounded > 0))


def possible(values: Mapping[Symbol, Expr]) -> bool:
    """Whether vectors can have these moments: a, b ≥ 0 and c² ≤ a·b (Cauchy–Schwarz), as far as they are numbers."""
    numbers = {symbol: value for symbol, value in values.items() if not value.free_symbols}
    if not all(_holds(numbers[symbol], "≥") for symbol in (a, b, offset, spread) if symbol in numbers):
        return False
    return not {a, b, c} <= set(numbers) or _holds(numbers[a] * numbers[b] - numbers[c] ** 2, "≥")


def _substitution(condition: Rel, gap: Expr, count: int) -> tuple[Symbol, Expr]:
    """A symbol of `gap` (left side − right side) and the term to write for it, after `count` other substitutions."""
    symbols = sorted(gap.free_symbols, key=_preference)
    for bounded, symbol in product((False, True), symbols):
        slope = gap.diff(symbol)
        if not slope.is_nonzero or slope.has(symbol):
            continue
        edge = cancel(-gap.subs(symbol, 0) / slope)  # where the gap closes
        if isinstance(condition, Eq):
            return symbol, edge
        if isinstance(condition, Ne):
            return symbol, edge + free(symbol.name, -count, nonzero=True)
        if isinstance(condition, Gt | Ge):
            strict = isinstance(condition, Gt)
            more = free(symbol.name, -count, positive=strict, nonnegative=not strict)
            if (values := _beyond(symbol, edge, slope, more, bounded)) is not None:
                return symbol, values
    raise TypeError(
        f"cannot use the condition {condition}: it must be linear in a symbol, and possible beside the others"
    )


def _beyond(symbol: Symbol, edge: Expr, slope: Expr, more: Symbol, bounded: bool) -> Expr | None:
    """The values of `symbol` on the side of `edge` where the gap is positive; positive ones if the symbol is."""
    if bounded:
        return edge / (1 + more) if slope.is_negative and edge.is_positive else None  # between 0 and the edge
    if slope.is_positive and (not symbol.is_positive or edge.is_nonnegative):
        return edge + more
    if slope.is_negative and not symbol.is_positive:
        return edge - more
    return None


def _preference(symbol: Symbol) -> tuple[bool, str]:
    """Symbols of either sign come first: substituting for them loses no known sign."""
    return bool(symbol.is_positive), symbol.name
