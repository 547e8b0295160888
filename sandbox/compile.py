"""From an expression to a function: torch (batched, float64), JavaScript text, and the gradient.

This is where SymPy's side and torch's side meet. Functions are kept by *expression*, so that a changed registry
entry is compiled anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Bool, Float64
from sympy import Expr, Symbol, diff, jscode, lambdify, latex
from torch import Tensor

from sandbox.derivations.symbols import a, b, c
from sandbox.measures import REGISTRY, Measure

MOMENTS = (a, b, c)


@cache
def to_torch(expression: Expr, symbols: tuple[Symbol, ...] = MOMENTS) -> Callable[..., Tensor]:
    """The expression as a function of tensors, by default of a, b and c; evaluated in float64, shapes broadcast.

    >>> from sympy.abc import u
    >>> to_torch(u**2, (u,))(torch.tensor([1.0, 3.0]))
    tensor([1., 9.], dtype=torch.float64)
    """
    function = lambdify(symbols, expression, modules="torch")

    def evaluate(*values: Tensor | float) -> Tensor:
        tensors = torch.broadcast_tensors(*(torch.as_tensor(value, dtype=torch.float64) for value in values))
        return torch.zeros_like(tensors[0]) + function(*tensors)  # a constant expression takes the shape, too

    return evaluate


def gradient(expression: Expr) -> Callable[..., Float64[Tensor, "*batch 3"]]:
    """The partial derivatives by a, b and c, as one function of tensors."""
    partials = [to_torch(diff(expression, moment)) for moment in MOMENTS]
    return lambda *moments: torch.stack([partial(*moments) for partial in partials], -1)


def defined(measure: Measure) -> Callable[..., Bool[Tensor, "*batch"]]:
    """Whether all that the measure needs holds, as a function of a, b and c."""
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
    """The first reason why the measure is undefined at these moments, or None where it is defined."""
    for positive, reason in measure.needs:
        if not to_torch(positive)(*moments) > 0:
            return reason
    return None


def to_javascript(expression: Expr) -> str:
    """The expression as a JavaScript arrow function of a, b and c.

    >>> to_javascript(b / c)
    '(a, b, c) => b/c'
    """
    return f"(a, b, c) => {jscode(expression)}"


def javascript_module() -> str:
    """An ES module: `measures`, by key, with the registry's words, `value(a, b, c)` and `whyUndefined(a, b, c)`."""
    return "export const measures = {\n" + "\n".join(map(_javascript_entry, REGISTRY.values())) + "\n};\n"


def _javascript_entry(measure: Measure) -> str:
    reasons = "null"
    for positive, reason in reversed(measure.needs):
        reasons = f"!({jscode(positive)} > 0) ? {_text(reason)} : {reasons}"
    return (
        f"  {measure.key}: {{\n"
        f"    symbol: {_text(measure.symbol)}, latex: {_text(latex(measure.expression))},\n"
        f"    question: {_text(measure.question)}, atOne: {_text(measure.at_one)},\n"
        f"    value: {to_javascript(measure.expression)},\n"
        f"    whyUndefined: (a, b, c) => {reasons},\n"
        f"  }},"
    )


def _text(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)
