"""From an expression to a function: torch (batched, float64), JavaScript text, and the gradient.

This is where SymPy's side and torch's side meet. Functions are cached by *expression*, so a changed registry entry is
compiled again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Bool, Float64
from sympy import Dummy, Expr, Symbol, diff, jscode, lambdify, solve
from torch import Tensor

from sandbox.maths.derived import derived
from sandbox.maths.measures import NOT_RESOLVABLE, REGISTRY, Measure, t, v
from sandbox.maths.proof.formulas import mathml
from sandbox.maths.symbols import a, b, c, lam, penalty, r, rho, s

MOMENTS = (a, b, c)
GEOMETRY = (rho, r, a)
OF_LATENT = (Symbol("f", real=True), lam)
"""What a latent behind a threshold depends on: the strength of its feature, and the threshold."""
BIAS = Symbol("gamma", real=True)
L1 = Symbol("l1", real=True)  # the coefficient of an L1 penalty, where λ is a threshold
OF_LAW = (lam, penalty, c)
"""What the law predicts γ from: the L1 coefficient, the penalty P and c."""
PUBLISHED = (Symbol("g", real=True),)
"""What γ is got back from: a value of the first version's equation 10."""


@cache
def to_torch(expression: Expr, symbols: tuple[Symbol, ...] = MOMENTS) -> Callable[..., Tensor]:
    """The expression as a function of tensors, by default of a, b and c. It is evaluated in float64; shapes broadcast.

    >>> from sympy.abc import u
    >>> to_torch(u**2, (u,))(torch.tensor([1.0, 3.0]))
    tensor([1., 9.], dtype=torch.float64)
    """
    function = lambdify(symbols, expression, modules="torch")

    def evaluate(*values: Tensor | float) -> Tensor:
        tensors = torch.broadcast_tensors(*(torch.as_tensor(value, dtype=torch.float64) for value in values))
        return torch.zeros_like(tensors[0]) + function(*tensors)  # so that a constant has the shape, too

    return evaluate


@cache
def inverse(expression: Expr, symbol: Symbol) -> Callable[[Tensor | float], Tensor]:
    """The value of the symbol at which the expression takes a positive value, as a function of tensors.

    Raises: ValueError unless the expression takes each value at exactly one point
    >>> from sympy.abc import u
    >>> inverse(3 * u, u)(1.5)
    tensor(0.5000, dtype=torch.float64)
    """
    value = Dummy("value", positive=True)
    (solution,) = solve(expression - value, symbol)
    return to_torch(solution, (value,))


def moments_at(
    cosine: Tensor | float, norm_ratio: Tensor | float, energy: Tensor | float = 1.0
) -> tuple[Float64[Tensor, "*batch"], Float64[Tensor, "*batch"], Float64[Tensor, "*batch"]]:
    """a, b and c of an x̂ with cosine ρ and norm ratio r; `energy` is a. Shapes broadcast.

    Source: C12
    >>> moments_at(0.8, 0.5)
    (tensor(1., dtype=torch.float64), tensor(0.2500, dtype=torch.float64), tensor(0.4000, dtype=torch.float64))
    """
    a_, b_, c_ = (to_torch(moment, GEOMETRY)(cosine, norm_ratio, energy) for moment in _moments_in_geometry())
    return a_, b_, c_


def gradient(expression: Expr) -> Callable[..., Float64[Tensor, "*batch 3"]]:
    """The partial derivatives with respect to a, b and c, as one function of tensors."""
    partials = [to_torch(diff(expression, moment)) for moment in MOMENTS]
    return lambda *moments: torch.stack([partial(*moments) for partial in partials], -1)


def defined(measure: Measure) -> Callable[..., Bool[Tensor, "*batch"]]:
    """Whether the measure is defined, as a function of a, b and c."""
    gaps = [to_torch(positive) for positive, _ in measure.needs]

    def holds(*moments: Tensor | float) -> Tensor:
        return torch.stack([gap(*moments) > 0 for gap in gaps]).all(0)

    return holds


def evaluate(measure: Measure, *moments: Tensor | float) -> Float64[Tensor, "*batch"]:
    """The measure at moments a, b, c of any shape; nan where it is undefined.

    >>> evaluate(REGISTRY["relative_reconstruction_bias"], 1.0, 0.25, 0.5)
    tensor(0.5000, dtype=torch.float64)
    """
    value = to_torch(measure.expression)(*moments)
    return torch.where(defined(measure)(*moments), value, torch.nan)


def why_undefined(measure: Measure, *moments: float) -> str | None:
    """The first reason why the measure is undefined at these moments; None if it is defined."""
    if any(moment != moment for moment in moments):
        return NOT_RESOLVABLE
    for positive, reason in measure.needs:
        if not to_torch(positive)(*moments) > 0:
            return reason
    return None


def to_javascript(expression: Expr, symbols: tuple[Symbol, ...] = MOMENTS) -> str:
    """The expression as a JavaScript arrow function, by default of a, b and c.

    >>> to_javascript(b / c)
    '(a, b, c) => b/c'
    """
    return f"({', '.join(map(str, symbols))}) => {jscode(expression)}"


def javascript_module() -> str:
    """The registry and the derived formulas as an ES module.

    It exports:

    - `measures`, by key: the registry's words; `mathml`, the formula; `value(a, b, c)`; `whyUndefined(a, b, c)`; the
      `range`; and for the interval `centre(a, b, c)`, whether the measure is its square (`squared`), `unbounded(v)`,
      which maps a value to a scale without ends, and `back(t)`, its inverse;
    - `losses`, by the key of the scale that minimises each: `(a, b, c, s) =>` the loss;
    - `momentsAt(rho, r, a)`, which returns `[a, b, c]`, and `ratioOfBias(rho, gamma)`, the r at which γ has that value;
    - `latents`, by gate: what each leaves of a strength above its threshold (C17, C18), `(f, lambda) =>` the latent;
      `thresholdOf(l1)`, the threshold of the lasso with that L1 coefficient (C17); and `predictedBias(lambda, P, c)`,
      γ by the law (C19), for an L1 coefficient λ;
    - `biasFromEquation10(g)`, γ from a published value of the first version's equation 10 (C29), for g > 0.
    """
    entries = "\n".join(f"  {key}: {_javascript_entry(measure)}," for key, measure in REGISTRY.items())
    losses = "\n".join(f"  {key}: {to_javascript(loss, (*MOMENTS, s))}," for key, loss in scale_losses().items())
    moments = ", ".join(f"{jscode(moment)}" for moment in _moments_in_geometry())
    gates = ", ".join(f"{gate}: {to_javascript(latent, OF_LATENT)}" for gate, latent in latents().items())
    return (
        f"export const measures = {{\n{entries}\n}};\nexport const losses = {{\n{losses}\n}};\n"
        f"export const momentsAt = ({', '.join(map(str, GEOMETRY))}) => [{moments}];\n"
        f"export const ratioOfBias = {to_javascript(norm_ratio_of_bias(), (rho, BIAS))};\n"
        f"export const latents = {{ {gates} }};\n"
        f"export const thresholdOf = {to_javascript(lasso_threshold(), (L1,))};\n"
        f"export const predictedBias = {to_javascript(predicted_bias(), OF_LAW)};\n"
        f"export const biasFromEquation10 = {to_javascript(bias_from_equation_10(), PUBLISHED)};\n"
    )


def scale_losses() -> dict[str, Expr]:
    """The loss that each optimal scale minimises, in a, b, c and the scale s, by the scale's key (C1, C2)."""
    return {key: derived(number)["loss"] for key, number in (("scale_x", "C1"), ("scale_x_hat", "C2"))}


def latents() -> dict[str, Expr]:
    """What is left of a strength f above its threshold λ, by gate: the lasso's latent (C17), and the whole f (C18)."""
    return {"soft": derived("C17")["latent"], "hard": OF_LATENT[0]}


def lasso_threshold() -> Expr:
    """The threshold that a lasso with the L1 coefficient `L1` puts on each feature of an orthonormal dictionary."""
    (threshold,) = solve(derived("C17")["coefficient"] - L1, lam)
    return threshold


def predicted_bias() -> Expr:
    """γ by the law of shrinkage, from λ, P and c (C19)."""
    return derived("C19")["predicted"]


def bias_from_equation_10() -> Expr:
    """γ from a value of the first version's equation 10 (C29)."""
    return derived("C29")["bias"]


def norm_ratio_of_bias() -> Expr:
    """The norm ratio at which a pair with cosine ρ has γ = `BIAS`."""
    bias = derived("C6")["relative_reconstruction_bias"].subs(dict(zip(MOMENTS, _moments_in_geometry(), strict=True)))
    (ratio,) = solve(bias - BIAS, r)
    return ratio


def _moments_in_geometry() -> tuple[Expr, Expr, Expr]:
    """a, b and c in terms of a, r and ρ."""
    return a, derived("C12")["b"], derived("C12")["c"]


def _javascript_entry(measure: Measure) -> str:
    unbounded, back = measure.unbounded
    words = {
        "plain": measure.plain,
        "question": measure.question,
        "atOne": measure.at_one,
        "mathml": mathml(measure.expression),
        "squared": measure.root is not None,
    }
    code = {
        "range": f"[{', '.join(_number(end) for end in (measure.range.inf, measure.range.sup))}]",
        "value": to_javascript(measure.expression),
        "centre": to_javascript(measure.centre),
        "unbounded": to_javascript(unbounded, (v,)),
        "back": to_javascript(back, (t,)),
        "whyUndefined": f"(a, b, c) => {_javascript_reasons(measure)}",
    }
    entry = {key: json.dumps(value, ensure_ascii=False) for key, value in words.items()} | code
    return "{" + ", ".join(f"{key}: {text}" for key, text in entry.items()) + "}"


def _javascript_reasons(measure: Measure) -> str:
    reasons = "null"
    for positive, reason in reversed(measure.needs):
        reasons = f"!({jscode(positive)} > 0) ? {json.dumps(reason, ensure_ascii=False)} : {reasons}"
    return reasons


def _number(end: Expr) -> str:
    return str(float(end)).replace("inf", "Infinity")
