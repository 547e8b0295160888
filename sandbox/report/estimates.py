"""An estimate: a value with its confidence interval, or the reason why it has none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
from sympy import Expr

from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, gradient, why_undefined
from sandbox.maths.measures import Measure
from sandbox.moments.moments import Moments
from sandbox.report.jackknife import LEVEL, effective_clusters, interval, why_none

ORIGINS = {"raw": "raw", "centred": "centred", "decoder_bias": "about b_dec"}
"""The points that x and x̂ can be measured from: the key of each, and its words in tables and sentences."""

NO_TOKENS = "no tokens were measured"


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval; either may be None, and `reason` then says why."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in JSON: `value`, `low`, `high`, and the `reason` if there is one."""
        fields = {"value": self.value, "low": self.low, "high": self.high}
        return fields | {"reason": self.reason} if self.reason else fields

    @classmethod
    def within(cls, value: float, ends: Iterable[torch.Tensor], count: torch.Tensor, clusters: torch.Tensor) -> Self:
        """A defined value with its interval, or, if the ends are nan, with the reason why it has none.

        Args:
            ends:     low and high
            count:    tokens in each group
            clusters: the effective number of clusters
        """
        low, high = (end.item() for end in ends)
        if math.isnan(low) or math.isnan(high):
            return cls(value, None, None, why_none(count, clusters))
        return cls(
            value, min(low, value), max(high, value)
        )  # if all groups agree, rounding may push an end past the value


def standard_error(moments: Moments, expression: Expr) -> torch.Tensor:
    """The cluster-robust standard error of a function of a, b, c that is homogeneous of degree 0, by the delta method.

    Its square is G/(G−1) · ∇fᵀ M ∇f, with M = Σ_g T_g T_gᵀ; the term of the mean vanishes by Euler's identity. For many
    clusters of similar weight, it agrees with the jackknife, which intervals use (`sandbox.report.jackknife`).

    Args:    moments: of any batch shape; expression: in a, b, c
    Returns: Float64[Tensor, "*batch"]; nan for a single cluster
    Source:  C16
    """
    slope = gradient(expression)(*moments.means.unbind(-1)) / moments.n[..., None]
    pull = (moments.totals @ slope[..., None])[..., 0]  # per cluster; Σ pull² = ∇fᵀ M ∇f, with less rounding
    clusters = moments.clusters.double()
    return (pull.square().sum(-1) * torch.where(clusters > 1, clusters / (clusters - 1), torch.nan)).sqrt()


def estimate(moments: Moments, measure: Measure, level: float = LEVEL) -> Estimate:
    """The measure, with its interval, of moments without batch axes.

    Raises: InputError if the moments have batch axes

    >>> import torch
    >>> half = Moments.from_pairs(torch.tensor([[1.0]]), torch.tensor([[0.5]]))
    >>> from sandbox.maths.measures import measure_named
    >>> estimate(half, measure_named("relative_reconstruction_bias"))
    Estimate(value=0.5, low=None, high=None, reason='a single cluster of tokens gives no interval')
    """
    if moments.n.ndim:
        raise InputError(
            f"estimate takes moments without batch axes, not of batch shape {tuple(moments.n.shape)}: index them first"
        )
    if not moments.n:
        return Estimate(None, None, None, NO_TOKENS)
    means = moments.means.tolist()
    if reason := why_undefined(measure, *means):
        return Estimate(None, None, None, reason)
    value = min(max(evaluate(measure, *means).item(), float(measure.range.inf)), float(measure.range.sup))
    return Estimate.within(value, interval(moments, measure, level), moments.count, effective_clusters(moments))
