"""Jackknife intervals, from how much an estimate changes when each group of clusters is left out.

The delta method (C16) linearises the measure and assumes a normal distribution. With ten documents, or with a few that
hold most of the energy, its 95 % intervals cover only 70 to 90 %. The jackknife repairs most of that from the same
totals per group: it recomputes the measure without each group (and the mean, if moments are centred), measures errors
on an unbounded scale (`without_ends`), and takes the degrees of freedom of Student's t from the effective number of
clusters. `python -m benchmarks.coverage` compares the two.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64
from scipy.special import stdtrit
from torch import Tensor

from sandbox.maths.compile import defined, to_torch
from sandbox.maths.measures import ANY, Measure, Range, t, v, without_ends
from sandbox.moments.moments import Moments

LEVEL = 0.95

ONE_CLUSTER = "a single cluster of tokens gives no interval"
TOO_UNEQUAL = "the clusters of tokens are too unequal in weight to give an interval"
UNDEFINED_WITHOUT = "it is undefined without one of the clusters, so it has no interval"
"""The reasons why a defined value has no interval."""

TWO = 2 - 1e-9
"""The smallest effective number of clusters that gives an interval, with room for rounding."""


class LeftOut(NamedTuple):
    """A statistic of all tokens, and of all but each group in turn.

    Two SAEs on the same tokens have the same groups, so the `LeftOut` of a difference is the difference of the two.

    Attributes:
        value:   Float64[Tensor, "*batch"]; nan where undefined
        without: Float64[Tensor, "*batch groups"]; nan where undefined
    """

    value: Float64[Tensor, "*batch"]
    without: Float64[Tensor, "*batch groups"]


def left_out(moments: Moments, measure: Measure) -> LeftOut:
    """The measure, or its root if it has one, of all moments and with each group left out."""
    function, is_defined = to_torch(measure.centre), defined(measure)
    whole, without = moments.totals.sum(-2).unbind(-1), moments.leave_one_out().unbind(-1)
    return LeftOut(*(torch.where(is_defined(*abc), function(*abc), torch.nan) for abc in (whole, without)))


def jackknife_error(without: Float64[Tensor, "*batch groups"], used: Bool[Tensor, "*batch groups"]) -> Tensor:
    """√((G − 1)/G · Σ_g (θ_g − θ̄)²) over the G used groups; nan for fewer than two."""
    without, n = torch.where(used, without, 0), used.double().sum(-1)
    deviations = torch.where(used, without - (without.sum(-1) / n)[..., None], 0)
    return torch.where(n > 1, (n - 1) / n, torch.nan).sqrt() * torch.linalg.vector_norm(deviations, dim=-1)


def effective(weights: Float64[Tensor, "*batch groups"]) -> Float64[Tensor, "*batch"]:
    """(Σ w)²/Σ w²: the effective number of clusters, which equals their number if all weigh the same."""
    return weights.sum(-1).square() / weights.square().sum(-1)


def effective_clusters(moments: Moments) -> Float64[Tensor, "*batch"]:
    """The smaller `effective` number, weighing clusters by ‖x‖² or by ‖x̂‖²; a norm that is 0 everywhere is ignored."""
    return effective(moments.totals[..., :2].mT).nan_to_num(torch.inf).amin(-1).minimum(moments.clusters)


def student(clusters: Float64[Tensor, "*batch"], level: float = LEVEL) -> Float64[Tensor, "*batch"]:
    """Student's two-sided quantile with `clusters` − 1 degrees of freedom; nan for fewer than two clusters."""
    freedom = torch.where(clusters >= TWO, clusters - 1, torch.nan)
    return torch.as_tensor(stdtrit(freedom.cpu().numpy(), 0.5 + level / 2), device=clusters.device)


def ends(
    statistic: LeftOut, range: Range, used: Bool[Tensor, "*batch groups"], quantile: Float64[Tensor, "*batch"]
) -> Float64[Tensor, "2 *batch"]:
    """Both ends of the jackknife interval of a statistic with a bounded range, computed on an unbounded scale.

    Args: used: the groups that hold tokens; quantile: of Student's t, nan if there is no interval
    """
    transform, inverse = without_ends(range)
    unbounded = to_torch(transform, (v,))
    transformed = LeftOut(unbounded(statistic.value), unbounded(statistic.without))
    interval = to_torch(inverse, (t,))(_around(transformed, used, quantile))
    # A value at an end of its range is infinite on the unbounded scale: use its own scale there.
    on_own_scale = _around(statistic, used, quantile).clamp(float(range.inf), float(range.sup))
    return torch.where(interval.isfinite().all(0), interval, on_own_scale)


def _around(statistic: LeftOut, used: Tensor, quantile: Tensor) -> Tensor:
    reach = quantile * jackknife_error(statistic.without, used)
    return torch.stack((statistic.value - reach, statistic.value + reach))


def interval(moments: Moments, measure: Measure, level: float = LEVEL) -> tuple[Tensor, Tensor]:
    """The confidence interval of a measure, inside its range.

    Returns: (low, high), each Float64[Tensor, "*batch"]; nan where the measure is undefined, where it is undefined
             without one of the groups, or where the effective number of clusters is below two
    Source:  "Uncertainty" in docs/mathematics.md
    """
    quantile = student(effective_clusters(moments), level)
    statistic = left_out(moments, measure)
    low, high = ends(statistic, ANY if measure.root else measure.range, moments.count > 0, quantile)
    if measure.root:  # the smallest square on an interval around 0 is 0; the root's own interval may leave the range
        squares = torch.stack((low**2, high**2)).clamp(float(measure.range.inf), float(measure.range.sup))
        low, high = torch.where((low < 0) & (high > 0), 0, squares.amin(0)), squares.amax(0)
    return low, high


def why_none(count: Float64[Tensor, "groups"], clusters: Float64[Tensor, ""]) -> str:
    """Why a defined value has no interval.

    Args: count: tokens in each group; clusters: the effective number of clusters
    """
    if (count > 0).sum() < 2:
        return ONE_CLUSTER
    return UNDEFINED_WITHOUT if clusters >= TWO else TOO_UNEQUAL
