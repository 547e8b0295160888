"""The form of an answer, for steps that are about the form: a completed square, a product, the names to use."""

# SymPy annotates free symbols and the result of replace as Basic, which here are Symbol and Expr.
# pyright: reportReturnType=false

from __future__ import annotations

from sympy import Expr, Mul, Pow, Symbol, cancel, fraction, together

from sandbox.maths.symbols import Expect


def names_in(term: Expr) -> set[Symbol]:
    """The scalar symbols of a term, with expectations written as moments."""
    return {symbol for symbol in _in_moments(term).free_symbols if not symbol.is_Matrix}


def missing(answer: Expr, wanted: Expr) -> str | None:
    """What a right answer lacks in form, in words; None if nothing.

    The wanted term decides what counts: the squares of sums in it, its factors, and its names.

    >>> from sympy.abc import u, w
    >>> missing(u**2 + 2*u*w + w**2, (u + w) ** 2)
    'write it with a square'
    >>> missing((2*u + 2*w) ** 2 / 4, (u + w) ** 2)
    """
    answer, wanted = _in_moments(answer), _in_moments(wanted)
    others = names_in(answer) - names_in(wanted)
    if others:
        names = ", ".join(sorted(str(name).replace("lambda", "lam") for name in names_in(wanted))) or "numbers only"
        return f"write it in {names}"
    if not _all_appear(_squared(wanted), _squared(answer)):
        return "write it with a square"
    if len(_sums(wanted)) > 1 and not _all_appear(_sums(wanted), _sums(answer)):
        return "write it as a product"
    return None


def _in_moments(term: Expr) -> Expr:
    return term.replace(Expect, lambda *uv: Expect(*uv).doit())


def _squared(term: Expr) -> list[Expr]:
    """The sums whose squares are in the term."""
    return [part.base for part in term.atoms(Pow) if part.exp == 2 and fraction(together(part.base))[0].is_Add]


def _sums(term: Expr) -> list[Expr]:
    """The sums among the factors of the numerator."""
    return [part for part in Mul.make_args(fraction(term)[0]) if part.is_Add]


def _all_appear(wanted: list[Expr], written: list[Expr]) -> bool:
    """Whether each wanted sum is among the written ones, up to a factor without sums."""
    return all(
        any(not any(part.is_Add for part in fraction(cancel(term / other))) for other in written) for term in wanted
    )
