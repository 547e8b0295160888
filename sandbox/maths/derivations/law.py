"""C19–C21: the law of shrinkage. No rescaling of its latents improves a trained SAE, and this fixes γ."""

from __future__ import annotations

from sympy import Derivative, Eq, Expr, Function, Integral, Rational, Subs, Symbol, exp, oo, tanh

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, L, a, b, c, lam, m, rho, s, x, x_hat, z
from sandbox.maths.symbols import penalty as P

objective, of_scale, loss = Function("J"), Function("Omega"), Function("ℓ")
t = Symbol("t", real=True)  # what all latents are multiplied by
omega = Symbol("omega", real=True)  # the slope of the penalty at t = 1
k = Symbol("k", real=True)  # what a library multiplies the activations by
f = Symbol("f", real=True)  # a latent, or the strength of a feature
STATIONARY = Eq(2 * (b - c) + omega, 0)
L1 = Eq(c, b + lam * P / 2)  # the same with the slope of an L1 penalty, solved for c


def slope_at_1(function: Expr) -> Expr:
    """How fast a function of t changes at t = 1."""
    return Subs(Derivative(function, t), t, 1)


@claim(
    "C19",
    "law-of-shrinkage",
    "Where scaling the latents gains nothing, 2·b + ω − 2·c = 0, γ is b/c = 1 − ω/(2·c) (c > 0): only the slope ω of "
    "the penalty makes it shrink.",
)
def law_of_shrinkage(proof: Proof) -> None:
    stationary = (c > 0, STATIONARY)
    predicted, implied = 1 - lam * P / (2 * c), 2 * (c - b) / P
    proof.let(
        "Measure x and x̂ from b_dec: latents scaled by t give t·x̂. Training minimises the loss and a penalty Ω.",
        objective(t),
        Expect(x - t * x_hat) + of_scale(t),
    )
    proof.step(
        "The slope of the objective.",
        Derivative(objective(t), t),
        "=",
        2 * b * t - 2 * c + Derivative(of_scale(t), t),
    )
    proof.step(
        "At t = 1, where the SAE stands; ω is the slope of the penalty.",
        slope_at_1(objective(t)),
        "=",
        2 * (b - c) + omega,
        where=(Eq(omega, slope_at_1(of_scale(t))),),
    )
    proof.step(
        "Training could have scaled the latents, and did not: the slope is 0. This fixes γ, for any data and "
        "dictionary.",
        b / c,
        "=",
        1 - omega / (2 * c),
        where=stationary,
        hint="Divide 2·(b − c) + ω by 2·c.",
    )
    proof.says(b / c, "=", 1 - omega / (2 * c))
    proof.step("The L1 penalty is λ·P, P = E Σ fⱼ·‖dⱼ‖. It grows with t …", Derivative(t * lam * P, t), "=", lam * P)
    proof.step("… so γ follows from λ, P and c.", b / c, "=", predicted, where=(lam > 0, P > 0, L1))
    proof.step("It is below 1: L1 shrinks.", 1 - b / c, "=", lam * P / (2 * c), ">", 0, where=(lam > 0, P > 0, L1))
    proof.step(
        "Solved for λ: the coefficient that an SAE's moments imply.",
        lam,
        "=",
        implied,
        where=(P > 0, L1),
        hint="Solve 2·(b − c) + λ·P = 0 for λ.",
    )
    proof.step(
        "No other scale does better, near or far.",
        Expect(x - t * x_hat) + t * lam * P - (L + lam * P),
        "=",
        b * (t - 1) ** 2,
        "≥",
        0,
        where=(L1,),
        hint="Put 2·c = 2·b + λ·P into the difference; a square remains.",
    )
    proof.step(
        "What training minimised then is the energy that the reconstruction lacks.",
        L + lam * P,
        "=",
        a - b,
        where=(L1,),
    )
    proof.step(
        "A library that trains on k·x has k²·(b − c) and k·P in the same equation: λ counts as λ/k.",
        b / c,
        "=",
        1 - lam / k * P / (2 * c),
        where=(c > 0, k > 0, Eq(2 * k**2 * (b - c) + k * lam * P, 0)),
    )
    _smooth_step(proof)
    _without_slope(proof)
    _gated_as_in_saelens(proof)
    proof.step(
        "C17 obeys the law. Its threshold λ is half of the L1 coefficient, and P is the mean of f − λ above it.",
        1 - 2 * lam * P / (2 * c),
        "=",
        2 / (2 + lam),
        where=(
            lam > 0,
            Eq(P, Integral((f - lam) * exp(-f), (f, lam, oo))),
            Eq(c, prove("C17").results["c"]),
        ),
    )
    proof.result(predicted=predicted, implied=implied)


def _smooth_step(proof: Proof) -> None:
    """Anthropic's penalty for JumpReLU, which SAELens calls "tanh". It is not linear, so k enters it, too."""
    weighted = Symbol("u", real=True)  # f_j‖d_j‖
    share = s * weighted * (1 - tanh(k * s * weighted) ** 2) / k
    proof.step(
        "Anthropic's JumpReLU pays λ·tanh(s·u) for a latent, u = fⱼ·‖dⱼ‖: small, it costs as in L1, large, as a step.",
        slope_at_1(lam * tanh(s * t * weighted)),
        "=",
        lam * s * weighted * (1 - tanh(s * weighted) ** 2),
    )
    proof.step(
        "On k·x a latent pays λ·tanh(k·s·u), and the loss is k² times as large. So this is its share of P.",
        slope_at_1(tanh(k * s * t * weighted)) / k**2,
        "=",
        share,
        where=(k > 0,),
    )
    proof.result(tanh_slope=share)


def _without_slope(proof: Proof) -> None:
    """Penalties that scaling leaves alone."""
    other = Symbol("g", real=True)
    proof.step(
        "A latent above g, a threshold scaled along (JumpReLU with L0) or another latent (TopK), stays above it.",
        t * f - t * other,
        "=",
        t * (f - other),
        ">",
        0,
        where=(t > 0, f > other),
    )
    proof.step(
        "A gate's penalty does not see magnitudes. In all of these ω is 0. (An auxiliary loss that moves live latents "
        "has a slope of its own.)",
        b / c,
        "=",
        1,
        where=(c > 0, Eq(omega, 0), STATIONARY),
    )


def _gated_as_in_saelens(proof: Proof) -> None:
    """Where the auxiliary reconstruction shares the decoder bias, the mean error need not vanish."""
    shift, error, aside = Symbol("u", real=True), Symbol("mu", real=True), Symbol("mu_g", real=True)
    proof.step(
        "Moving b_dec by u along an axis changes the mean error μ. Alone in the loss, it leaves none: the slope is 0 …",
        Subs(Derivative((error - shift) ** 2, shift), shift, 0),
        "=",
        -2 * error,
    )
    proof.step(
        "… but where a gate's own reconstruction uses the same b_dec (SAELens), only the sum of both errors is 0.",
        Subs(Derivative((error - shift) ** 2 + (aside - shift) ** 2, shift), shift, 0),
        "=",
        -2 * (error + aside),
    )


mean, mean_square, row = Symbol("phi", real=True), Symbol("psi", real=True), Symbol("d", real=True)
ALONE = (row > 0, mean_square > 0, Eq(P, row * mean), Eq(b, row**2 * mean_square), Eq(c, b + lam * P / 2))
"""One latent, as a reconstruction of its own: x̂ is f_j·d_j, and x what the other latents leave."""


@claim(
    "C20",
    "law-per-latent",
    "The law for decoder row j: its own best factor is c/b = 1 + λ·φ/(2·d·ψ), φ and ψ being the means of f and f², "
    "and d its norm.",
    where=ALONE,
)
def law_per_latent(proof: Proof) -> None:
    factor = prove("C2").results["scale_x_hat"]
    proof.let(
        "x̂ is fⱼ·dⱼ here, and x what the other latents leave of the activation. The loss with row j scaled by s.",
        loss(s),
        Expect(s * x_hat - x),
    )
    proof.step(
        "Training could have scaled this row, and did not: the slope of the loss and of its share of the penalty is 0.",
        Subs(Derivative(loss(s) + s * lam * P, s), s, 1),
        "=",
        2 * (b - c) + lam * P,
        "=",
        0,
    )
    predicted = 1 + lam * mean / (2 * row * mean_square)
    proof.step(
        "The best factor for the row (C2), with P = d·φ and b = d²·ψ.",
        factor,
        "=",
        1 + lam * P / (2 * b),
        "=",
        predicted,
        hint="Divide c = b + λ·P/2 by b.",
    )
    proof.says(factor, "=", predicted)
    proof.step(
        "It is above 1: the penalty shrinks every latent that is ever active.",
        factor - 1,
        "=",
        lam * mean / (2 * row * mean_square),
        ">",
        0,
        where=(lam > 0, mean > 0),
    )
    proof.step(
        "It can be measured without λ: x − x̂ is the whole SAE's error.",
        factor,
        "=",
        1 + Expect(x_hat, x - x_hat) / b,
        hint="E[x̂·(x − x̂)] is c − b.",
    )
    proof.step("Without a penalty it is 1.", Subs(predicted, lam, 0), "=", 1)
    bs, cs, ps = (tuple(Symbol(f"{of}{i}", real=True) for i in (1, 2)) for of in "bcp")
    proof.step(
        "C19 is the sum over the latents: x̂ is the sum of all fⱼ·dⱼ, and E[fⱼ·dⱼ·(x − x̂)] is cⱼ − bⱼ.",
        2 * ((bs[0] - cs[0]) + (bs[1] - cs[1])) + lam * (ps[0] + ps[1]),
        "=",
        0,
        where=tuple(Eq(c_, b_ + lam * p_ / 2) for b_, c_, p_ in zip(bs, cs, ps, strict=True)),
    )
    proof.result(predicted=predicted, from_totals=1 + lam * P / (2 * b))


@claim(
    "C21",
    "conditional-mean",
    "A conditional mean does not shrink: given y, x̂ is m, x is m and a rest z, and E[m·z] = 0. So γ is 1, at any "
    "angle.",
)
def conditional_mean(proof: Proof) -> None:
    half, share, first, second = Rational(1, 2), *(Symbol(name, real=True) for name in ("p", "q1", "q2"))
    uniform = (
        Eq(a, Integral(f**2, (f, 0, 1))),
        Eq(b, Integral(half**2, (f, 0, 1))),
        Eq(c, Integral(half * f, (f, 0, 1))),
    )
    proof.step(
        "y is a bin, a cluster, or which latents are active; z has no mean. The error is perpendicular to x̂ …",
        Expect(m, z),
        "=",
        0,
    )
    proof.says(Expect(m, z), "=", 0)
    proof.step("… so x̂ has the same inner product with x as with itself …", Expect(m, m + z), "=", Expect(m))
    proof.step(
        "… for each y, and so on average over them (here two, of shares p and 1 − p): c is b, and γ is 1.",
        b / c,
        "=",
        1,
        where=(
            share > 0,
            share < 1,
            first > 0,
            second > 0,
            Eq(b, share * first + (1 - share) * second),
            Eq(c, share * first + (1 - share) * second),
        ),
    )
    at_1 = (Eq(c, b),)
    proof.step(
        "x̂ lies on Thales' sphere over x (C13): the means of bins, however they are merged.",
        Expect(x_hat - x / 2),
        "=",
        Expect(x / 2),
        where=at_1,
    )
    proof.step("What y explains of the energy of x is ρ² …", b / a, "=", rho**2, where=at_1)
    proof.step("… and the loss is the rest.", L / a, "=", 1 - rho**2, where=at_1)
    proof.step(
        "One bit, the sign of x, which is uniform between −1 and 1: x̂ is ±½. γ is 1 …", b / c, "=", 1, where=uniform
    )
    proof.step("… but the cosine is not.", rho**2, "=", Rational(3, 4), where=uniform)
    proof.step(
        "Least squares in the decoder alone does the same: no multiple of x̂ is nearer to x (C2).",
        prove("C2").results["scale_x_hat"],
        "=",
        1,
        where=at_1,
    )
