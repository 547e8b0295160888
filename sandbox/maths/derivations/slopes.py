"""C22, C28: lines through a cloud of points, their slopes, and an intercept that is no offset."""

from __future__ import annotations

from sympy import Derivative, Eq, Expr, Function, Integer, Symbol, sqrt, symbols

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, a, b, c, r, rho, s, x, x_hat


@claim(
    "C22",
    "regression-slopes",
    "c/a is the slope of x̂ on x, γ one over that of x on x̂, and their product is r² = b/a (c > 0). So r lies between "
    "them; total least squares does, too, but farther from 1.",
)
def regression_slopes(proof: Proof) -> None:
    bias, of_x = prove("C6").results["relative_reconstruction_bias"], prove("C1").results["scale_x"]
    distance = Function("D")
    k, tau, other = (Symbol(name, real=True) for name in ("k", "tau", "tau2"))
    cosine = (k > 0, k <= 1, Eq(c, k * sqrt(a * b)))
    root = sqrt((a - b) ** 2 + 4 * c**2)
    total = (b - a + root) / (2 * c)

    def quadratic(at: Expr) -> Expr:
        return c * at**2 + (a - b) * at - c

    proof.step(
        "Plot every component of x̂ over that of x. Least squares through the origin has the slope c/a (C1); with the "
        "axes exchanged c/b (C2), and one over that is γ. Their product is a square.",
        of_x * bias,
        "=",
        r**2,
        "=",
        b / a,
        where=(c > 0,),
    )
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
    proof.step(
        "… and the slope: the quadratic is negative from 0 to τ and positive above, so D is least there.",
        tau,
        "=",
        total,
        where=(c > 0,),
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


@claim(
    "C28",
    "intercept-is-no-offset",
    "A line of ‖x̂‖ on ‖x‖ has an intercept wherever the cosine varies with ‖x‖, without any offset: at γ of 1 it is "
    "positive where the cosine falls as ‖x‖ grows.",
)
def intercept_is_no_offset(proof: Proof) -> None:
    near, far, cosine_near, cosine_far = symbols("l1 l2 rho1 rho2", real=True)
    length, square, reached, product = symbols("l h p q", real=True)
    covariance, slope = symbols("K beta", real=True)
    proof.step(
        "At γ = 1 the norm ratio is the cosine (C10). So it is for a token: ‖x̂‖ is ρ·‖x‖, and 0 at 0.",
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
        "For any number of tokens let l, h, p and q be the means of ‖x‖, ‖x‖², ‖x̂‖ and ‖x‖·‖x̂‖. The slope of least "
        "squares …",
        slope,
        (product - length * reached) / (square - length**2),
    )
    proof.let(
        "… and how the cosine goes with the length: their covariance, each token weighted by its length.",
        covariance,
        product / length - reached / length * (square / length),
    )
    proof.step(
        "The intercept has the opposite sign. A positive one says that the cosine falls as ‖x‖ grows, nothing about "
        "an offset.",
        reached - slope * length,
        "=",
        -(length**2) * covariance / (square - length**2),
        where=(length > 0, square > length**2),
        hint="Over h − l² the numerator is h·p − l·q.",
    )
    proof.step(
        "Where the cosine does not vary with the length, the line goes through 0.",
        reached - slope * length,
        "=",
        0,
        where=(length > 0, square > length**2, Eq(product, reached * square / length)),
    )
