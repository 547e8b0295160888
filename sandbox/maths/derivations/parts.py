"""C23–C26: pooled data taken apart, into tokens, parts and directions, and measured from another origin."""

from __future__ import annotations

from sympy import Eq, Ne, Rational, Subs, Symbol, cos, sin, symbols

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, L, a, b, c, m, rho, s, theta, x, x_hat

V = Symbol("V", real=True)  # the sum of c²/b over the tokens
a1, a2, b1, b2, c1, c2 = symbols("a1 a2 b1 b2 c1 c2", real=True)  # two tokens, parts of the data, or axes
EXACT_AND_HALF = (a, b, c), (2, Rational(5, 4), Rational(3, 2))  # two tokens of length 1: x̂ = x, and x̂ = x/2
g1, g2 = symbols("gamma1 gamma2", real=True)  # γ of each of the two
POOLED = Eq(b, b1 + b2), Eq(c, c1 + c2)


@claim(
    "C23",
    "three-parts",
    "The loss of many tokens has three parts, L = L₁ + L₂ + L₃: their angles, factors that differ between them, and "
    "the common factor. What C12 calls the angle's part is the first two.",
)
def three_parts(proof: Proof) -> None:
    ai, bi, ci = symbols("a_i b_i c_i", real=True)
    angles, factors, common = (Symbol(f"L{i}", real=True) for i in (1, 2, 3))
    active = (bi > 0,)
    best = prove("C2").results["scale_x_hat"]
    angle_part, length_part = (prove("C12").results[key] for key in ("angle_loss", "length_loss"))
    proof.step(
        "A token's loss: what its own best factor cᵢ/bᵢ leaves, its angle's part, and how far that factor is from 1.",
        ai + bi - 2 * ci,
        "=",
        (ai - ci**2 / bi) + bi * (ci / bi - 1) ** 2,
        where=active,
    )
    proof.step(
        "Its factor, seen from a common factor s.",
        bi * (ci / bi - s) ** 2,
        "=",
        ci**2 / bi - 2 * s * ci + s**2 * bi,
        where=active,
    )
    proof.let("Sum over the tokens, where V is the sum of cᵢ²/bᵢ. The angles …", angles, a - V)
    proof.let("… how much the factors differ from the pooled one, c/b (C2) …", factors, V - 2 * best * c + best**2 * b)
    proof.let("… and what that one factor would remove.", common, (b - c) ** 2 / b)
    proof.step("Together they are the loss.", L, "=", angles + factors + common)
    proof.says(L, "=", angles + factors + common)
    of_tokens, of_factors = (a - V) / a, (V - c**2 / b) / a
    proof.step(
        "Relative to the energy of x, the first needs one total more than a, b and c …", angles / a, "=", of_tokens
    )
    proof.step("… and so does the second.", factors / a, "=", of_factors)
    proof.step("The third is C12's part of the length …", common / a, "=", length_part)
    proof.step("… so C12's part of the angle is the other two.", (angles + factors) / a, "=", angle_part)
    tokens = (b1 > 0, b2 > 0, *POOLED, Eq(V, c1**2 / b1 + c2**2 / b2))
    proof.step(
        "The second is 0 only where all factors agree. For two tokens, and so for any number, one by one:",
        factors,
        "=",
        b1 * b2 / (b1 + b2) * (c1 / b1 - c2 / b2) ** 2,
        "≥",
        0,
        where=tokens,
    )
    proof.step(
        "Two tokens of length 1, the first reconstructed exactly, the second at half its length: no angle anywhere …",
        Subs(angles, (a, V), (2, 2)),
        "=",
        0,
    )
    proof.step(
        "… and yet C12 books a tenth of the energy under “angle”.",
        Subs(angle_part, *EXACT_AND_HALF),
        "=",
        Rational(1, 10),
    )
    proof.result(tokens_loss=of_tokens, factors_loss=of_factors)


@claim(
    "C24",
    "pooling-reorders",
    "Pooled γ is the parts' mean weighted by c. SAEs can trade places: B leads on each part, 7/8 > 3/4 and 1/2 > 1/4, "
    "A on both together, 19/28 > 5/8.",
)
def pooling_reorders(proof: Proof) -> None:
    s1, s2 = symbols("s1 s2", real=True)
    both = (a1 > 0, a2 > 0)
    proof.step(
        "Two parts with c₁, c₂ > 0 that both shrink: pooled, they shrink. (C15 has the mean itself.)",
        1 - (c1 * g1 + c2 * g2) / (c1 + c2),
        "=",
        (c1 * (1 - g1) + c2 * (1 - g2)) / (c1 + c2),
        ">",
        0,
        where=(c1 > 0, c2 > 0, g1 < 1, g2 < 1),
    )
    for words, total in (("c/a is weighted by a …", (c1, c2)), ("… and so is r².", (b1, b2))):
        proof.step(
            words,
            (total[0] + total[1]) / (a1 + a2),
            "=",
            (a1 * s1 + a2 * s2) / (a1 + a2),
            where=(*both, Eq(s1, total[0] / a1), Eq(s2, total[1] / a2)),
        )
    proof.step(
        "One part reconstructed exactly, one at half its length: ρ is 1 in both, and below 1 in the pool.",
        1 - Subs(rho**2, *EXACT_AND_HALF),
        "=",
        Rational(1, 10),
        ">",
        0,
    )
    bias = prove("C6").results["relative_reconstruction_bias"]
    sae_a = (Rational(9, 16), Rational(3, 4)), (Rational(1, 32), Rational(1, 8))  # b and c in two parts
    sae_b = (Rational(7, 32), Rational(1, 4)), (Rational(1, 4), Rational(1, 2))
    pooled_a, pooled_b = (tuple(map(sum, zip(*sae, strict=True))) for sae in (sae_a, sae_b))
    for words, more, larger, less, smaller in (
        ("Two SAEs on two parts of the data: B has the larger γ on the first …", sae_b[0], 7, sae_a[0], 6),
        ("… and on the second …", sae_b[1], 4, sae_a[1], 2),
    ):
        proof.step(
            words,
            Subs(bias, (b, c), more),
            "=",
            Rational(larger, 8),
            ">",
            Subs(bias, (b, c), less),
            "=",
            Rational(smaller, 8),
        )
    proof.step(
        "… but A has it on both together.",
        Subs(bias, (b, c), pooled_a),
        "=",
        Rational(19, 28),
        ">",
        Subs(bias, (b, c), pooled_b),
        "=",
        Rational(5, 8),
    )
    proof.says(Rational(7, 8), ">", Rational(3, 4))
    proof.says(Rational(1, 2), ">", Rational(1, 4))
    proof.says(Rational(19, 28), ">", Rational(5, 8))


AXES = Ne(c1 + c2, 0), Eq(b1, c1 * g1), Eq(b2, c2 * g2), *POOLED


@claim(
    "C25",
    "directions",
    "Over the axes of any orthonormal basis b/c = (c₁·γ₁ + c₂·γ₂)/(c₁ + c₂), and so on: γ at 1 can hide axes that "
    "shrink and axes that stretch.",
    where=AXES,
)
def directions(proof: Proof) -> None:
    bias = prove("C6").results["relative_reconstruction_bias"]
    u1, u2, v1, v2 = symbols("u1 u2 v1 v2", real=True)
    proof.step(
        "Turn two axes: the products of the coordinates keep their sum. So b and c are sums over the axes of any "
        "basis.",
        (u1 * cos(theta) + u2 * sin(theta)) * (v1 * cos(theta) + v2 * sin(theta))
        + (u2 * cos(theta) - u1 * sin(theta)) * (v2 * cos(theta) - v1 * sin(theta)),
        "=",
        u1 * v1 + u2 * v2,
        hint="Expand; cos² + sin² is 1, and the mixed terms cancel.",
    )
    proof.step(
        "With γ₁ and γ₂ along two of them; a c may be negative.",
        bias,
        "=",
        (c1 * g1 + c2 * g2) / (c1 + c2),
    )
    proof.says(bias, "=", (c1 * g1 + c2 * g2) / (c1 + c2))
    proof.step(
        "One axis stretched to 5⁄4, one shrunk to ¾, of the same weight: γ is 1.",
        Subs((c1 * g1 + c2 * g2) / (c1 + c2), (c1, c2, g1, g2), (1, 1, Rational(5, 4), Rational(3, 4))),
        "=",
        1,
    )


@claim(
    "C26",
    "origin",
    "From an origin m, E[(x̂ − m)·(x − x̂)] = c − b − E[m·(x − x̂)]: where the mean error is 0, c − b is the same "
    "from every origin.",
)
def origin(proof: Proof) -> None:
    proof.step("c − b is the error, seen along x̂ (C10).", c - b, "=", Expect(x_hat, x - x_hat))
    about = Expect(x_hat - m, x - x_hat)
    proof.step("From m, x and x̂ both lose m, and the error stays.", about, "=", c - b - Expect(m, x - x_hat))
    proof.says(about, "=", c - b - Expect(m, x - x_hat))
    proof.step(
        "γ itself depends on the origin, because c does.",
        prove("C6").results["relative_reconstruction_bias"] - 1,
        "=",
        -(c - b) / c,
        where=(Ne(c, 0),),
    )
