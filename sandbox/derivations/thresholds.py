"""C17, C18: where shrinkage comes from. Soft and hard thresholds on exponential features, in closed form."""

from __future__ import annotations

from sympy import Derivative, Eq, Expr, Integral, Limit, Rel, Subs, Symbol, exp, log, oo, simplify

from sandbox.derivations.derivation import Proof
from sandbox.derivations.register import claim, prove
from sandbox.derivations.step import evaluated
from sandbox.derivations.symbols import a, b, c, lam, r

f = Symbol("f", real=True)  # the strength of one feature
share = Symbol("p", real=True)  # of active features: L0 over the width
density = exp(-f)
SPARSE = (share > 0, share < 1)


def _feature(kept: Expr) -> tuple[Rel, ...]:
    """The moments of one feature that is 0 up to the threshold, and `kept` above it.

    The dictionary is orthonormal, so the totals of a token are sums over its features, and every measure, a ratio,
    is that of one feature.
    """
    energy, rest, inner = (
        Integral(f**2 * density, (f, 0, oo)),
        Integral(kept**2 * density, (f, lam, oo)),
        Integral(f * kept * density, (f, lam, oo)),
    )
    return lam > 0, Eq(a, energy), Eq(b, rest), Eq(c, inner)


def _found(where: tuple[Rel, ...]) -> tuple[Expr, ...]:
    """The moments worked out, and the share of features above the threshold."""
    return *(simplify(evaluated(condition.rhs)) for condition in where[1:]), exp(-lam)


SOFT, HARD = _feature(f - lam), _feature(f)


@claim(
    "C17",
    "soft-threshold",
    "L1 penalty = soft threshold max(f − λ, 0) on f ~ Exp(1): γ = 2/(2+λ), r² = e^(−λ), a share e^(−λ) is active.",
    where=SOFT,
)
def soft_threshold(proof: Proof) -> None:
    energy, kept, inner, active = _found(SOFT)
    proof.step("The share of features above the threshold.", Integral(density, (f, lam, oo)), "=", active)
    proof.step("The energy of x.", a, "=", energy)
    proof.step("The energy of x̂.", b, "=", kept, hint="Put f = λ + g: the density becomes e^(−λ)·e^(−g).")
    proof.step("The inner product.", c, "=", inner, hint="With f = λ + g the integrand is (λ + g)·g.")
    proof.step("So γ is below 1: an L1 penalty shrinks.", b / c, "=", 2 / (2 + lam), hint="e^(−λ) cancels.")
    proof.step("By how much.", 1 - b / c, "=", lam / (2 + lam), ">", 0)
    proof.step("The squared norm ratio.", r**2, "=", exp(-lam))
    over_share = 2 / (2 - log(share))
    proof.step(
        "Over the share of active features p (the sparsity, L0), λ is −ln p.",
        Subs(2 / (2 + lam), lam, -log(share)),
        "=",
        over_share,
        where=SPARSE,
    )
    proof.step(
        "γ falls as the SAE gets sparser: the curve of figure 6.",
        Derivative(over_share, share),
        "=",
        2 / (share * (2 - log(share)) ** 2),
        ">",
        0,
        where=SPARSE,
    )
    proof.step("Edge case: with no threshold, p = 1, nothing shrinks.", Subs(over_share, share, 1), "=", 1)
    proof.result(a=energy, b=kept, c=inner, active=active)


@claim(
    "C18",
    "hard-threshold",
    "Gate (or jump) = hard threshold f·[f > λ] on f ~ Exp(1): γ = 1 for every λ, while r² = (1 + λ + λ²/2)·e^(−λ) < 1.",
    where=HARD,
)
def hard_threshold(proof: Proof) -> None:
    energy, kept, inner, active = _found(HARD)
    proof.step("The share of features above the threshold.", Integral(density, (f, lam, oo)), "=", active)
    proof.step("The energy of x.", a, "=", energy)
    proof.step("The energy of x̂.", b, "=", kept, hint="Integrate by parts twice, or put f = λ + g.")
    proof.step("What is kept is kept whole, so the inner product is the same.", c, "=", inner)
    proof.step("So γ is 1 for every threshold: a gate does not shrink.", b / c, "=", 1)
    proof.step(
        "But the squared norm ratio is this …",
        r**2,
        "=",
        (1 + lam + lam**2 / 2) * exp(-lam),
        hint="b/a, with a = 2.",
    )
    proof.step("… it begins at 1 without a threshold …", Limit(r**2, lam, 0, "+"), "=", 1)
    proof.step(
        "… and falls with every threshold above: below 1, though nothing shrinks.",
        -Derivative(r**2, lam),
        "=",
        lam**2 / 2 * exp(-lam),
        ">",
        0,
    )
    proof.step("Down to 0.", Limit(r**2, lam, oo), "=", 0)
    proof.step(
        "At the same sparsity a gate keeps more of the energy than L1 does.",
        b - prove("C17").results["b"],
        "=",
        (2 * lam + lam**2) * exp(-lam),
        ">",
        0,
    )
    proof.result(a=energy, b=kept, c=inner, active=active)
