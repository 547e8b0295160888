"""C12: the loss split into the part of the angle and the part of the length."""

from __future__ import annotations

from sympy import expand, factor, together

from sandbox.derivations.register import Proof, claim, prove
from sandbox.derivations.step import Step
from sandbox.derivations.symbols import Expect, L, a, b, c, meaning, r, rho, x, x_hat


@claim("C12", "pythagoras", "L/a = (1 − ρ²) + (r − ρ)²: the angle's part, and the length's, which a rescaling removes.")
def pythagoras() -> Proof:
    least = Expect(prove("C2").results["scale_x_hat"] * x_hat - x)
    relative_loss = together(meaning(L / a))
    angle_loss = expand(least.doit() / a)
    length_gap = factor(meaning(r - rho))
    return Proof(
        [
            Step("The norm ratio.", r, "=", meaning(r)),
            Step("The loss, relative to the energy of x.", L / a, "=", relative_loss, "=", 1 + r**2 - 2 * r * rho),
            Step("What the best rescaling of x̂ leaves is the angle's part.", least / a, "=", 1 - rho**2),
            Step(
                "What it removes is the length's part.",
                (L - least) / a,
                "=",
                (b - c) ** 2 / (a * b),
                "=",
                (r - rho) ** 2,
                "≥",
                0,
            ),
            Step("Both parts together are the loss.", L / a, "=", (1 - rho**2) + (r - rho) ** 2),
        ],
        {
            "norm_ratio": meaning(r),
            "relative_loss": relative_loss,
            "angle_loss": angle_loss,
            "length_gap": length_gap,
            "length_loss": length_gap**2,
        },
    )
