"""The jackknife: how much an estimate changes when a group of clusters is left out, and the interval that follows.

The delta method (C16) linearises the measure and assumes a normal distribution. With ten documents, or with a few that
hold most of the energy, its 95 % intervals cover only 70 to 90 %. The jackknife repairs most of that from the same
totals per group: it really leaves each group out (and recomputes the mean where moments are centred), it measures
errors on an unbounded scale (`without_ends`), and it takes the degrees of freedom of Student's t from the effective
number of clusters. `python -m benchmarks.coverage` compares the two.
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

ONE_CLUSTER = "one cluster of tokens gives no interval"
ONE_COUNTS = "its clusters of tokens weigh too unequally to count as two, which gives no interval"
NOT_WITHOUT = "without one of the clusters it is undefined, and so it has no interval"
"""The reasons why a defined value has no interval."""

TWO = 2 - 1e-9
"""The least number of clusters that have to count, with room for rounding."""


class LeftOut(NamedTuple):
    """A statistic of all tokens, and without each group in turn.

    Two SAEs on the same tokens have the same groups: the `LeftOut` of their difference is the difference of both.

    Attributes:
        value:   Float64[Tensor, "*batch"]; nan where undefined
        without: Float64[Tensor, "*batch groups"]; nan where undefined
    """

    value: Float64[Tensor, "*batch"]
    without: Float64[Tensor, "*batch groups"]


def left_out(moments: Moments, measure: Measure) -> LeftOut:
    """The measure (or its root) of all moments, and with each group left out."""
    function, holds = to_torch(measure.centre), defined(measure)
    both = moments.totals.sum(-2).unbind(-1), moments.leave_one_out().unbind(-1)
    return LeftOut(*(torch.where(holds(*totals), function(*totals), torch.nan) for totals in both))


def jackknife_error(without: Float64[Tensor, "*batch groups"], used: Bool[Tensor, "*batch groups"]) -> Tensor:
    """√((G − 1)/G · Σ_g (θ_g − θ̄)²) over the G used groups; nan for fewer than two."""
    without, n = torch.where(used, without, 0), used.double().sum(-1)
    off = torch.where(used, without - (without.sum(-1) / n)[..., None], 0)
    return torch.where(n > 1, (n - 1) / n, torch.nan).sqrt() * torch.linalg.vector_norm(off, dim=-1)


def effective(weights: Float64[Tensor, "*batch groups"]) -> Float64[Tensor, "*batch"]:
    """(Σ w)²/Σ w²: the effective number of clusters, which is their number where all weigh the same."""
    return weights.sum(-1).square() / weights.square().sum(-1)


def effective_clusters(moments: Moments) -> Float64[Tensor, "*batch"]:
    """The smaller `effective` number for the shares of ‖x‖² and of ‖x̂‖²; a norm that is 0 everywhere is ignored."""
    return effective(moments.totals[..., :2].mT).nan_to_num(torch.inf).amin(-1).minimum(moments.clusters)


def student(clusters: Float64[Tensor, "*batch"], level: float = LEVEL) -> Float64[Tensor, "*batch"]:
    """Student's two-sided quantile with `clusters` − 1 degrees of freedom; nan for fewer than two clusters."""
    freedom = torch.where(clusters >= TWO, clusters - 1, torch.nan)
    return torch.as_tensor(stdtrit(freedom.cpu().numpy(), 0.5 + level / 2), device=clusters.device)


def ends(
    statistic: LeftOut, range: Range, used: Bool[Tensor, "*batch groups"], quantile: Float64[Tensor, "*batch"]
) -> Float64[Tensor, "2 *batch"]:
    """Both ends of the jackknife interval of a statistic with a bounded range, computed on an unbounded scale.

    Args: used: the groups that hold tokens; quantile: of Student's t, nan for no interval
    """
    away, back = without_ends(range)
    unbounded = to_torch(away, (v,))
    stretched = LeftOut(unbounded(statistic.value), unbounded(statistic.without))
    interval = to_torch(back, (t,))(_around(stretched, used, quantile))
    # A value at an end of its range is infinite on the unbounded scale: use its own scale there.
    own = _around(statistic, used, quantile).clamp(float(range.inf), float(range.sup))
    return torch.where(interval.isfinite().all(0), interval, own)


def _around(statistic: LeftOut, used: Tensor, quantile: Tensor) -> Tensor:
    reach = quantile * jackknife_error(statistic.without, used)
    return torch.stack((statistic.value - reach, statistic.value + reach))


def interval(moments: Moments, measure: Measure, level: float = LEVEL) -> tuple[Tensor, Tensor]:
    """The confidence interval of a measure, inside its range.

    Returns: (low, high), each Float64[Tensor, "*batch"]; nan where the measure is undefined, becomes undefined without
             one of the groups, or where fewer than two clusters count
    Source:  "Uncertainty" in docs/mathematics.md
    """
    quantile = student(effective_clusters(moments), level)
    statistic = left_out(moments, measure)
    low, high = ends(statistic, ANY if measure.root else measure.range, moments.count > 0, quantile)
    if measure.root:  # the least square on an interval around 0 is 0
        squares = torch.stack((low**2, high**2))
        low, high = torch.where((low < 0) & (high > 0), 0, squares.amin(0)), squares.amax(0)
    return low, high


def why_none(count: Float64[Tensor, "groups"], clusters: Float64[Tensor, ""]) -> str:
    """Why a defined value has no interval.

    Args: count: tokens in each group; clusters: the effective number of clusters
    """
    if (count > 0).sum() < 2:
        return ONE_CLUSTER
    return NOT_WITHOUT if clusters >= TWO else ONE_COUNTS
