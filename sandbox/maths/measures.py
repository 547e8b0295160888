"""The registry of measures: the name of each, its question, what it means at 1, and the derivation of its formula.

No formula is typed here. A measure's expression in a, b, c *is* the result of a derivation; torch, JavaScript and
typeset formulas are all generated from it (`sandbox.maths.compile`).

>>> REGISTRY["relative_reconstruction_bias"].expression
b/c
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sympy import Expr, Interval, Set, Symbol, exp, latex, log, oo

from sandbox.errors import InputError
from sandbox.maths.derivations.measured import MEASURES
from sandbox.maths.derived import derived
from sandbox.maths.symbols import a, b, c

WHY_UNDEFINED: dict[Expr, str] = {
    a: "x is zero everywhere, or does not vary once centred (a = 0)",
    b: "x̂ is zero everywhere, or does not vary once centred (b = 0)",
    c: "x̂ does not point along x (c ≤ 0), so no positive scale is best",
    2 * c - b: "γ ≥ 2 (b ≥ 2c): the first version takes the root of a negative number",
}
"""Why a measure is undefined if one of these is not positive."""

NOT_RESOLVABLE = (
    "not resolvable: x or x̂ varies by less than a millionth of its mean (or b_dec), which rounding hides; "
    "subtract the mean from both before measuring"
)
"""Why a measure is undefined if a moment is nan (`sandbox.moments.moments.Moments.about`)."""

Range = Set
ANY, NOT_NEGATIVE, COSINES = Interval(-oo, oo), Interval(0, oo), Interval(-1, 1)

v, t = Symbol("v", real=True), Symbol("t", real=True)
"""A value, and its position on a scale without ends."""


@cache
def without_ends(range: Range) -> tuple[Expr, Expr]:
    """The position on a scale without ends of a value `v` in a range, and the value at a position `t`.

    On that scale errors are closer to normal, and no interval leaves the range.

    >>> without_ends(NOT_NEGATIVE)
    (log(v), exp(t))
    """
    low, high = range.inf, range.sup
    if low.is_finite and high.is_finite:
        return log((v - low) / (high - v)), low + (high - low) / (1 + exp(-t))
    return (log(v - low), low + exp(t)) if low.is_finite else (v, t)


@dataclass(frozen=True)
class Measure:
    """One way to put a number on shrinkage, as a function of a, b, c.

    Attributes:
        key:      the name in JSON, CSV and Python
        symbol:   LaTeX; `plain` is the same for a terminal
        question: the question that the measure answers
        at_one:   what the value 1 means
        source:   claim in docs/mathematics.md, equation of arXiv 2404.16014, or the libraries that publish it
        formula:  returns the expression: the result of a derivation
        range:    the values that it can take
        needs:    what must be positive, each with the reason why the measure is undefined otherwise
        root:     for a measure that is the square of a signed quantity: returns that quantity. The interval is computed
                  for the root, as for any real number, and then squared: where a square is 0, so are its slope and its
                  first-order error

    An interval is computed on a scale without ends (`unbounded`), which depends on `range`: the logarithm of a positive
    measure, the logit of one between two ends (for a cosine that is 2·atanh), and any other measure as it is.
    """

    key: str
    symbol: str
    plain: str
    question: str
    at_one: str
    source: str
    formula: Callable[[], Expr]
    range: Range
    needs: tuple[tuple[Expr, str], ...]
    root: Callable[[], Expr] | None = None

    @property
    def expression(self) -> Expr:
        """The formula in a, b, c, derived on first use."""
        return self.formula()

    @property
    def centre(self) -> Expr:
        """The quantity that an interval is computed for, in a, b, c: the measure or its `root`."""
        return self.root() if self.root else self.expression

    @property
    def unbounded(self) -> tuple[Expr, Expr]:
        """The position of `centre`, `v`, on a scale without ends; and the inverse, in `t`."""
        return without_ends(ANY if self.root else self.range)

    @property
    def latex(self) -> str:
        """`symbol = formula`, typeset."""
        return f"{self.symbol} = {latex(self.expression)}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"


def _proven(key: str, *, published: str = "", root: str = "", **words: Any) -> Measure:
    """The entry of a measure that `derivations.measured` lists; `root` is a result of the same claim."""
    claim, positive = MEASURES[key]
    return Measure(
        key=key,
        source="; ".join(filter(None, (claim, published))),
        formula=lambda: derived(claim)[key],
        needs=tuple((term, WHY_UNDEFINED[term]) for term in positive),
        root=(lambda: derived(claim)[root]) if root else None,
        **words,
    )


REGISTRY: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        _proven(
            "scale_x",
            symbol=r"s_x",
            plain="c/a",
            question="which multiple of x is nearest to x̂?",
            at_one="x itself is the multiple of x nearest to x̂",
            published="first version's eq. 9",
            range=ANY,
        ),
        _proven(
            "scale_x_hat",
            symbol=r"s_{\hat x}",
            plain="c/b",
            question="which multiple of x̂ is nearest to x?",
            at_one="no rescaling brings x̂ nearer to x",
            range=ANY,
        ),
        _proven(
            "relative_reconstruction_bias",
            symbol=r"\gamma",
            plain="γ",
            question="by which factor is x̂ too long (above 1) or too short (below 1)?",
            at_one="no shrinkage: no rescaling brings x̂ nearer to x",
            published="corrected eq. 10; SAELens, SAEBench, dictionary_learning",
            range=Interval.open(0, oo),
        ),
        _proven(
            "equation_10_v1",
            symbol=r"\gamma_{10}",
            plain="γ₁₀",
            question="what did the first version's equation 10 compute?",
            at_one="the same as γ = 1; elsewhere it is above γ",
            published="first version's eq. 10",
            range=Interval.open(0, oo),
        ),
        _proven(
            "norm_ratio",
            symbol=r"r",
            plain="r",
            question="how long is x̂, measured in lengths of x (pooled RMS)?",
            at_one="x̂ is as long as x, wherever it points",
            published="pooled, unlike the mean of ratios published as l2_ratio",
            range=NOT_NEGATIVE,
        ),
        _proven(
            "cosine",
            symbol=r"\rho",
            plain="ρ",
            question="how well does x̂ point along x?",
            at_one="x̂ is a multiple of x",
            published="pooled, unlike the mean cosine published as cossim",
            range=COSINES,
        ),
        _proven(
            "relative_loss",
            symbol=r"L/a",
            plain="L/a",
            question="which share of the energy of x is lost?",
            at_one="as bad as x̂ = 0",
            published="FVU when centred",
            range=NOT_NEGATIVE,
        ),
        _proven(
            "angle_loss",
            symbol=r"1-\rho^2",
            plain="1−ρ²",
            question="which share does no common rescaling recover (the tokens' angles and unequal factors, C23)?",
            at_one="x̂ is perpendicular to x",
            range=Interval(0, 1),
        ),
        _proven(
            "length_loss",
            symbol=r"(r-\rho)^2",
            plain="(r−ρ)²",
            question="which share is lost to the length, and would come back by the best rescaling?",
            at_one="the length alone loses as much as x̂ = 0 does",
            range=NOT_NEGATIVE,
            root="length_gap",
        ),
    )
}


def measure_named(key: str) -> Measure:
    """The measure with that key. Raises InputError, which lists the keys, if there is none."""
    if key not in REGISTRY:
        raise InputError(f"there is no measure {key!r}; the measures are {', '.join(REGISTRY)}")
    return REGISTRY[key]
