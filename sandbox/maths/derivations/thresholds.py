"""C17, C18: where shrinkage comes from. Soft and hard thresholds on exponential features, in closed form."""

from __future__ import annotations

from sympy import Derivative, Eq, Expr, Function, Integral, Limit, Rel, Subs, Symbol, exp, log, oo, simplify

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.proof.step import evaluated
from sandbox.maths.symbols import a, b, c, lam, r

f = Symbol("f", real=True)  # the strength of one feature
share = Symbol("p", real=True)  # of active features: L0 over the width
density = exp(-f)
SPARSE = (share > 0, share < 1)


def _feature(kept: Expr) -> tuple[Rel, ...]:
    """The moments of one feature that is 0 up to the threshold and `kept` above it.

    The dictionary is orthonormal, so the totals of a token are sums over its features, and every measure, being a
    ratio of totals, is that of one feature.
    """
    energy, rest, inner = (
        Integral(f**2 * density, (f, 0, oo)),
        Integral(kept**2 * density, (f, lam, oo)),
        Integral(f * kept * density, (f, lam, oo)),
    )
    return lam > 0, Eq(a, energy), Eq(b, rest), Eq(c, inner)


def _evaluated(where: tuple[Rel, ...]) -> tuple[Expr, ...]:
    """The moments, worked out, and the share of features above the threshold."""
    return *(simplify(evaluated(condition.rhs)) for condition in where[1:]), exp(-lam)


SOFT, HARD = _feature(f - lam), _feature(f)


@claim(
    "C17",
    "soft-threshold",
    "An L1 penalty of coefficient 2·λ is a soft threshold max(f − λ, 0). For f ~ Exp(1) γ is b/c = "
    "2/(λ + 2), r² = e^(−λ), the active share e^(−λ).",
    where=SOFT,
)
def soft_threshold(proof: Proof) -> None:
    energy, kept, inner, active = _evaluated(SOFT)
    u, penalised, coefficient = Symbol("u", real=True), Function("q"), 2 * lam
    proof.let(
        "What a value u ≥ 0 of the latent costs under an L1 penalty of 2λ.",
        penalised(u),
        (f - u) ** 2 + coefficient * u,
    )
    proof.step("The penalty's coefficient is twice the threshold.", Derivative(coefficient * u, u), "=", coefficient)
    slope = 2 * (u - f) + coefficient
    proof.step("The slope of the cost …", Derivative(penalised(u), u), "=", slope)
    proof.step("… is 0 at one value.", u, "=", f - lam, where=(Eq(slope, 0),))
    proof.step(
        "Above the threshold f − λ costs least …",
        penalised(u) - penalised(f - lam),
        "=",
        (u - f + lam) ** 2,
        "≥",
        0,
    )
    proof.step(
        "… and up to it 0 does: the best latent is the soft threshold.",
        penalised(u) - penalised(0),
        "=",
        u**2 + 2 * u * (lam - f),
        "≥",
        0,
        where=(u >= 0, f <= lam),
    )
    proof.step("The share of features above the threshold.", Integral(density, (f, lam, oo)), "=", active)
    proof.step("The energy of x.", a, "=", energy)
    proof.step("The energy of x̂.", b, "=", kept, hint="Put f = λ + g: the density becomes e^(−λ)·e^(−g).")
    proof.step("The inner product.", c, "=", inner, hint="With f = λ + g the integrand is (λ + g)·g.")
    proof.step("So γ is below 1: an L1 penalty shrinks.", b / c, "=", 2 / (2 + lam), hint="e^(−λ) cancels.")
    proof.step("By how much.", 1 - b / c, "=", lam / (2 + lam), ">", 0)
    proof.step("The squared norm ratio.", r**2, "=", exp(-lam))
    proof.says(b / c, "=", 2 / (2 + lam))
    proof.says(r**2, "=", exp(-lam))
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
    proof.step("Edge case: without a threshold, p = 1, nothing shrinks.", Subs(over_share, share, 1), "=", 1)
    proof.result(a=energy, b=kept, c=inner, active=active, latent=f - lam, coefficient=coefficient)


@claim(
    "C18",
    "hard-threshold",
    "A gate (or jump) keeps f whole above λ. For f ~ Exp(1) γ is b/c = 1, while r² = (λ²/2 + λ + 1)·e^(−λ), below 1.",
    where=HARD,
)
def hard_threshold(proof: Proof) -> None:
    energy, kept, inner, active = _evaluated(HARD)
    strength = Symbol("k", real=True)
    for words, kept_whole in (("Above the threshold f is kept", f), ("Below it nothing is", 0)):
        proof.step(
            f"{words}: b and c have the same integrand, whatever the distribution of f, and γ is 1.",
            strength**2,
            "=",
            f * strength,
            where=(Eq(strength, kept_whole),),
        )
    proof.step("The share of features above the threshold.", Integral(density, (f, lam, oo)), "=", active)
    proof.step("The energy of x.", a, "=", energy)
    proof.step("The energy of x̂.", b, "=", kept, hint="Integrate by parts twice, or put f = λ + g.")
    proof.step("A feature is kept whole or not at all, so the inner product is the same.", c, "=", inner)
    proof.step("So γ is 1 for every threshold: a gate does not shrink.", b / c, "=", 1)
    proof.step(
        "But the squared norm ratio is this …",
        r**2,
        "=",
        (1 + lam + lam**2 / 2) * exp(-lam),
        hint="b/a, with a = 2.",
    )
    proof.says(b / c, "=", 1)
    proof.says(r**2, "=", (1 + lam + lam**2 / 2) * exp(-lam))
    proof.step("… it is 1 without a threshold …", Limit(r**2, lam, 0, "+"), "=", 1)
    proof.step(
        "… and falls as the threshold rises: below 1, though nothing shrinks.",
        -Derivative(r**2, lam),
        "=",
        lam**2 / 2 * exp(-lam),
        ">",
        0,
    )
    proof.step("It falls to 0.", Limit(r**2, lam, oo), "=", 0)
    proof.step(
        "At the same sparsity a gate keeps more of the energy than L1 does.",
        b - prove("C17").results["b"],
        "=",
        (2 * lam + lam**2) * exp(-lam),
        ">",
        0,
    )
    proof.result(a=energy, b=kept, c=inner, active=active)
