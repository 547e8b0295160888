"""C15, C16: expectations over many pairs: pooled ratios, and their standard error."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import (
    Add,
    Derivative,
    Eq,
    Expr,
    Function,
    Integer,
    Matrix,
    Mul,
    Pow,
    Rational,
    Subs,
    Symbol,
    expand,
    symbols,
)

from sandbox.maths.derivations.measured import MEASURES
from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, a, b, c, x, x_hat


@claim(
    "C15",
    "pooled",
    "Pooled γ is a ratio of sums, B/C = b/c (c > 0, N > 0). A mean of ratios is another "
    "number; it depends on the batch.",
)
def pooled(proof: Proof) -> None:
    b1, b2, c1, c2 = symbols("b1 b2 c1 c2", real=True)
    count, total_b, total_c = Symbol("N", real=True), Symbol("B", real=True), Symbol("C", real=True)
    proof.let("Over N tokens, Σ‖x̂ᵢ‖² …", total_b, count * Expect(x_hat))
    proof.let("… and Σ(xᵢ·x̂ᵢ).", total_c, count * Expect(x, x_hat))
    bias = prove("C6").results["relative_reconstruction_bias"]
    proof.step("Their ratio is γ: the count cancels.", total_b / total_c, "=", bias, where=(c > 0, count > 0))
    proof.says(total_b / total_c, "=", bias)
    both = (c1 > 0, c2 > 0)
    gammas = Symbol("gamma1", real=True), Symbol("gamma2", real=True)
    proof.let("Two parts of the data, tokens or batches, each with its own γ: of the first …", gammas[0], b1 / c1)
    proof.let("… and of the second.", gammas[1], b2 / c2)
    together = (c1 * gammas[0] + c2 * gammas[1]) / (c1 + c2)
    proof.step(
        "Pooled, γ is the parts' mean, weighted by their c. A part may be pooled itself: so for any number of them.",
        (b1 + b2) / (c1 + c2),
        "=",
        together,
        where=both,
    )
    proof.step(
        "The plain mean is another number, unless the parts have the same γ or the same weight.",
        (gammas[0] + gammas[1]) / 2 - together,
        "=",
        (gammas[0] - gammas[1]) * (c2 - c1) / (2 * (c1 + c2)),
        where=both,
        hint="Over 2·(c₁ + c₂) the numerator factors.",
    )
    bs, cs = (3, 4, 5, 7), (2, 3, 3, 5)  # four tokens
    singles = [_pooled((b_,), (c_,)) for b_, c_ in zip(bs, cs, strict=True)]
    pairs = [_pooled(bs[:2], cs[:2]), _pooled(bs[2:], cs[2:])]
    proof.step("Four tokens in batches of one: the mean of four ratios.", _mean(singles), "=", Rational(59, 40))
    proof.step("The same in batches of two.", _mean(pairs), "=", Rational(29, 20))
    proof.step("The same in one batch: the pooled γ.", _pooled(bs, cs), "=", Rational(19, 13))


def _pooled(bs: Sequence[int], cs: Sequence[int]) -> Expr:
    """The ratio of two sums, left unevaluated."""
    above, below = (Add(*map(Integer, numbers), evaluate=False) for numbers in (bs, cs))
    return Mul(above, Pow(below, -1, evaluate=False), evaluate=False)


def _mean(ratios: Sequence[Expr]) -> Expr:
    return Mul(Rational(1, len(ratios)), Add(*ratios, evaluate=False), evaluate=False)


@claim(
    "C16",
    "standard-error",
    "Scaling all totals changes no measure: f(a·t, b·t, c·t) = f(a, b, c), t > 0. So the variance of f, "
    "G/(G − 1)·∇fᵀM∇f, needs only M, the sum of T·Tᵀ over groups with totals T.",
)
def standard_error(proof: Proof) -> None:
    t, h, f = Symbol("t", real=True), Function("h"), Function("f")
    totals = (a, b, c)
    proof.let("A smooth function of degree 0 in the totals is one of two ratios of them.", f(*totals), h(b / a, c / a))
    proof.step("Those two ratios are the totals themselves where E‖x‖² = 1.", f(1, b, c), "=", h(b, c))
    proof.step(
        "It does not change when all totals are scaled alike, so means serve as well as sums.",
        f(*(t * total for total in totals)),
        "=",
        f(*totals),
        where=(t > 0,),
    )
    proof.says(f(*(t * total for total in totals)), "=", f(*totals))
    for key, (number, positive) in MEASURES.items():
        formula = prove(number).results[key]
        met = tuple(total for total in totals if formula.has(total))
        proof.step(
            f"The measure {key} has degree 0, too.",
            Subs(formula, met, tuple(t * total for total in met)),
            "=",
            formula,
            where=(t > 0, *(term > 0 for term in positive if term not in (a, b))),
        )
    proof.step(
        "Euler's identity: the gradient is perpendicular to the totals.",
        b * Derivative(f(*totals), b) + c * Derivative(f(*totals), c),
        "=",
        -a * Derivative(f(*totals), a),
    )
    p = symbols("p_a p_b p_c", real=True)  # the gradient
    cluster = symbols("A_g B_g C_g", real=True)  # the totals of one cluster
    pull = _dot(p, cluster)
    proof.step(
        "To first order (delta method, quoted) a cluster moves f by its pull ∇f·T; the mean pull is 0 (Euler).",
        _dot(p, [total - mean for total, mean in zip(cluster, totals, strict=True)]),
        "=",
        pull,
        where=(Eq(_dot(p, totals), 0),),
    )
    column, row = Matrix(cluster), Matrix([cluster])
    proof.step(
        "Its square is a linear form in the products T·Tᵀ, so their sum M over the clusters is all that is needed.",
        pull**2,
        "=",
        expand((Matrix([p]) * (column * row) * Matrix(p))[0]),
    )
    G, variance, deviation = Symbol("G", real=True), Symbol("sigma", real=True) ** 2, Symbol("q", real=True)
    proof.let(
        "Each of G independent pulls has variance σ², and variances add (quoted). A pull's variance about their mean.",
        deviation,
        (1 - 1 / G) ** 2 * variance + (G - 1) / G**2 * variance,
    )
    proof.step("It is σ² times (G − 1)/G.", deviation, "=", (G - 1) / G * variance, where=(G > 0,))
    proof.step(
        "So G/(G − 1) times the sum of all G is the variance of the total pull.",
        G / (G - 1) * (G * deviation),
        "=",
        G * variance,
        where=(G > 1,),
    )


def _dot(u: Sequence[Expr], v: Sequence[Expr]) -> Expr:
    return Add(*(ui * vi for ui, vi in zip(u, v, strict=True)))
