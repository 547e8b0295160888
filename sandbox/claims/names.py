"""The names that a claim may use, and what they stand for: one reconstruction x̂, or two, x̂₁ and x̂₂."""

# SymPy annotates the keys of subs invariantly, so a dict of Symbol does not match.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from sympy import Expr, Symbol, acos, pi
from sympy.printing.pretty.stringpict import prettyForm

from sandbox.maths import letters
from sandbox.maths.measures import REGISTRY, Measure
from sandbox.maths.symbols import L, a, b, c, r, rho, theta

SUFFIXES = ("", "_1", "_2")
"""Suffixes of the names: none for the only SAE, a number for the first and the second of two."""

SHORT = {"relative_reconstruction_bias": "gamma", "equation_10_v1": "gamma_10"}


class MeasureSymbol(Symbol):
    """A measure by its key, shown as its short name if it has one, and typeset as in the registry."""

    @property
    def letter(self) -> str:
        """The short name, such as gamma_1; else the key."""
        key, suffix = self._parts
        return SHORT.get(key, key) + suffix

    @property
    def _parts(self) -> tuple[str, str]:
        key = self.name if self.name in REGISTRY else self.name[:-2]
        return key, self.name.removeprefix(key)

    def _sympystr(self, printer):
        return self.name

    def _pretty(self, printer):
        return prettyForm(self.name if self.letter == self.name else letters.shown(self.letter))

    def _latex(self, printer):
        key, suffix = self._parts
        return f"{{{REGISTRY[key].symbol}}}{suffix}" if suffix else REGISTRY[key].symbol


@dataclass(frozen=True)
class Meaning:
    """What a symbol stands for.

    Attributes:
        suffix:  "", "_1" or "_2", the reconstruction it is about; None for a, which is about x alone
        measure: the measure that it stands for, if any
        derive:  returns its formula in a, b and c; None where the symbol is itself a moment
        needs:   what must be positive for it to be defined
    """

    suffix: str | None = None
    measure: Measure | None = None
    derive: Callable[[], Expr] | None = None
    needs: tuple[Expr, ...] = ()

    @cached_property
    def formula(self) -> Expr | None:
        """The formula in the moments, derived on first use as the measures are; None for a moment."""
        return self.derive() if self.derive else None


@cache
def moments(suffix: str) -> tuple[Symbol, Symbol, Symbol]:
    """a, b and c of a reconstruction."""
    return (a, b, c) if not suffix else (a, Symbol(f"b{suffix}", real=True), Symbol(f"c{suffix}", real=True))


@cache
def meanings() -> Mapping[Symbol, Meaning]:
    """Every symbol that a name can give, with its meaning."""
    known = {a: Meaning()}
    for suffix in SUFFIXES:
        known |= _meanings_with(suffix)
    return known


def _meanings_with(suffix: str) -> dict[Symbol, Meaning]:
    _, b_i, c_i = moments(suffix)
    here = {b: b_i, c: c_i}

    def value(key: str) -> Expr:
        return REGISTRY[key].expression.subs(here)

    def named(symbol: Symbol) -> Symbol:
        return Symbol(symbol.name + suffix, real=True) if suffix else symbol

    known = {
        b_i: Meaning(suffix),
        c_i: Meaning(suffix),
        named(r): Meaning(suffix, None, lambda: value("norm_ratio"), (a,)),
        named(rho): Meaning(suffix, None, lambda: value("cosine"), (a, b_i)),
        named(theta): Meaning(suffix, None, lambda: acos(value("cosine")), (a, b_i)),
        named(L): Meaning(suffix, None, lambda: a + b_i - 2 * c_i),
    }
    for key, measure in REGISTRY.items():
        needs = tuple(need.subs(here) for need, _ in measure.needs)
        known[MeasureSymbol(key + suffix, real=True)] = Meaning(suffix, measure, lambda key=key: value(key), needs)
    return known


@cache
def vocabulary() -> Mapping[str, Expr]:
    """Each name that a claim may use, with its symbol; c1 is c_1, gamma_1 is γ of x̂₁, gamma_10 is equation 10's."""
    known: dict[str, Expr] = {"pi": pi}
    for symbol, meaning in meanings().items():
        suffix, names = meaning.suffix or "", [symbol.name]
        if meaning.measure and meaning.measure.key in SHORT:
            names.append(SHORT[meaning.measure.key] + suffix)
        if suffix:
            names += [name.removesuffix(suffix) + suffix[1:] for name in names]
        for name in names:
            known.setdefault(name, symbol)
    known["gamma10"] = known["gamma_10"]
    return {name: known[name] for name in sorted(known, key=_rank)}


def _rank(name: str) -> tuple:
    """Where a name is listed: those of one SAE before those of two."""
    first = ("a", "b", "c", "r", "rho", "theta", "L", "gamma", "gamma_10", *REGISTRY)
    return name.endswith(("_1", "_2")), first.index(name) if name in first else len(first), name


def products(u: str, v: str) -> Expr | None:
    """u·v for two of x, x_hat, x_hat1 and x_hat2: a, b or c; None where it has no name."""
    suffix = {"x_hat": "", "x_hat1": "_1", "x_hat2": "_2"}
    if u == v:
        return a if u == "x" else moments(suffix[u])[1]
    if "x" not in (u, v):
        return None
    return moments(suffix[v if u == "x" else u])[2]
