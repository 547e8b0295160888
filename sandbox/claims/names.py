"""The names that a claim may use, and what they stand for: of one reconstruction x̂, or of two, x̂₁ and x̂₂."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from sympy import Expr, Symbol, acos, pi
from sympy.printing.pretty.stringpict import prettyForm

from sandbox.maths.measures import REGISTRY, Measure
from sandbox.maths.symbols import L, a, b, c, r, rho, theta

RECONSTRUCTIONS = ("", "_1", "_2")
"""What names of one SAE end with; those of two, of the first and of the second."""


class MeasureSymbol(Symbol):
    """A measure by its key, typeset as the registry says."""

    def _sympystr(self, printer):
        return self.name

    def _pretty(self, printer):
        return prettyForm(self.name)

    def _latex(self, printer):
        if self.name in REGISTRY:
            return REGISTRY[self.name].symbol
        key, _, number = self.name.rpartition("_")
        return f"{{{REGISTRY[key].symbol}}}_{number}"


@dataclass(frozen=True)
class Meaning:
    """What a name stands for.

    Attributes:
        of:      "", "_1" or "_2": the reconstruction that it is about; None for x's own
        measure: the measure that it is, if it is one
        given:   gives the formula where it is none; None where the symbol is a moment itself
        needs:   what must be positive for it to be defined, with the reason
    """

    of: str | None = None
    measure: Measure | None = None
    given: Callable[[], Expr] | None = None
    needs: tuple[tuple[Expr, str], ...] = ()

    @cached_property
    def formula(self) -> Expr | None:
        """In a, b, c and the free symbols; derived when first asked for, as the measures are."""
        if self.measure:
            return self.measure.expression.subs(_here(self.of or ""))
        return self.given() if self.given else None


def _here(of: str) -> dict[Symbol, Expr]:
    return dict(zip((b, c), moments(of)[1:], strict=True))


@cache
def moments(of: str) -> tuple[Symbol, Symbol, Symbol]:
    """a, b and c of a reconstruction."""
    return (a, b, c) if not of else (a, Symbol(f"b{of}", real=True), Symbol(f"c{of}", real=True))


@cache
def meanings() -> Mapping[Symbol, Meaning]:
    """Every symbol that a claim's names may give, and its meaning."""
    found = {a: Meaning()}
    for of in RECONSTRUCTIONS:
        found |= _of_one(of)
    return found


def _of_one(of: str) -> dict[Symbol, Meaning]:
    _, b_i, c_i = moments(of)
    needs_x = ((a, "r, ρ and θ need x (a > 0)"),)
    needs = (*needs_x, (b_i, "ρ and θ need x̂ (b > 0)"))

    def of_measure(key: str) -> Expr:
        return REGISTRY[key].expression.subs(_here(of))

    found = {
        b_i: Meaning(of),
        c_i: Meaning(of),
        _named(r, of): Meaning(of, None, lambda: of_measure("norm_ratio"), needs_x),
        _named(rho, of): Meaning(of, None, lambda: of_measure("cosine"), needs),
        _named(theta, of): Meaning(of, None, lambda: acos(of_measure("cosine")), needs),
        _named(L, of): Meaning(of, None, lambda: a + b_i - 2 * c_i),
    }
    for key, measure in REGISTRY.items():
        needed = tuple((need.subs(_here(of)), reason) for need, reason in measure.needs)
        found[MeasureSymbol(key + of, real=True)] = Meaning(of, measure, None, needed)
    return found


def _named(symbol: Symbol, of: str) -> Symbol:
    return Symbol(symbol.name + of, real=True) if of else symbol


@cache
def vocabulary() -> Mapping[str, Expr]:
    """Every name that a claim may use, and its symbol; c1 is c_1, gamma_1 the γ of x̂₁, gamma_10 that of equation 10."""
    found: dict[str, Expr] = {"pi": pi}
    for symbol, meaning in meanings().items():
        name = symbol.name
        names = [name]
        short = {"relative_reconstruction_bias": "gamma", "equation_10_v1": "gamma_10"}.get(
            meaning.measure.key if meaning.measure else ""
        )
        if short:
            names += [short + (meaning.of or "")] + (["gamma10"] if name == "equation_10_v1" else [])
        if meaning.of:
            names += [one.removesuffix(meaning.of) + meaning.of[1:] for one in names]
        found |= {one: symbol for one in names if one not in found}
    return {**{name: found[name] for name in sorted(found, key=_place)}}


def _place(name: str) -> tuple:
    first = ("a", "b", "c", "r", "rho", "theta", "L", "gamma", "gamma_10", *REGISTRY)
    return name.endswith(("_1", "_2")), first.index(name) if name in first else len(first), name


def products(u: str, v: str) -> Expr | None:
    """u·v, for x, x_hat, x_hat1 and x_hat2: a, b or c, or None where that has no name."""
    ends = {"x_hat": "", "x_hat1": "_1", "x_hat2": "_2"}
    if u == v == "x":
        return a
    if u == v:
        return moments(ends[u])[1]
    hats = [one for one in (u, v) if one != "x"]
    return moments(ends[hats[0]])[2] if len(hats) == 1 else None
