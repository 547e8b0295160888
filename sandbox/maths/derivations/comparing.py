"""C27: two SAEs on the same tokens, and how sharp their difference is."""

from __future__ import annotations

from sympy import Eq, Rational, Symbol, sqrt, symbols

from sandbox.maths.derivations.register import claim
from sandbox.maths.proof.derivation import Proof


@claim(
    "C27",
    "paired-difference",
    "On the same tokens two SAEs' errors u and w partly cancel, (u − w)² = u² + w² − 2·u·w: a difference is "
    "sharper than on two sets of tokens.",
)
def paired_difference(proof: Proof) -> None:
    first, second, kappa, sigma = symbols("sigma1 sigma2 kappa sigma", real=True)
    u, w = symbols("u w", real=True)
    variance = Symbol("D", real=True)
    proof.step(
        "Leave one group out of both. Where the measures stray from their means by u and w, the difference strays by "
        "u − w.",
        (u - w) ** 2,
        "=",
        u**2 + w**2 - 2 * u * w,
    )
    proof.says((u - w) ** 2, "=", u**2 + w**2 - 2 * u * w)
    proof.let(
        "On average over groups: the variances, and a correlation κ. (The jackknife scales all by one factor: quoted.)",
        variance,
        first**2 + second**2 - 2 * kappa * first * second,
    )
    proof.step(
        "SAEs on different tokens share nothing. On the same tokens the variance is smaller, where κ is positive.",
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
