"""C22, C28: lines through a cloud of points, their slopes, and an intercept that is no offset."""

from __future__ import annotations

from sympy import Derivative, Eq, Expr, Function, Integer, Symbol, sqrt, symbols

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, a, b, c, r, rho, s, x, x_hat


@claim(
    "C22",
    "regression-slopes",
    "r² = b/a (c > 0) is c/a, the slope of x̂ on x, times γ, the reciprocal of that of x on x̂. Between c/a and γ lies "
    "the slope of total least squares, farther from 1 than r.",
)
def regression_slopes(proof: Proof) -> None:
    bias, of_x = prove("C6").results["relative_reconstruction_bias"], prove("C1").results["scale_x"]
    distance = Function("D")
    k, tau, other = (Symbol(name, real=True) for name in ("k", "tau", "tau2"))
    gamma, t = Symbol("gamma", real=True), Symbol("t", real=True)
    cosine = (k > 0, k <= 1, Eq(c, k * sqrt(a * b)))
    root = sqrt((a - b) ** 2 + 4 * c**2)
    total = (b - a + root) / (2 * c)

    def quadratic(at: Expr) -> Expr:
        return c * at**2 + (a - b) * at - c

    proof.let(
        "Plot each component of x̂ over that of x. Least squares of x on x̂ has the slope 1/γ (C2, C6) …", gamma, bias
    )
    proof.step("… and of x̂ on x the slope c/a (C1).", of_x * gamma, "=", r**2, "=", b / a, where=(c > 0,))
    proof.says(r**2, "=", b / a)
    proof.step(
        "With the cosine k, which is at most 1 (C3), c/a is at most r …",
        r - of_x,
        "=",
        r * (1 - k),
        "≥",
        0,
        where=cosine,
    )
    proof.step("… and r is at most γ.", bias - r, "=", r * (1 / k - 1), "≥", 0, where=cosine)
    proof.let(
        "Total least squares measures distances across the line: the slope s that makes the least of this.",
        distance(s),
        Expect(x_hat - s * x) / (1 + s**2),
    )
    proof.step(
        "Its derivative has the sign of a quadratic …",
        Derivative(distance(s), s),
        "=",
        2 * quadratic(s) / (1 + s**2) ** 2,
        hint="Quotient rule; the terms in s³ cancel.",
    )
    proof.let("It has two roots: τ …", tau, total)
    proof.let("… and another.", other, (b - a - root) / (2 * c))
    proof.step(
        "They are the roots …", quadratic(s), "=", c * (s - tau) * (s - other), where=(c > 0,), hint="Solve for s."
    )
    proof.step("… and one of them is negative, as their product is.", tau * other, "=", -1, where=(c > 0,))
    proof.step("τ is the larger, so it is the positive one …", tau - other, "=", root / c, ">", 0, where=(c > 0,))
    middle = (tau + other) / 2
    proof.step(
        "… above the middle of both, by half of their distance …", total, "=", middle + root / (2 * c), where=(c > 0,)
    )
    proof.step(
        "… and the slope: D is least at a positive root t of the quadratic, as what any other slope loses is a square.",
        distance(s) - distance(t),
        "=",
        c * (s - t) ** 2 / (t * (1 + s**2)),
        "≥",
        0,
        where=(c > 0, t > 0, Eq(a, b + c * (1 / t - t))),
    )
    proof.step(
        "At c/a the quadratic is not positive: c/a is at most τ …",
        -quadratic(of_x),
        "=",
        b * of_x * (1 - k**2),
        "≥",
        0,
        where=cosine,
    )
    proof.step(
        "… at γ it is not negative: τ is at most γ …",
        quadratic(bias),
        "=",
        a * b / c * (1 - k**2),
        "≥",
        0,
        where=cosine,
    )
    proof.step("… at 1 it shows on which side τ lies, the same as r …", quadratic(Integer(1)), "=", a * (1 - r**2))
    proof.step(
        "… and at r, on which side of r: above it where r is above 1, below it where r is below 1.",
        quadratic(r),
        "=",
        a * r * (1 - k) * (1 - r**2),
        where=cosine,
    )
    proof.result(total_least_squares=total)


length, square, reached, product = symbols("l h p q", real=True)  # means of ‖x‖, ‖x‖², ‖x̂‖ and ‖x‖·‖x̂‖
SPREAD_OUT = length > 0, square > length**2


@claim(
    "C28",
    "intercept-is-no-offset",
    "A line through ‖x̂‖ over ‖x‖ has an intercept, p − β·l = −K·l²/(h − l²), without an offset in the data: if every γ "
    "is 1, it shows how the cosine changes with ‖x‖.",
    where=SPREAD_OUT,
)
def intercept_is_no_offset(proof: Proof) -> None:
    near, far, cosine_near, cosine_far = symbols("l1 l2 rho1 rho2", real=True)
    covariance, slope = symbols("K beta", real=True)
    proof.step(
        "Where γ is 1 the norm ratio is the cosine (C10). If that holds for every token, ‖x̂‖ is ρ·‖x‖, and 0 at 0.",
        r,
        "=",
        rho,
        where=(Eq(c, b),),
    )
    rise = (far * cosine_far - near * cosine_near) / (far - near)
    proof.step(
        "The line through tokens of two lengths meets the axis above 0 where the longer has the smaller cosine.",
        near * cosine_near - rise * near,
        "=",
        near * far * (cosine_near - cosine_far) / (far - near),
        ">",
        0,
        where=(near > 0, far > near, cosine_near > cosine_far),
    )
    proof.let(
        "For any tokens, with l, h, p and q the means of ‖x‖, ‖x‖², ‖x̂‖ and ‖x‖·‖x̂‖, least squares has the slope β …",
        slope,
        (product - length * reached) / (square - length**2),
    )
    proof.let(
        "… and K is the covariance of the cosine and the length, each token weighted by its length.",
        covariance,
        product / length - reached / length * (square / length),
    )
    proof.step(
        "The intercept has the opposite sign. A positive one says that the cosine falls as ‖x‖ grows.",
        reached - slope * length,
        "=",
        -(length**2) * covariance / (square - length**2),
        hint="Over h − l² the numerator is h·p − l·q.",
    )
    proof.says(reached - slope * length, "=", -(length**2) * covariance / (square - length**2))
    proof.step(
        "Where the cosine does not vary with the length, the line goes through 0.",
        reached - slope * length,
        "=",
        0,
        where=(Eq(product, reached * square / length),),
    )
