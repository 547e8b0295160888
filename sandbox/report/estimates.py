"""A measure's value with its confidence interval, from the moments alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from sympy import Expr

from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, gradient, why_undefined
from sandbox.maths.measures import Measure
from sandbox.moments.moments import Moments
from sandbox.report.jackknife import LEVEL, interval, why_none


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval; undefined (None) with the reason why, or without an interval, likewise."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in JSON: `value`, `low`, `high`, and `reason` where there is one."""
        held = {"value": self.value, "low": self.low, "high": self.high}
        return held | {"reason": self.reason} if self.reason else held


def standard_error(moments: Moments, expression: Expr) -> torch.Tensor:
    """The cluster-robust standard error of a function of a, b, c that is homogeneous of degree 0, by the delta method.

    G/(G−1) · ∇fᵀ M ∇f, with M = Σ_g T_g T_gᵀ: Euler's identity makes the term of the mean vanish. Where many clusters
    hold shares alike it agrees with the jackknife, by which intervals are computed (`sandbox.report.jackknife`).

    Args:    moments: of any batch shape; expression: in a, b, c
    Returns: Float64[Tensor, "*batch"]; nan for a single cluster
    Source:  C16
    """
    slope = gradient(expression)(*moments.means.unbind(-1)) / moments.n[..., None]
    pull = (moments.totals @ slope[..., None])[..., 0]  # of each cluster; Σ pull² = ∇fᵀ M ∇f, with fewer digits lost
    clusters = moments.clusters.double()
    return (pull.square().sum(-1) * torch.where(clusters > 1, clusters / (clusters - 1), torch.nan)).sqrt()


def estimate(moments: Moments, measure: Measure, level: float = LEVEL) -> Estimate:
    """The measure of one set of moments (no batch axes) with its interval, or the reason why it has none.

    >>> import torch
    >>> half = Moments.from_pairs(torch.tensor([[1.0]]), torch.tensor([[0.5]]))
    >>> from sandbox.maths.measures import measure_named
    >>> estimate(half, measure_named("relative_reconstruction_bias"))
    Estimate(value=0.5, low=None, high=None, reason='one cluster of tokens gives no interval')
    """
    if moments.n.ndim:
        raise InputError(f"these moments hold {tuple(moments.n.shape)} settings: estimate takes one")
    if not moments.n:
        return Estimate(None, None, None, "no token was measured")
    means = moments.means.tolist()
    if reason := why_undefined(measure, *means):
        return Estimate(None, None, None, reason)
    value = min(max(evaluate(measure, *means).item(), float(measure.range.inf)), float(measure.range.sup))
    low, high = (end.item() for end in interval(moments, measure, level))
    if math.isnan(low) or math.isnan(high):
        return Estimate(value, None, None, why_none(moments))
    return Estimate(value, min(low, value), max(high, value))  # where all groups agree, the way back rounds
