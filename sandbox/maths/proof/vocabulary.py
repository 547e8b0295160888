"""What a displayed term may consist of: real symbols whose names cannot be mistaken for one another.

A reader sees how a symbol prints, not what SymPy assumes about it. So a step's symbols are real and nothing more; if
one is positive, a condition says so, and is displayed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from sympy import Basic, Dummy, Limit, MatrixSymbol, Symbol, Wild
from sympy.core.function import AppliedUndef
from sympy.stats.rv import RandomMatrixSymbol

from sandbox.maths import letters, symbols
from sandbox.maths.symbols import DEFINITIONS, a, b, c, m, n, offset, spread, x, x_hat, z

MEANINGFUL = frozenset({a, b, c, n, offset, spread, *DEFINITIONS})
"""Symbols with a meaning in every step: conditions may contain them, but no definition may change them."""

VECTORS = (x, x_hat, m, z)

_HOUSE = {letters.shown(word.name): word for word in vars(symbols).values() if isinstance(word, Symbol | MatrixSymbol)}
_HOUSE |= {letters.shown(vector.name): vector for vector in VECTORS}
_TAKEN = {"E", "e", "i", "I", "pi", "oo", "inf", "nan", "zoo", "lim", "sqrt", "exp", "log", "ln", "sin", "cos", "tan"}
_TAKEN |= {
    "cot",
    "sec",
    "csc",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "Abs",
    "abs",
    "Max",
    "Min",
    "max",
    "min",
}
_NAME = re.compile(r"(?!.*__)[A-Za-z][A-Za-z0-9_]*|L\*|ℓ")
_PLAIN = Symbol("u", real=True).assumptions0


@cache
def free(name: str, index: int, **assumptions: bool) -> Dummy:
    """An internal real symbol, the same one each time, so that SymPy's cached results about it can be used again."""
    return Dummy(name, real=True, **{key: value for key, value in assumptions.items() if value})


class NotUnderstood(Exception):
    """A step contains something that it may not contain; the message says what."""


def vet(terms: Iterable[Basic]) -> None:
    """Raise NotUnderstood for a symbol or function that prints like another, or has assumptions that do not show."""
    seen: dict[str, Any] = {}
    for word in sorted({word for term in terms for word in _words(term)}, key=str):
        name = word.__name__ if isinstance(word, type) else word.name
        shown = letters.shown(name)
        if isinstance(word, Symbol) and (isinstance(word, Dummy | Wild) or word.assumptions0 != _PLAIN):
            raise NotUnderstood(f"{name} must be real and nothing else, Symbol({name!r}, real=True): say more in where")
        if isinstance(word, type) and getattr(word, "_kwargs", None):
            raise NotUnderstood(f"the function {name} has assumptions that do not show")
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise NotUnderstood(f"{name!r} cannot be the name of a symbol or a function")
        if _HOUSE.get(shown, word) != word or seen.setdefault(shown, word) != word:
            raise NotUnderstood(f"two different symbols or functions would be shown as {shown}")


def _words(term: Basic) -> set[Any]:
    """The symbols, vectors and functions in a term as displayed."""
    if isinstance(term, Symbol | MatrixSymbol | RandomMatrixSymbol):
        return {term}
    own = {term.func} if isinstance(term, AppliedUndef) else set()
    parts = term.args[:3] if isinstance(term, Limit) else term.args  # the fourth is its direction
    return own.union(*map(_words, parts))
