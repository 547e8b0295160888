"""The form of an answer, where the form is the point: a completed square, a product, the names that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, Mul, Pow, Symbol, cancel, fraction, together

from sandbox.maths.symbols import Expect


def names_in(term: Expr) -> set[Symbol]:
    """The numbers that a term is written in; an expectation counts as the moments that it is."""
    return {symbol for symbol in _in_moments(term).free_symbols if not symbol.is_Matrix}


def missing(answer: Expr, wanted: Expr) -> str | None:
    """What the form of a right answer lacks, in words, or None.

    The wanted term says what matters: the squares of sums in it, its factors, the names that it is written in.

    >>> from sympy.abc import u, w
    >>> missing(u**2 + 2*u*w + w**2, (u + w) ** 2)
    'a square is to appear'
    >>> missing((2*u + 2*w) ** 2 / 4, (u + w) ** 2)
    """
    answer, wanted = _in_moments(answer), _in_moments(wanted)
    others = names_in(answer) - names_in(wanted)
    if others:
        names = ", ".join(sorted(str(one).replace("lambda", "lam") for one in names_in(wanted))) or "numbers alone"
        return f"it is to be written in {names}"
    squares, there = list(_squared(wanted)), list(_squared(answer))
    if not all(any(_proportional(one, other) for other in there) for one in squares):
        return "a square is to appear"
    factors, there = _sums(wanted), _sums(answer)
    if len(factors) > 1 and not all(any(_proportional(one, other) for other in there) for one in factors):
        return "it is to be a product"
    return None


def _in_moments(term: Expr) -> Expr:
    return term.replace(Expect, lambda *uv: Expect(*uv).doit())


def _squared(term: Expr) -> Iterator[Expr]:
    """Every sum whose square is in the term."""
    for part in term.atoms(Pow):
        if part.exp == 2 and fraction(together(part.base))[0].is_Add:
            yield part.base


def _sums(term: Expr) -> list[Expr]:
    """The sums that the numerator is a product of."""
    return [part for part in Mul.make_args(fraction(term)[0]) if part.is_Add]


def _proportional(one: Expr, other: Expr) -> bool:
    """Whether they are the same up to a factor that is a product of powers."""
    return all(not part.is_Add for part in fraction(cancel(one / other)))
