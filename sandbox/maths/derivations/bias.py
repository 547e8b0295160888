"""C6–C11, C29: relative reconstruction bias γ, and the slip in the first version's equation 10."""

from __future__ import annotations

from sympy import Derivative, Eq, Function, Limit, Mul, Ne, Order, Rational, Subs, Symbol, oo, sqrt

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.derivations.two_scales import loss
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, L, a, b, c, r, rho, s, x, x_hat

gamma = Symbol("gamma", real=True)
gamma_10 = Function("gamma_10")  # the first version's value, as a function of γ
optimised = Symbol("L*", real=True)
BELOW_2 = (c > 0, b < 2 * c)


@claim(
    "C6",
    "relative-reconstruction-bias",
    "The intended bias is the argmin over s of E‖x̂/s − x‖²: if c > 0, γ = b/c = r/ρ, one over the best scale of x̂.",
)
def relative_reconstruction_bias(proof: Proof) -> None:
    divides = (Ne(s, 0),)
    proof.let("The loss where the scale divides.", loss(s), Expect(x_hat / s - x))
    proof.step(
        "Expectation is linear; name the three moments.",
        loss(s),
        "=",
        Expect(x_hat) / s**2 - 2 * Expect(x, x_hat) / s + Expect(x),
        "=",
        proof.value(loss(s)),
        where=divides,
        hint="Expand the square; E‖x̂‖² now comes with 1/s².",
    )
    bias = proof.minimum(
        loss(s),
        s,
        where=(Ne(c, 0), *divides),
        hints=("The derivative of 1/s is −1/s², that of 1/s² is −2/s³.", "Bring everything over b·s²."),
    )
    proof.let("That scale is γ.", gamma, bias)
    proof.step("Its reciprocal is the scale of C2.", 1 / gamma, "=", prove("C2").results["scale_x_hat"], where=(c > 0,))
    proof.step(
        "In the moments, and with the norm ratio and the cosine.",
        gamma,
        "=",
        bias,
        "=",
        r / rho,
        where=(c > 0,),
        hint="C2 gave its reciprocal, ρ/r.",
    )
    proof.step("In terms of the losses (corrected equation 10).", gamma, "=", 2 * b / (a + b - L), where=(c > 0,))
    proof.step(
        "Edge case c < 0: the best s is negative, a reflection; γ < 0 is no measure of shrinkage.",
        -gamma,
        "=",
        -b / c,
        ">",
        0,
        where=(c < 0,),
    )
    proof.step(
        "Edge case c = 0: every s costs more than a, a larger s costs less, and none is best.",
        Subs(loss(s), c, 0) - a,
        "=",
        b / s**2,
        ">",
        0,
        where=divides,
    )
    proof.step(
        "Edge case b = 0: then x̂ = 0 almost surely, so c = 0, every s gives a and none is best.",
        Subs(loss(s), (b, c), (0, 0)),
        "=",
        a,
        where=divides,
    )
    proof.says(gamma, "=", bias, "=", r / rho)
    proof.result(relative_reconstruction_bias=bias)


@claim(
    "C7",
    "equation-10-v1",
    "Equation 10 holds for the optimised loss L*: √(b/(a − L*)) = b/c (c > 0). The first version wrote the loss L.",
)
def equation_10_v1(proof: Proof) -> None:
    bias, of_x_hat = prove("C6").results["relative_reconstruction_bias"], prove("C2").results["scale_x_hat"]
    slip = sqrt(b / (2 * c - b))
    proof.let("The optimised loss: x̂ is rescaled by the best factor first.", optimised, Expect(of_x_hat * x_hat - x))
    proof.step(
        "In the moments, and with the cosine.",
        optimised,
        "=",
        a - c**2 / b,
        "=",
        a * (1 - rho**2),
        hint="Put s = c/b into b·s² − 2c·s + a.",
    )
    proof.step("With L*: the energy of x less the loss …", a - optimised, "=", c**2 / b)
    proof.step("With L: … is different.", a - L, "=", 2 * c - b, hint="L = a + b − 2c.")
    proof.step("With L*: b divided by it is γ² …", b / (a - optimised), "=", bias**2, where=(c > 0,))
    proof.step("With L: … but not here.", b / (a - L), "=", b / (2 * c - b), where=BELOW_2)
    proof.step("With L*: so the square root is γ …", sqrt(b / (a - optimised)), "=", bias, where=(c > 0,))
    proof.step("With L: … and here it is the first version's equation 10.", sqrt(b / (a - L)), "=", slip, where=BELOW_2)
    proof.step(
        "The two losses differ by what the best rescaling would remove; only where b = c, at γ = 1, by nothing.",
        L - optimised,
        "=",
        (b - c) ** 2 / b,
        "≥",
        0,
        hint="Subtract a − c²/b from a + b − 2c, over b.",
    )
    six_and_three = (b, c), (9, 18)
    proof.step(
        "An example, x = 6 and x̂ = 3: γ = ½, but the first version's value is 1/√3.",
        Subs(slip, *six_and_three),
        "=",
        1 / sqrt(3),
        ">",
        Rational(1, 2),
        "=",
        Subs(bias, *six_and_three),
    )
    proof.says(sqrt(b / (a - optimised)), "=", bias)
    proof.result(equation_10_v1=slip)


@claim(
    "C8",
    "equation-10-relabels",
    "The first version's value is a function of γ: γ₁₀(γ)² = γ/(2 − γ). It rises (γ > 0, γ < "
    "2), and is not real elsewhere.",
)
def equation_10_relabels(proof: Proof) -> None:
    bias, slip = prove("C6").results["relative_reconstruction_bias"], prove("C7").results["equation_10_v1"]
    of_x = prove("C1").results["scale_x"]
    inside = (gamma > 0, gamma < 2)
    radicand = Function("f")
    proof.let("The value as a function of γ.", gamma_10(gamma), sqrt(gamma / (2 - gamma)))
    proof.step("It is what equation 10 computed.", slip, "=", gamma_10(bias), where=BELOW_2)
    proof.step("Its square.", gamma_10(gamma) ** 2, "=", gamma / (2 - gamma), where=inside)
    proof.says(gamma_10(gamma) ** 2, "=", gamma / (2 - gamma))
    proof.step(
        "It rises with γ: a monotone relabelling of the right measure.",
        Derivative(gamma_10(gamma), gamma),
        "=",
        1 / (sqrt(gamma) * (2 - gamma) ** Rational(3, 2)),
        ">",
        0,
        where=inside,
        hint="Chain rule: the derivative of γ/(2 − γ) is 2/(2 − γ)².",
    )
    proof.step("c/a, by contrast, mixes the angle in.", of_x, "=", Mul(bias, rho**2, evaluate=False), where=(c > 0,))
    proof.let("The radicand.", radicand(gamma), gamma / (2 - gamma))
    proof.step(
        "Above 2 it is negative: no real value.",
        -radicand(gamma),
        "=",
        gamma / (gamma - 2),
        ">",
        0,
        where=(gamma > 2,),
    )
    proof.step(
        "Below 0 (c < 0) it is negative, too.",
        -radicand(-gamma),
        "=",
        gamma / (gamma + 2),
        ">",
        0,
        where=(gamma > 0,),
    )
    proof.step("Towards 2 it grows without bound.", Limit(radicand(gamma), gamma, 2, "-"), "=", oo)


@claim(
    "C9",
    "equation-10-overstates",
    "The first version's value is at least γ, equal only at 1: γ₁₀(ε + 1) − ε − 1 = ε²/2 + O(ε³), of second order.",
)
def equation_10_overstates(proof: Proof) -> None:
    eps = Symbol("epsilon", real=True)
    inside, below, above = (gamma > 0, gamma < 2), (gamma > 0, gamma < 1), (gamma > 1, gamma < 2)
    error = gamma_10(gamma) - gamma
    squares = gamma * (1 - gamma) ** 2 / (2 - gamma)
    proof.let("The value as a function of γ (C8).", gamma_10(gamma), sqrt(gamma / (2 - gamma)))
    proof.step(
        "Compare the squares.",
        gamma_10(gamma) ** 2 - gamma**2,
        "=",
        squares,
        "≥",
        0,
        where=inside,
        hint="Bring γ/(2 − γ) − γ² over 2 − γ; a square appears.",
    )
    over = gamma_10(gamma) + gamma
    proof.step(
        "Both are positive, so the values compare as their squares do.",
        error,
        "=",
        squares / over,
        "≥",
        0,
        where=inside,
    )
    proof.step("At γ = 1 they are equal …", Subs(error, gamma, 1), "=", 0)
    proof.step("… below 1 they are not …", error, "=", squares / over, ">", 0, where=below)
    proof.step("… and above 1 they are not, either.", error, "=", squares / over, ">", 0, where=above)
    near_1 = eps**2 / 2 + Order(eps**3)
    proof.step("Near 1 the error is of second order.", gamma_10(1 + eps) - (1 + eps), "=", near_1)
    proof.step(
        "An example, x = 1 and x̂ = ½: γ = ½, but the first version's value is 1/√3.",
        gamma_10(Rational(1, 2)),
        "=",
        1 / sqrt(3),
    )
    proof.step(
        "Towards γ = 0 the error falls only as √γ does: it becomes nearly the whole value.",
        Limit(error / sqrt(gamma), gamma, 0, "+"),
        "=",
        1 / sqrt(2),
    )
    proof.says(gamma_10(1 + eps) - (1 + eps), "=", near_1)
    proof.result(error_near_1=near_1)


@claim(
    "C10",
    "no-shrinkage",
    "b/c − 1 = −E[x̂·(x − x̂)]/c (c > 0): γ can be 1 at any acute angle. There (c = b), r = ρ and c/a = ρ², below 1 if "
    "L is not 0.",
)
def no_shrinkage(proof: Proof) -> None:
    bias, of_x = prove("C6").results["relative_reconstruction_bias"], prove("C1").results["scale_x"]
    of_x_hat = prove("C2").results["scale_x_hat"]
    at_1 = (Eq(c, b),)
    imperfect = (*at_1, b < a)
    error = Expect(x_hat, x - x_hat)
    proof.step(
        "The inner product of the error with x̂.",
        error,
        "=",
        c - b,
        hint="Expectation is linear in both vectors.",
    )
    proof.step("γ is 1 exactly where that is 0.", bias - 1, "=", -error / c, where=(c > 0,))
    scaled = of_x_hat * x_hat
    proof.step(
        "So any x̂, rescaled by its best factor, has γ = 1, whatever its angle.",
        Expect(scaled) / Expect(x, scaled),
        "=",
        1,
        where=(c > 0,),
    )
    proof.step("At γ = 1 the norm ratio is the cosine …", r, "=", rho, where=at_1)
    proof.step("… and c/a its square.", of_x, "=", rho**2, where=at_1)
    proof.says(bias - 1, "=", -error / c)
    proof.says(r, "=", rho)
    proof.says(of_x, "=", rho**2)
    proof.step("The remaining loss is due to the angle alone.", L, "=", a * (1 - rho**2), "=", a - b, where=at_1)
    proof.step(
        "So in an imperfect autoencoder, L > 0, the norm ratio reads “shrinkage” …",
        1 - r,
        "=",
        L / (a * (1 + r)),
        ">",
        0,
        where=imperfect,
    )
    proof.step("… and so does c/a, though no rescaling helps.", 1 - of_x, "=", L / a, ">", 0, where=imperfect)


@claim(
    "C11",
    "energy-ratio",
    "E‖x̂‖²/E‖x‖² = r² is below 1 for an imperfect SAE whose γ is 1: a Gated SAE's shorter vectors are no shrinkage.",
)
def energy_ratio(proof: Proof) -> None:
    at_1 = (Eq(c, b),)
    proof.step("The ratio of the energies.", Expect(x_hat) / Expect(x), "=", r**2)
    proof.says(Expect(x_hat) / Expect(x), "=", r**2)
    proof.step(
        "At γ = 1 the error is perpendicular to x̂, so the energies add up: x is the hypotenuse.",
        Expect(x),
        "=",
        Expect(x_hat) + Expect(x_hat - x),
        where=at_1,
    )
    proof.step(
        "What the reconstruction loses is missing from its energy.",
        1 - r**2,
        "=",
        L / a,
        ">",
        0,
        where=(*at_1, b < a),
    )


@claim(
    "C29",
    "bias-from-equation-10",
    "A published value g = √(b/(2·c − b)) of equation 10 (c > 0, b < 2·c) gives γ back: b/c = 2·g²/(g² + 1).",
)
def bias_from_equation_10(proof: Proof) -> None:
    bias, slip = prove("C6").results["relative_reconstruction_bias"], prove("C7").results["equation_10_v1"]
    g = Symbol("g", real=True)
    back = Function("f")
    published, positive = (*BELOW_2, Eq(g, slip)), (g > 0,)
    of_g = 2 * g**2 / (g**2 + 1)
    proof.step(
        "The square of g, and 1 more: both have the same denominator.",
        g**2 + 1,
        "=",
        2 * c / (2 * c - b),
        where=published,
        hint="Write 1 as (2·c − b)/(2·c − b).",
    )
    proof.step(
        "Twice the square, divided by that: the denominators cancel, and γ is left.",
        bias,
        "=",
        of_g,
        where=published,
        hint="g² is b/(2·c − b).",
    )
    proof.says(bias, "=", of_g)
    proof.let("So γ is a function of g alone.", back(g), of_g)
    proof.step("At 1 it is 1: where one sees no shrinkage, so does the other.", back(1), "=", 1)
    proof.step("An example: 1/√3 is a γ of ½.", back(1 / sqrt(3)), "=", Rational(1, 2))
    proof.step(
        "It rises with g: the ends of a published interval become the ends of one for γ.",
        Derivative(back(g), g),
        "=",
        4 * g / (g**2 + 1) ** 2,
        ">",
        0,
        where=positive,
        hint="The derivative of a quotient.",
    )
    proof.step("The slope at 1 is 1: there an interval keeps its width.", Subs(Derivative(back(g), g), g, 1), "=", 1)
    proof.step("Every g > 0 gives a γ below 2 …", 2 - back(g), "=", 2 / (g**2 + 1), ">", 0, where=positive)
    proof.step("… and above 0.", back(g), "=", of_g, ">", 0, where=positive)
    proof.step(
        "Read as γ, g is too large by this much.",
        g - back(g),
        "=",
        g * (g - 1) ** 2 / (g**2 + 1),
        "≥",
        0,
        where=positive,
        hint="Over g² + 1 the numerator is g³ − 2·g² + g.",
    )
    proof.result(bias=of_g)
