"""A measure's value with its confidence interval, from the moments alone (C16)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from scipy.special import stdtrit
from sympy import Expr

from sandbox.compile import evaluate, gradient, to_torch, why_undefined
from sandbox.errors import InputError
from sandbox.measures import Measure
from sandbox.moments import Moments

LEVEL = 0.95


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
    """The cluster-robust standard error of a function of a, b, c that is homogeneous of degree 0.

    G/(G−1) · ∇fᵀ M ∇f, with M = Σ_g T_g T_gᵀ: Euler's identity makes the term of the mean vanish.

    Args:    moments: of any batch shape; expression: in a, b, c
    Returns: Float64[Tensor, "*batch"]; nan for a single cluster
    Source:  C16
    """
    slope = gradient(expression)(*moments.means.unbind(-1)) / moments.n[..., None]
    pull = (moments.totals @ slope[..., None])[..., 0]  # of each cluster; Σ pull² = ∇fᵀ M ∇f, with fewer digits lost
    clusters = moments.clusters.double()
    return (pull.square().sum(-1) * torch.where(clusters > 1, clusters / (clusters - 1), torch.nan)).sqrt()


def interval(moments: Moments, measure: Measure, level: float = LEVEL) -> tuple[torch.Tensor, torch.Tensor]:
    """The confidence interval of a measure: Student's t with G − 1 degrees of freedom, kept inside its range.

    Returns: (low, high), each Float64[Tensor, "*batch"]; nan where the measure is undefined or there is one cluster.
    """
    expression = measure.root() if measure.root else measure.expression
    centre = to_torch(expression)(*moments.means.unbind(-1))
    freedom = (moments.clusters.cpu() - 1).clamp(min=1).numpy()
    quantile = torch.as_tensor(stdtrit(freedom, 0.5 + level / 2), device=centre.device)
    reach = quantile * standard_error(moments, expression)
    low, high = centre - reach, centre + reach
    if measure.root:  # of the squares on an interval around 0 the least is 0
        ends = torch.stack((low**2, high**2))
        low, high = torch.where((low < 0) & (high > 0), 0, ends.amin(0)), ends.amax(0)
    low, high = (end.clamp(float(measure.range.inf), float(measure.range.sup)) for end in (low, high))
    known = ~evaluate(measure, *moments.means.unbind(-1)).isnan()
    return torch.where(known, low, torch.nan), torch.where(known, high, torch.nan)


def estimate(moments: Moments, measure: Measure, level: float = LEVEL) -> Estimate:
    """The measure of one set of moments (no batch axes) with its interval, or the reason why it has none.

    >>> import torch
    >>> half = Moments.from_pairs(torch.tensor([[1.0]]), torch.tensor([[0.5]]))
    >>> from sandbox.measures import measure_named
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
    if moments.clusters < 2:
        return Estimate(value, None, None, "one cluster of tokens gives no interval")
    if math.isnan(low):
        return Estimate(value, None, None, "it has no slope here, and so no first-order interval")
    return Estimate(value, low, high)
