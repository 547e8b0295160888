"""C6, C7: relative reconstruction bias, and the slip in the first version's equation 10."""

from __future__ import annotations

from sympy import Derivative, Rational, Subs, Symbol, factor, sqrt

from sandbox.derivations.register import Proof, claim, prove
from sandbox.derivations.step import Step
from sandbox.derivations.symbols import Expect, L, a, b, c, meaning, r, rho, x, x_hat
from sandbox.derivations.two_scales import minimum

gamma = Symbol("gamma", real=True)


@claim(
    "C6",
    "relative-reconstruction-bias",
    "The intended bias is γ = argmin over s of E‖x̂/s − x‖² = b/c = r/ρ, the reciprocal of the best scale of x̂.",
)
def relative_reconstruction_bias() -> Proof:
    s = Symbol("s", real=True, nonzero=True)  # this scale divides
    loss = Expect(x_hat / s - x)
    best, steps = minimum(loss.doit(), s, where=(c > 0,))
    names = {gamma: best}
    return Proof(
        [
            Step(
                "Expectation is linear; name the three moments.",
                loss,
                "=",
                Expect(x_hat) / s**2 - 2 * Expect(x, x_hat) / s + Expect(x),
                "=",
                loss.doit(),
            ),
            *steps,
            Step(
                "γ is that scale; its reciprocal is the scale of C2.",
                1 / gamma,
                "=",
                _best_of_x_hat(),
                names=names,
                where=(c > 0,),
            ),
            Step("In terms of the norm ratio and the cosine.", gamma, "=", r / rho, names=names, where=(c > 0,)),
            Step(
                "In terms of the losses (corrected equation 10).",
                gamma,
                "=",
                2 * b / (a + b - L),
                names=names,
                where=(c > 0,),
            ),
            Step(
                "Edge case c = 0: the loss falls with every s > 0, and there is no best one.",
                -Subs(Derivative(loss.doit(), s), c, 0),
                "=",
                2 * b / s**3,
                ">",
                0,
                where=(s > 0,),
            ),
            Step(
                "Edge case b = 0: then x̂ = 0 almost surely, so c = 0, every s gives a and none is best.",
                Subs(loss.doit(), (b, c), (0, 0)),
                "=",
                a,
            ),
        ],
        {"relative_reconstruction_bias": best},
    )


@claim(
    "C7",
    "equation-10-v1",
    "Equation 10 holds for the optimised loss L*: √(b/(a − L*)) = γ. The first version wrote the plain loss L there.",
)
def equation_10_v1() -> Proof:
    of_x_hat = _best_of_x_hat()
    bias = prove("C6").results["relative_reconstruction_bias"]
    half = Rational(1, 2)
    optimised = Symbol("L*", real=True)
    least = Expect(of_x_hat * x_hat - x)
    names = {optimised: least, gamma: bias}
    slip = factor(meaning(sqrt(b / (a - L))))
    return Proof(
        [
            Step(
                "The optimised loss: x̂ is rescaled by the best factor first.",
                optimised,
                "=",
                least,
                "=",
                least.doit(),
                "=",
                a * (1 - rho**2),
                names=names,
            ),
            Step(
                "With L* the square root is γ.",
                sqrt(b / (a - optimised)),
                "=",
                gamma,
                where=(c > 0,),
                names=names,
            ),
            Step("The plain loss is another number.", L, "=", Expect(x_hat - x), "=", meaning(L)),
            Step("With L in the place of L* it is something else.", sqrt(b / (a - L)), "=", slip),
            Step(
                "The difference of the losses: what the best rescaling would remove.",
                L - optimised,
                "=",
                (b - c) ** 2 / b,
                "≥",
                0,
                names=names,
            ),
            Step(
                "An example, x = 1 and x̂ = ½: γ = ½, but the first version's value is 1/√3.",
                Subs(slip, (b, c), (Rational(1, 4), half)),
                "=",
                1 / sqrt(3),
                ">",
                half,
                "=",
                Subs(bias, (b, c), (Rational(1, 4), half)),
            ),
        ],
        {"equation_10_v1": slip},
    )


def _best_of_x_hat():
    return prove("C2").results["scale_x_hat"]
