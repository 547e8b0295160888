"""C1–C5: the two optimal scales, and why they are not reciprocals."""

from __future__ import annotations

from sympy import Derivative, Eq, Function, Limit, Mul, Rational, Subs, Symbol, atan, cos, oo, pi, sin, sqrt, tan

from sandbox.maths.derivations.register import claim, prove
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import Expect, a, b, c, r, rho, s, theta, x, x_hat

loss = Function("ℓ")
AT_AN_ANGLE = Eq(c, sqrt(a * b) * cos(theta))


@claim("C1", "scale-x", "Which multiple of x is nearest to x̂? The argmin over s of E‖x̂ − s·x‖² is c/a = r·ρ.")
def scale_x(proof: Proof) -> None:
    proof.let("The loss of a multiple of x, as a function of the scale.", loss(s), Expect(x_hat - s * x))
    in_moments = proof.value(loss(s))
    proof.step(
        "Expectation is linear; name the three moments.",
        loss(s),
        "=",
        Expect(x_hat) - 2 * s * Expect(x, x_hat) + s**2 * Expect(x),
        "=",
        in_moments,
        hint="Expand (x̂ − s·x)·(x̂ − s·x) as you would a square of numbers: a = E‖x‖², b = E‖x̂‖², c = E[x·x̂].",
    )
    best = proof.minimum(
        loss(s),
        s,
        hints=(
            "Differentiate each power of s by itself: b does not depend on s.",
            "Complete the square: it vanishes at the best scale, and a is the coefficient of s².",
        ),
    )
    proof.step(
        "In terms of the norm ratio and the cosine.",
        best,
        "=",
        r * rho,
        hint="r is a ratio of lengths and ρ is c over the product of the lengths: which combination leaves c/a?",
    )
    proof.step(
        "Edge case a = 0: then x = 0 almost surely, so c = 0, every s gives b and none is best.",
        Subs(loss(s), (a, c), (0, 0)),
        "=",
        b,
    )
    proof.says(best, "=", r * rho)
    proof.result(scale_x=best, loss=in_moments)


@claim("C2", "scale-x-hat", "Which multiple of x̂ is nearest to x? The argmin over s of E‖s·x̂ − x‖² is c/b = ρ/r.")
def scale_x_hat(proof: Proof) -> None:
    proof.let("The loss of a multiple of x̂, as a function of the scale.", loss(s), Expect(s * x_hat - x))
    in_moments = proof.value(loss(s))
    proof.step(
        "Expectation is linear; name the three moments.",
        loss(s),
        "=",
        s**2 * Expect(x_hat) - 2 * s * Expect(x, x_hat) + Expect(x),
        "=",
        in_moments,
        hint="As in C1, but now s multiplies x̂: which moment does s² multiply?",
    )
    best = proof.minimum(
        loss(s),
        s,
        hints=(
            "Differentiate each power of s by itself: a does not depend on s.",
            "Complete the square: it vanishes at the best scale, and b is the coefficient of s².",
        ),
    )
    proof.step(
        "In terms of the norm ratio and the cosine.",
        best,
        "=",
        rho / r,
        hint="The denominator of c/b is E‖x̂‖²: write c as ρ·√(a·b) and cancel.",
    )
    proof.step(
        "Edge case b = 0: then x̂ = 0 almost surely, so c = 0, every s gives a and none is best.",
        Subs(loss(s), (b, c), (0, 0)),
        "=",
        a,
    )
    proof.says(best, "=", rho / r)
    proof.result(scale_x_hat=best, loss=in_moments)


@claim(
    "C3",
    "not-reciprocal",
    "The product of the two scales is (c/a)·(c/b) = ρ²: reciprocal only if x̂ is a multiple of x almost surely.",
)
def not_reciprocal(proof: Proof) -> None:
    of_x, of_x_hat = prove("C1").results["scale_x"], prove("C2").results["scale_x_hat"]
    cosine = c / sqrt(a * b)
    left_over = Expect(x_hat - of_x * x)
    proof.step(
        "The cosine, pooled over the data.", rho, "=", Expect(x, x_hat) / sqrt(Expect(x) * Expect(x_hat)), "=", cosine
    )
    product = Mul(of_x, of_x_hat, evaluate=False)
    proof.step(
        "The product of the two optimal scales.",
        product,
        "=",
        rho**2,
        hint="Multiply the two fractions and compare with the cosine, c/√(a·b).",
    )
    proof.step(
        "What the best multiple of x leaves over. An expected square is not negative, so ρ² ≤ 1 (Cauchy–Schwarz).",
        b * (1 - rho**2),
        "=",
        left_over,
        "≥",
        0,
    )
    proof.step(
        "The product is 1 only where nothing is left over, E‖x̂ − s·x‖² = 0: x̂ = s·x almost surely, with s = c/a.",
        1 - of_x * of_x_hat,
        "=",
        left_over / b,
    )
    for name, where, sign in (("parallel", c > 0, 1), ("antiparallel", c < 0, -1)):
        at_equality = (where, Eq(b, c**2 / a))
        proof.step(f"The equality case b = c²/a, {name}: nothing is left over …", left_over, "=", 0, where=at_equality)
        proof.step(f"… the cosine is {sign} …", rho, "=", sign, where=at_equality)
        proof.step("… and here the two scales are reciprocal.", of_x * of_x_hat, "=", 1, where=at_equality)
    proof.says(product, "=", rho**2)
    proof.result(cosine=cosine)


@claim(
    "C4",
    "near-perpendicular",
    "c/a = r·cos(θ): as the angle rises to 90° both scales fall to 0, while the reciprocal of either goes to infinity.",
    where=(AT_AN_ANGLE,),
)
def near_perpendicular(proof: Proof) -> None:
    of_x, of_x_hat = prove("C1").results["scale_x"], prove("C2").results["scale_x_hat"]
    t = Symbol("t", real=True)
    proof.step("At the angle θ, the scale of x.", of_x, "=", r * cos(theta))
    proof.step("And the scale of x̂.", of_x_hat, "=", cos(theta) / r)
    proof.says(of_x, "=", r * cos(theta))
    for name, scale, rate in (("x", of_x, r), ("x̂", of_x_hat, 1 / r)):
        proof.step(f"The scale of {name} falls with the sine …", -Derivative(scale, theta), "=", rate * sin(theta))
    proof.step(
        "… which is positive between 0° and 180°: every such angle is twice one whose tangent is some t > 0.",
        sin(theta),
        "=",
        2 * t / (1 + t**2),
        ">",
        0,
        where=(t > 0, Eq(theta, 2 * atan(t))),
    )
    for name, scale, rate in (("x", of_x, r), ("x̂", of_x_hat, 1 / r)):
        proof.step(
            f"Towards 90° the scale of {name} falls to 0 from above, in proportion to the angle that remains to 90°.",
            Limit(scale / (pi / 2 - theta), theta, pi / 2, "-"),
            "=",
            rate,
            ">",
            0,
        )
        proof.step("But its reciprocal grows without bound.", Limit(1 / scale, theta, pi / 2, "-"), "=", oo)
    lengths_2_and_3_at_60_degrees = (a, b, theta), (4, 9, pi / 3)
    proof.step(
        "A counterexample to “reciprocal”: lengths 2 and 3 at 60°. The best multiple of x is ¾ of it …",
        Subs(of_x, *lengths_2_and_3_at_60_degrees),
        "=",
        Rational(3, 4),
    )
    proof.step(
        "… but the reciprocal of the other scale is 3 …", Subs(1 / of_x_hat, *lengths_2_and_3_at_60_degrees), "=", 3
    )
    proof.step(
        "… four times as much.", Subs(1 / of_x_hat - of_x, *lengths_2_and_3_at_60_degrees), "=", Rational(9, 4), ">", 0
    )


@claim(
    "C5",
    "same-length",
    "Two vectors of one length at an angle θ in (0°, 90°): c/a = c/b = cos(θ) is below 1, so the best is to shrink.",
    where=(Eq(b, a), Eq(c, a * cos(theta))),
)
def same_length(proof: Proof) -> None:
    of_x, of_x_hat = prove("C1").results["scale_x"], prove("C2").results["scale_x_hat"]
    t = Symbol("t", real=True)
    half = Eq(theta, 2 * atan(t))  # every angle between 0° and 90° is twice the one whose tangent is some t below 1
    acute = (t > 0, t < 1, half)
    proof.step("Both scales are the cosine.", of_x, "=", of_x_hat, "=", cos(theta))
    proof.says(of_x, "=", of_x_hat, "=", cos(theta))
    proof.step("At 0° nothing changes …", Subs(cos(theta), theta, 0), "=", 1)
    proof.step("… and at 90° both scales are 0.", Subs(cos(theta), theta, pi / 2), "=", 0)
    proof.step(
        "Every angle between 0° and 90° is twice the one whose tangent is some t between 0 and 1.",
        tan(theta / 2),
        "=",
        t,
        where=acute,
    )
    proof.step("Its cosine is positive …", cos(theta), "=", (1 - t**2) / (1 + t**2), ">", 0, where=acute)
    proof.step(
        "… and below 1: the best multiple is shorter.", 1 - cos(theta), "=", 2 * t**2 / (1 + t**2), ">", 0, where=acute
    )
    proof.let("The loss of a multiple of x.", loss(s), Expect(x_hat - s * x))
    proof.step(
        "What leaving the length alone would cost.",
        loss(1) - loss(of_x),
        "=",
        a * (1 - cos(theta)) ** 2,
        ">",
        0,
        where=acute,
    )
