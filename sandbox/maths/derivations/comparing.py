"""C27: two SAEs on the same tokens, and how sharp their difference is."""

from __future__ import annotations

from sympy import Eq, Rational, Symbol, sqrt, symbols

from sandbox.maths.derivations.register import claim
from sandbox.maths.proof.derivation import Proof


@claim(
    "C27",
    "paired-difference",
    "For two SAEs on the same tokens the variance of a difference is σ₁² + σ₂² − 2·κ·σ₁·σ₂: the more their errors "
    "share, κ, the sharper it is.",
)
def paired_difference(proof: Proof) -> None:
    first, second, kappa, sigma = symbols("sigma1 sigma2 kappa sigma", real=True)
    u, w = symbols("u w", real=True)
    variance = Symbol("D", real=True)
    proof.step(
        "Leave one group out of both SAEs at once. If the two measures stray from their means by u and w, the "
        "difference strays by u − w. Its square holds theirs, and twice what they share.",
        (u - w) ** 2,
        "=",
        u**2 + w**2 - 2 * u * w,
    )
    proof.let(
        "Averaged over the groups: variances σ₁² and σ₂², and a covariance κ·σ₁·σ₂, κ being their correlation. The "
        "jackknife multiplies all three alike (quoted).",
        variance,
        first**2 + second**2 - 2 * kappa * first * second,
    )
    proof.step(
        "It is smaller than that of SAEs measured on different tokens, which share nothing, wherever κ is positive.",
        first**2 + second**2 - variance,
        "=",
        2 * kappa * first * second,
        ">",
        0,
        where=(kappa > 0, first > 0, second > 0),
    )
    alike = (sigma > 0, Eq(first, sigma), Eq(second, sigma))
    proof.step("Where both are equally sharp …", variance, "=", 2 * sigma**2 * (1 - kappa), where=alike)
    proof.step(
        "… a correlation of 35/36 makes the interval six times narrower.",
        sqrt(2 * sigma**2 / variance),
        "=",
        6,
        where=(*alike, Eq(kappa, Rational(35, 36))),
    )
