"""C1, C2, C3: the two optimal scales, and why they are not reciprocals."""

from __future__ import annotations

from sympy import Derivative, Expr, Mul, Subs, Symbol, diff, factor, solve, sqrt

from sandbox.derivations.register import Proof, claim, prove
from sandbox.derivations.step import Step
from sandbox.derivations.symbols import Expect, a, b, c, r, rho, s, x, x_hat


def minimum(loss: Expr, scale: Symbol, where: tuple = ()) -> tuple[Expr, list[Step]]:
    """The one scale with the least loss, and the steps that show that it is the minimum."""
    slope = factor(diff(loss, scale))
    (best,) = solve(slope, scale)
    gap = factor(loss - loss.subs(scale, best))
    return best, [
        Step("The slope of the loss.", Derivative(loss, scale), "=", slope),
        Step("It vanishes at one scale.", Subs(slope, scale, best), "=", 0),
        Step(
            "The second derivative is positive there: a minimum.",
            Subs(Derivative(loss, (scale, 2)), scale, best),
            "=",
            factor(diff(loss, (scale, 2)).subs(scale, best)),
            ">",
            0,
            where=where,
        ),
        Step(
            "No other scale does better: what it loses more is a square.",
            loss - loss.subs(scale, best),
            "=",
            gap,
            "≥",
            0,
        ),
    ]


@claim("C1", "scale-x", "Which multiple of x is nearest to x̂? The argmin over s of E‖x̂ − s·x‖² is c/a = r·ρ.")
def scale_x() -> Proof:
    loss = Expect(x_hat - s * x)
    best, steps = minimum(loss.doit(), s)
    return Proof(
        [
            Step(
                "Expectation is linear; name the three moments.",
                loss,
                "=",
                Expect(x_hat) - 2 * s * Expect(x, x_hat) + s**2 * Expect(x),
                "=",
                loss.doit(),
            ),
            *steps,
            Step("In terms of the norm ratio and the cosine.", best, "=", r * rho),
            Step(
                "Edge case a = 0: then x = 0 almost surely, so c = 0, every s gives b and none is best.",
                Subs(loss.doit(), (a, c), (0, 0)),
                "=",
                b,
            ),
        ],
        {"scale_x": best, "loss": loss.doit()},
    )


@claim("C2", "scale-x-hat", "Which multiple of x̂ is nearest to x? The argmin over s of E‖s·x̂ − x‖² is c/b = ρ/r.")
def scale_x_hat() -> Proof:
    loss = Expect(s * x_hat - x)
    best, steps = minimum(loss.doit(), s)
    return Proof(
        [
            Step(
                "Expectation is linear; name the three moments.",
                loss,
                "=",
                s**2 * Expect(x_hat) - 2 * s * Expect(x, x_hat) + Expect(x),
                "=",
                loss.doit(),
            ),
            *steps,
            Step("In terms of the norm ratio and the cosine.", best, "=", rho / r),
            Step(
                "Edge case b = 0: then x̂ = 0 almost surely, so c = 0, every s gives a and none is best.",
                Subs(loss.doit(), (b, c), (0, 0)),
                "=",
                a,
            ),
        ],
        {"scale_x_hat": best, "loss": loss.doit()},
    )


@claim(
    "C3", "not-reciprocal", "The product of the two scales is ρ²: they are reciprocal only if x̂ = s·x almost surely."
)
def not_reciprocal() -> Proof:
    of_x = prove("C1").results["scale_x"]
    of_x_hat = prove("C2").results["scale_x_hat"]
    cosine = Expect(x, x_hat) / sqrt(Expect(x) * Expect(x_hat))
    left_over = Expect(x_hat - of_x * x)
    return Proof(
        [
            Step("The cosine, pooled over the data.", rho, "=", cosine, "=", cosine.doit()),
            Step(
                "The product of the two optimal scales.",
                Mul(of_x, of_x_hat, evaluate=False),
                "=",
                of_x * of_x_hat,
                "=",
                rho**2,
            ),
            Step("What the best multiple of x leaves over.", left_over, "=", b * (1 - rho**2)),
            Step("An expected square is not negative, so ρ² ≤ 1 (Cauchy–Schwarz).", left_over, "≥", 0),
            Step(
                "The product is 1 only where nothing is left over: x̂ is a multiple of x almost surely.",
                1 - of_x * of_x_hat,
                "=",
                left_over / b,
            ),
        ],
        {"cosine": cosine.doit()},
    )
