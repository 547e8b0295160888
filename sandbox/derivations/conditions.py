"""Conditions of a step, and how SymPy is made to know them: by writing the symbol in another that has no choice.

SymPy knows the sign of a symbol, not that 2c − b > 0. But every c with 2c − b > 0 is (b + q)/2 with some q > 0, and
every such q gives one. So a condition is *substituted*: it says neither more nor less, and a step proven for every
q > 0 is proven for every c that the condition allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from random import Random

from sympy import Dummy, Eq, Expr, Ge, Gt, Le, Lt, Ne, Rational, Rel, Symbol, cancel

from sandbox.derivations.symbols import a, b, c


class Conditions:
    """Conditions `u > v`, `u >= v`, `u != v` or `u == v`, each linear in one of its symbols, in order.

    Raises: TypeError for a condition of another form, or one that no substitution can express.

    >>> from sympy.abc import u
    >>> v = Symbol("v", real=True)
    >>> Conditions((v - 2 > 0,)).apply(v).is_positive
    True
    """

    def __init__(self, conditions: Sequence[Rel]):
        self.image: dict[Symbol, Expr] = {}
        for condition in conditions:
            condition = condition.reversed if isinstance(condition, Lt | Le) else condition
            if not isinstance(condition, Rel):  # SymPy has decided it already
                raise TypeError(f"a step's condition is a relation between symbols, not {condition}")
            symbol, value = _substitution(condition, self.apply(condition.lhs - condition.rhs))
            self.image = {known: image.subs(symbol, value) for known, image in self.image.items()}
            self.image.setdefault(symbol, value)

        if not any(
            possible({name: image.subs(point) for name, image in self.image.items()}) for point in self._points()
        ):
            raise TypeError(f"a step's conditions never hold together: {', '.join(map(str, conditions))}")

    def _points(self) -> Iterator[dict[Symbol, Rational]]:
        return points(set().union(*(image.free_symbols for image in self.image.values())))

    def apply(self, expression: Expr) -> Expr:
        """The expression with every condition written into its symbols."""
        return expression.subs(self.image, simultaneous=True)


def points(symbols: Iterable[Symbol]) -> Iterator[dict[Symbol, Rational]]:
    """A few dozen exact points; positive symbols have positive values, the others of either sign."""
    ordered = sorted(symbols, key=lambda symbol: (symbol.name, symbol.sort_key()))
    chance = Random(0)
    for i in range(40):
        sizes = [
            Rational(2 + i, 1 + k) if i < 3 else Rational(chance.randint(1, 24), chance.choice((1, 2, 3, 8)))
            for k in range(len(ordered))
        ]
        yield {
            s: v if i == 0 or s.is_nonnegative or chance.random() < 0.5 else -v
            for s, v in zip(ordered, sizes, strict=True)
        }


def possible(values: Mapping[Symbol, Expr]) -> bool:
    """Whether numbers for a, b and c can be those of vectors: a, b ≥ 0 and c² ≤ a·b (Cauchy–Schwarz)."""
    of = {symbol: values[symbol] for symbol in (a, b, c) if symbol in values and not values[symbol].free_symbols}
    if any(of[symbol].is_negative for symbol in (a, b) if symbol in of):
        return False
    return len(of) < 3 or bool((of[a] * of[b] - of[c] ** 2).evalf() > -1e-9)


def _substitution(condition: Rel, gap: Expr) -> tuple[Symbol, Expr]:
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
            return symbol, edge + Dummy(symbol.name, real=True, nonzero=True)
        if isinstance(condition, Gt | Ge):
            more = Dummy(symbol.name, **({"positive": True} if isinstance(condition, Gt) else {"nonnegative": True}))
            if (found := _beyond(symbol, edge, slope, more, bounded)) is not None:
                return symbol, found
    raise TypeError(f"a step cannot use the condition {condition}: it needs a symbol in which it is linear")


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
