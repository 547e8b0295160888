"""C12–C14: the loss in two parts, the loci where each measure is 1, and the offset that hides shrinkage."""

from __future__ import annotations

from sympy import Eq, Limit, Symbol, oo, sqrt

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, L, a, b, c, m, offset, r, rho, s, spread, x, x_hat, z


@claim("C12", "pythagoras", "L/a = (r − ρ)² + 1 − ρ²: the length's part, which a rescaling removes, and the angle's.")
def pythagoras(proof: Proof) -> None:
    least = Expect(prove("C2").results["scale_x_hat"] * x_hat - x)
    norm_ratio, relative_loss = sqrt(b / a), (a + b - 2 * c) / a
    angle_loss, length_gap = 1 - c**2 / (a * b), (b - c) / sqrt(a * b)
    energy, along = a * r**2, a * r * rho
    proof.step("The norm ratio.", r, "=", norm_ratio)
    proof.step("So the angle and the norm ratio fix b …", b, "=", energy)
    proof.step("… and c, up to the energy of x.", c, "=", along)
    proof.step(
        "The loss, relative to the energy of x.",
        L / a,
        "=",
        relative_loss,
        "=",
        1 + r**2 - 2 * r * rho,
        hint="b/a is r², and c/a is r·ρ (C1).",
    )
    proof.step("What the best rescaling of x̂ leaves is the angle's part.", least / a, "=", 1 - rho**2, "=", angle_loss)
    proof.step("How far the length is from the best one.", r - rho, "=", length_gap)
    proof.step(
        "What the best rescaling removes is the length's part.",
        (L - least) / a,
        "=",
        (r - rho) ** 2,
        "=",
        length_gap**2,
        "≥",
        0,
    )
    proof.step(
        "Both parts together are the loss.",
        L / a,
        "=",
        (1 - rho**2) + (r - rho) ** 2,
        hint="Add and subtract ρ² in 1 + r² − 2·r·ρ.",
    )
    proof.says(L / a, "=", (1 - rho**2) + (r - rho) ** 2)
    proof.result(
        norm_ratio=norm_ratio,
        relative_loss=relative_loss,
        angle_loss=angle_loss,
        length_gap=length_gap,
        length_loss=length_gap**2,
        b=energy,
        c=along,
    )


@claim(
    "C13",
    "three-loci",
    "Where is each measure 1? γ on the sphere with diameter x (Thales), c/a on the plane across the tip of x, r on the "
    "sphere about 0 through it. Only in x do all meet: L = Δᵧ − Δₛ.",
)
def three_loci(proof: Proof) -> None:
    u, v, length = Symbol("u", real=True), Symbol("v", real=True), Symbol("l", real=True)
    plane = length > 0, Eq(a, length**2), Eq(b, u**2 + v**2), Eq(c, u * length)
    bias_gap, scale_gap, norm_gap = (Symbol(f"Delta_{of}", real=True) for of in ("gamma", "s", "r"))
    bias, of_x = prove("C6").results["relative_reconstruction_bias"], prove("C1").results["scale_x"]
    proof.let("A gap for each measure: for γ …", bias_gap, b - c)
    proof.let("… for c/a …", scale_gap, c - a)
    proof.let("… and for r.", norm_gap, b - a)
    proof.step("γ = 1 where the first closes (c > 0, so not at x̂ = 0) …", bias - 1, "=", bias_gap / c, where=(c > 0,))
    proof.step("… c/a = 1 where the second does …", of_x - 1, "=", scale_gap / a)
    proof.step("… and r = 1 where the third does.", r**2 - 1, "=", norm_gap / a)
    proof.step(
        "γ = 1: x̂ is as far from the middle of x as the tip of x is (Thales, in any dimension).",
        bias_gap,
        "=",
        Expect(x_hat - x / 2) - Expect(x / 2),
    )
    proof.step("c/a = 1: what x̂ has more than x is perpendicular to x.", scale_gap, "=", Expect(x, x_hat - x))
    proof.step("r = 1: x̂ is as far from the origin as x is.", norm_gap, "=", Expect(x_hat) - Expect(x))
    proof.step(
        "In the plane, x = (l, 0) and x̂ = (u, v): γ = 1 is a circle about the middle of x, with x as its diameter.",
        bias_gap,
        "=",
        (u - length / 2) ** 2 + v**2 - (length / 2) ** 2,
        where=plane,
        hint="Complete the square in u.",
    )
    proof.step("c/a = 1 is a line: across x, at its tip.", scale_gap, "=", length * (u - length), where=plane)
    proof.step("r = 1 is a circle about the origin.", norm_gap, "=", u**2 + v**2 - length**2, where=plane)
    proof.step("The distance from x̂ to x, squared, is the loss.", L, "=", (u - length) ** 2 + v**2, where=plane)
    proof.step("Where γ = 1 and c/a = 1 it is 0, in any dimension: x̂ = x.", L, "=", bias_gap - scale_gap)
    proof.says(L, "=", bias_gap - scale_gap)
    proof.step("The same holds where γ = 1 and r = 1 …", L, "=", 2 * bias_gap - norm_gap)
    proof.step("… and where c/a = 1 and r = 1.", L, "=", norm_gap - 2 * scale_gap)


@claim(
    "C14",
    "offset-hides-shrinkage",
    "An offset hides shrinkage: for m + z and m + s·z, γ − 1 = s·v·(s − 1)/(m₂ + s·v) fades as "
    "m₂ grows; centred, γ is s.",
    where=(spread > 0, offset >= 0, s > 0),
)
def offset_hides_shrinkage(proof: Proof) -> None:
    bias = Symbol("gamma", real=True)
    shifted, shrunk = m + z, m + s * z
    proof.step(
        "z is centred, with variance v, and ‖m‖² is m₂: only the squares remain.", Expect(shifted), "=", offset + spread
    )
    proof.step(
        "The reconstruction has the same offset, but the rest is shrunk.", Expect(shrunk), "=", offset + s**2 * spread
    )
    proof.step("And the inner product.", Expect(shifted, shrunk), "=", offset + s * spread, hint="E[m·z] = 0.")
    proof.let("γ is b/c (C6).", bias, Expect(shrunk) / Expect(shifted, shrunk))
    proof.step(
        "Raw, the offset is in numerator and denominator …",
        bias,
        "=",
        (offset + s**2 * spread) / (offset + s * spread),
    )
    proof.step("… so γ is off 1 by less and less …", bias - 1, "=", s * (s - 1) * spread / (offset + s * spread))
    proof.says(bias - 1, "=", s * (s - 1) * spread / (offset + s * spread))
    proof.step("… and tends to 1 as the offset grows, whatever the shrinkage s.", Limit(bias, offset, oo), "=", 1)
    proof.step("Centred, γ is s.", Expect(s * z) / Expect(z, s * z), "=", s)
