"""`Reader`: what a displayed term stands for, and what each of its parts needs in order to be defined.

A term is read as it is displayed, before anything in it can cancel. Names, and symbols that a condition ties to
terms, are abbreviations: they are written out wherever they occur, before any derivative, substitution or limit is
worked out. Functions that are not listed here are not understood, and refused. An undefined function stands for any
smooth function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

from sympy import (
    Abs,
    Add,
    Derivative,
    Dummy,
    Expr,
    Integral,
    Lambda,
    Limit,
    MatAdd,
    MatMul,
    MatrixSymbol,
    Max,
    Min,
    Mul,
    Pow,
    S,
    Subs,
    Symbol,
    acos,
    atan,
    cos,
    diff,
    exp,
    log,
    nan,
    oo,
    sin,
    tan,
    tanh,
    zoo,
)
from sympy.core.function import AppliedUndef

from sandbox.maths.proof.calculus import eventually, integral, limit_at_0
from sandbox.maths.proof.deciding import STUMBLES, known
from sandbox.maths.proof.vocabulary import VECTORS, NotUnderstood, free
from sandbox.maths.symbols import DEFINITIONS, MOMENTS, Expect

At = Mapping[Symbol, Expr]
"""What bound variables stand for."""


class Need(NamedTuple):
    """`value sign 0`, without which a term is undefined; `words` says so in the terms displayed."""

    value: Expr
    sign: str
    words: str


class Undefined(Exception):
    """A term could divide by 0, or take an even root of what is negative; the message says what it needs."""


class Reader:
    """Reads terms with names, ties (terms that symbols stand for) and images (what conditions put for symbols).

    Attributes: needs: what must hold for the terms read so far to be defined; `settle` checks it
    """

    def __init__(
        self,
        names: Mapping[Any, Expr | Lambda] | None = None,
        ties: Mapping[Symbol, Expr] | None = None,
        image: Mapping[Symbol, Expr] | None = None,
        fixed: frozenset[Symbol] = frozenset(),
    ):
        self.abbreviations: dict[Any, Expr | Lambda] = {**DEFINITIONS, **(names or {}), **(ties or {})}
        self.image, self.fixed = dict(image or {}), fixed
        self.needs: list[Need] = []
        self._open: list[Any] = []
        self._depth, self._whole = 0, None

    def value(self, term: Expr) -> Expr:
        """What a whole term stands for. Raises Undefined if it may have no value; NotUnderstood; STUMBLES."""
        if term in (oo, -oo):
            return term
        self.needs = []
        value = self.whole(term)
        self.settle()
        if value.has(nan, zoo) or (value.has(oo, -oo) and not isinstance(term, Limit)):
            raise Undefined("needs a value")
        return value

    def whole(self, term: Expr) -> Expr:
        """Like `read`, for a term that stands by itself: only such a term may be a limit of ∞."""
        self._whole = term
        return self.read(term)

    def settle(self) -> None:
        """Raise Undefined for the first need that is not known to hold."""
        for need in self.needs:
            if not known(need.value, need.sign):
                raise Undefined(f"needs {need.words}")

    def read(self, term: Expr, at: At | None = None, strict: bool = False) -> Expr:
        """The term's value; `strict` within a derivative, where the term must be smooth."""
        at = at or {}
        if isinstance(term, Symbol):
            return self._symbol(term, at, strict)
        if term.is_Rational or term in (S.Pi, S.Exp1):
            return term
        for heads, way in _WAYS.items():
            if isinstance(term, heads):
                depth, value = self._depth, way(self, term, at, strict)
                self._depth = depth
                return value
        raise NotUnderstood(
            f"{term} is not understood: {type(term).__name__} is not among the functions that a step may use"
        )

    def _bound(self, name: str, positive: bool = False, nonnegative: bool = False) -> Dummy:
        self._depth += 1
        return free(name, self._depth, positive=positive, nonnegative=nonnegative)

    def _need(self, value: Expr, sign: str, shown: Any) -> None:
        self.needs.append(Need(value, sign, f"{shown} {sign} 0"))

    def _parts(self, term: Expr, at: At, strict: bool) -> Expr:
        return term.func(*(self.read(part, at, strict) for part in term.args))

    def _symbol(self, symbol: Symbol, at: At, strict: bool) -> Expr:
        if symbol in at:
            return at[symbol]
        if symbol not in self.abbreviations:
            return self.image.get(symbol, symbol)
        return self._opened(symbol, lambda: self.read(self.abbreviations[symbol], at, strict))

    def _opened(self, name: Any, read: Callable[[], Expr]) -> Expr:
        if name in self._open:
            raise NotUnderstood(f"{name} is defined in a circle")
        self._open.append(name)
        try:
            return read()
        finally:
            self._open.pop()

    def _power(self, term: Pow, at: At, strict: bool) -> Expr:
        shown, exponent = term.args
        base = self.read(shown, at, strict)
        if not exponent.is_Rational:
            raise NotUnderstood(f"{term} is not understood: an exponent is a number, or write exp")
        if not exponent.is_Integer:
            self._need(base, ">" if strict or exponent.is_negative else "≥", shown)
        elif not exponent.is_positive:
            self._need(base, "≠", shown)
        return Pow(base, exponent)

    def _log(self, term: Expr, at: At, strict: bool) -> Expr:
        inner = self.read(term.args[0], at, strict)
        self._need(inner, ">", term.args[0])
        return log(inner)

    def _tan(self, term: Expr, at: At, strict: bool) -> Expr:
        inner = self.read(term.args[0], at, strict)
        self._need(cos(inner), "≠", cos(term.args[0]))
        return tan(inner)

    def _tanh(self, term: Expr, at: At, strict: bool) -> Expr:
        return 1 - 2 / (exp(2 * self.read(term.args[0], at, strict)) + 1)

    def _acos(self, term: Expr, at: At, strict: bool) -> Expr:
        inner = self.read(term.args[0], at, strict)
        self._need(1 - inner**2, ">" if strict else "≥", 1 - term.args[0] ** 2)
        return acos(inner)

    def _size(self, term: Expr, at: At, strict: bool) -> Expr:
        inner = self.read(term.args[0], at, strict)
        if strict:
            self._need(inner, "≠", term.args[0])
        return Abs(inner)

    def _largest(self, term: Expr, at: At, strict: bool) -> Expr:
        if strict:
            raise NotUnderstood(f"{term} may have no derivative")
        return self._parts(term, at, strict)

    def _expectation(self, term: Expect, at: At, strict: bool) -> Expr:
        u, v = (self._combination(vector, at, strict) for vector in term.args)
        products = [(p * q, frozenset((first, second))) for first, p in u.items() for second, q in v.items()]
        if unknown := [pair for _, pair in products if pair not in MOMENTS]:
            raise NotUnderstood(f"E[{'·'.join(sorted(map(str, unknown[0])))}] is not known")
        return Add(*(factor * self.read(MOMENTS[pair], at, strict) for factor, pair in products))

    def _combination(self, vector: Expr, at: At, strict: bool) -> dict[Expr, Expr]:
        """The factor of each of the vectors in a linear combination of them."""
        if vector in VECTORS:
            return {vector: S.One}
        factors: dict[Expr, Expr] = {}
        if isinstance(vector, MatAdd):
            for part in vector.args:
                for name, factor in self._combination(part, at, strict).items():
                    factors[name] = factors.get(name, S.Zero) + factor
            return factors
        vectors = [part for part in vector.args if part.is_Matrix] if isinstance(vector, MatMul) else []
        if len(vectors) != 1:
            raise NotUnderstood(f"{vector} is not a linear combination of the vectors x, x̂, m and z")
        scale = Mul(*(self.read(part, at, strict) for part in vector.args if not part.is_Matrix))
        return {name: scale * factor for name, factor in self._combination(vectors[0], at, strict).items()}

    def _call(self, term: AppliedUndef, at: At, strict: bool) -> Expr:
        arguments = [self.read(part, at, strict) for part in term.args]
        meaning = self.abbreviations.get(term.func)
        if meaning is None:
            return term.func(*arguments)
        if not isinstance(meaning, Lambda) or len(meaning.variables) != len(arguments):
            raise NotUnderstood(f"{term} does not have the arguments of its definition")
        parameters = set(meaning.variables)
        names = [_expression(self.abbreviations[name]) for name in _words(meaning.expr) & set(self.abbreviations)]
        if term.args != meaning.variables and parameters & self.reach(*names, *_moments(meaning.expr)):
            raise NotUnderstood(f"{term}: names, ties or expectations in its definition contain its arguments")
        values = dict(zip(meaning.variables, arguments, strict=True))
        return self._opened(term.func, lambda: self.read(meaning.expr, {**at, **values}, strict))

    def reach(self, *terms: Expr) -> set[Any]:
        """The symbols that terms depend on, including through names, ties and expectations."""
        reached: set[Any] = set()
        unread = list(terms)
        while unread:
            words = _words(unread.pop()) - reached
            reached |= words
            unread += [_expression(self.abbreviations[word]) for word in words & set(self.abbreviations)]
        return reached

    def _variable(self, symbol: Expr, term: Expr, body: Expr) -> Symbol:
        """The symbol that a term varies. Raises NotUnderstood if it may not be varied."""
        if not isinstance(symbol, Symbol) or symbol in self.abbreviations or symbol in self.fixed:
            raise NotUnderstood(f"{term}: {symbol} is a name here, or a condition ties it")
        if symbol not in self.reach(body):
            raise NotUnderstood(f"{term}: {symbol} does not occur")
        return symbol

    def _derivative(self, term: Derivative, at: At, strict: bool) -> Expr:
        body, counts = term.expr, [pair.args for pair in term.variable_count]
        variables = [self._variable(symbol, term, body) for symbol, _ in counts]
        if not all(count.is_Integer for _, count in counts):
            raise NotUnderstood(f"{term} is not understood: the number of derivatives must be whole")
        values = {symbol: self._symbol(symbol, at, strict) for symbol in variables}
        inner = {symbol: self._moving(symbol, value, at) for symbol, value in values.items()}
        outer, self.needs = self.needs, []
        value = self.read(body, {**at, **inner}, strict=True)
        for symbol, count in counts:
            value = diff(value, inner[symbol], count)
        back = {inner[symbol]: values[symbol] for symbol in variables if inner[symbol] != values[symbol]}
        self.needs = outer + [Need(need.value.subs(back), need.sign, need.words) for need in self.needs]
        return value.subs(back)

    def _moving(self, symbol: Symbol, value: Expr, at: At) -> Symbol:
        """The variable to differentiate by: the symbol's own value, if nothing else depends on that."""
        others = [image for other, image in (*self.image.items(), *at.items()) if other != symbol]
        alone = symbol not in at and not any(value in image.free_symbols for image in others)
        return value if alone and isinstance(value, Symbol) else self._bound(symbol.name)

    def _subs(self, term: Subs, at: At, strict: bool) -> Expr:
        body, variables, values = term.args
        inner = {
            self._variable(v, term, body): self.read(p, at, strict) for v, p in zip(variables, values, strict=True)
        }
        return self.read(body, {**at, **inner}, strict)

    def _limit(self, term: Limit, at: At, strict: bool) -> Expr:
        if strict:
            raise NotUnderstood(f"{term} is not understood within a derivative")
        body, variable, point, direction = term.args
        self._variable(variable, term, body)
        if point not in (oo, -oo):
            point = self.read(point, at)
            if (value := self._continuous(body, {**at, variable: point})) is not None:
                return value
        sides = {"+": (1,), "-": (-1,), "+-": (1, -1)}[str(direction)]
        values = {self._one_sided(term, point, side, at) for side in sides}
        if len(values) != 1:
            raise NotUnderstood(f"{term} differs between the two sides")
        value = values.pop()
        if value.has(oo, -oo) and term is not self._whole:
            raise NotUnderstood(f"{term} is infinite, so it cannot be part of a term")
        return value

    def _continuous(self, body: Expr, at: At) -> Expr | None:
        """The value at the point itself, if the body is continuous there."""
        outer, self.needs = self.needs, []
        try:
            value = self.read(body, at, strict=True)
            self.settle()
            return None if value.has(nan, zoo, oo, -oo) else value
        except (Undefined, NotUnderstood, *STUMBLES):
            return None
        finally:
            self.needs = outer

    def _one_sided(self, term: Limit, point: Expr, side: int, at: At) -> Expr:
        near = self._bound("epsilon", positive=True)
        return limit_at_0(self._near(term.args[0], {**at, term.args[1]: _beside(point, side, near)}, near), near)

    def _near(self, body: Expr, at: At, near: Symbol) -> Expr:
        """A body as a function of a small positive number. Raises Undefined unless it is defined near 0."""
        outer, self.needs = self.needs, []
        value = self.read(body, at)
        for need in self.needs:
            if not eventually(need.value, need.sign, near):
                raise Undefined(f"needs {need.words} near the limit")
        self.needs = outer
        return value

    def approached(self, body: Expr, limit: Limit, near: Symbol) -> Expr:
        """A body as a function of `near`, the distance of a limit's variable from its point."""
        _, variable, point, direction = limit.args
        side = -1 if str(direction) == "-" else 1
        return self._near(body, {variable: _beside(self.read(point) if point.is_finite else point, side, near)}, near)

    def _integral(self, term: Integral, at: At, strict: bool) -> Expr:
        body, *limits = term.args
        if len(limits) != 1 or len(limits[0]) != 3:
            raise NotUnderstood(f"{term} is not understood: it needs one variable, and both bounds")
        variable, *shown = limits[0]
        if variable in self.abbreviations:
            raise NotUnderstood(f"{term}: {variable} is a name here, or a condition ties it")
        low, high = (bound if bound == oo else self.read(bound, at, strict) for bound in shown)
        inner = self._bound(str(variable))
        outer, self.needs = self.needs, []
        value = self.read(body, {**at, variable: inner}, strict=True)
        primitive, total = integral(value, inner, low, high)
        self.read(primitive, strict=True)  # the fundamental theorem requires it to be smooth, too
        between = self._bound(str(variable), nonnegative=True)
        inside = low + between if high == oo else (low + high * between) / (1 + between)
        points = [inside] if high == oo else [inside, high]
        needs = [Need(need.value.subs(inner, point), *need[1:]) for need in self.needs for point in points]
        self.needs = outer + needs
        return total


def _beside(point: Expr, side: int, near: Symbol) -> Expr:
    return {oo: 1 / near, -oo: -1 / near}.get(point, point + side * near)


def _expression(meaning: Expr | Lambda) -> Expr:
    return meaning.expr if isinstance(meaning, Lambda) else meaning


def _words(term: Expr) -> set[Any]:
    """The symbols and functions in a term; those of an expectation are its moments."""
    return term.atoms(Symbol) | _moments(term) | {part.func for part in term.atoms(AppliedUndef)}


def _moments(term: Expr) -> set[Expr]:
    """The moments that the expectations in a term are made of."""
    vectors = [expectation.atoms(MatrixSymbol) for expectation in term.atoms(Expect)]
    pairs = [frozenset(pair) for group in vectors for pair in product(group, repeat=2)]
    return {MOMENTS[pair] for pair in pairs if pair in MOMENTS}


_WAYS: Mapping[Any, Callable[..., Expr]] = {
    (Add, Mul, exp, cos, sin, atan): Reader._parts,
    Pow: Reader._power,
    log: Reader._log,
    tan: Reader._tan,
    tanh: Reader._tanh,
    acos: Reader._acos,
    Abs: Reader._size,
    (Max, Min): Reader._largest,
    Expect: Reader._expectation,
    AppliedUndef: Reader._call,
    Derivative: Reader._derivative,
    Subs: Reader._subs,
    Limit: Reader._limit,
    Integral: Reader._integral,
}
