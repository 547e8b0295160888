"""The jackknife: how much an estimate changes when a group of clusters is left out, and the interval that follows.

The delta method (C16) takes a measure for a straight line and the normal for its distribution. With ten documents, or
with a few that hold most of the energy, its 95 % intervals cover 70 to 90 %. Three things mend most of that, from the
same totals per group: groups are really left out (and the mean taken anew where moments are centred); errors are
looked at on a scale without ends (`without_ends`); and Student's t has the degrees of freedom of the clusters
that count, not of those that are there. `python -m benchmarks.coverage` holds the two side by side.
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
"""Why there may be none."""

TWO = 2 - 1e-9
"""As many clusters have to count; two that differ by rounding do."""


class LeftOut(NamedTuple):
    """A statistic of all tokens, and without each group in turn.

    Two SAEs on the same tokens have the same groups: the `LeftOut` of their difference is the difference of both.

    Attributes:
        value:   Float64[Tensor, "*batch"]; nan where it is undefined
        without: Float64[Tensor, "*batch groups"]; nan likewise
    """

    value: Float64[Tensor, "*batch"]
    without: Float64[Tensor, "*batch groups"]


def left_out(moments: Moments, measure: Measure) -> LeftOut:
    """The measure (or its root) of the moments, and of those of all groups but one."""
    function, holds = to_torch(measure.centre), defined(measure)
    both = moments.totals.sum(-2).unbind(-1), moments.leave_one_out().unbind(-1)
    return LeftOut(*(torch.where(holds(*totals), function(*totals), torch.nan) for totals in both))


def jackknife_error(without: Float64[Tensor, "*batch groups"], used: Bool[Tensor, "*batch groups"]) -> Tensor:
    """√((G − 1)/G · Σ_g (θ_g − θ̄)²) over the G groups that are used; nan for fewer than two."""
    without, n = torch.where(used, without, 0), used.double().sum(-1)
    off = torch.where(used, without - (without.sum(-1) / n)[..., None], 0)
    return torch.where(n > 1, (n - 1) / n, torch.nan).sqrt() * torch.linalg.vector_norm(off, dim=-1)


def effective(weights: Float64[Tensor, "*batch groups"]) -> Float64[Tensor, "*batch"]:
    """(Σ w)²/Σ w²: as many clusters as there would be if all weighed the same."""
    return weights.sum(-1).square() / weights.square().sum(-1)


def effective_clusters(moments: Moments) -> Float64[Tensor, "*batch"]:
    """`effective` for the shares of ‖x‖² and of ‖x̂‖², the smaller; what is 0 everywhere does not count."""
    return effective(moments.totals[..., :2].mT).nan_to_num(torch.inf).amin(-1).minimum(moments.clusters)


def student(clusters: Float64[Tensor, "*batch"], level: float = LEVEL) -> Float64[Tensor, "*batch"]:
    """Student's two-sided quantile with a degree of freedom less than there are clusters; nan for fewer than two."""
    freedom = torch.where(clusters >= TWO, clusters - 1, torch.nan)
    return torch.as_tensor(stdtrit(freedom.cpu().numpy(), 0.5 + level / 2), device=clusters.device)


def ends(
    found: LeftOut, range: Range, used: Bool[Tensor, "*batch groups"], quantile: Float64[Tensor, "*batch"]
) -> Float64[Tensor, "2 *batch"]:
    """Both ends of the interval of what lies in a range: the jackknife's, on a scale without ends.

    Args: used: the groups that hold tokens; quantile: of Student's t, nan where there is to be no interval
    """
    away, back = without_ends(range)
    forth = to_torch(away, (v,))
    places = LeftOut(forth(found.value), forth(found.without))
    stretched = to_torch(back, (t,))(_around(places, used, quantile))
    # At an end of its range a value has no place on a scale without ends: there its own scale has to do.
    own = _around(found, used, quantile).clamp(float(range.inf), float(range.sup))
    return torch.where(stretched.isfinite().all(0), stretched, own)


def _around(found: LeftOut, used: Tensor, quantile: Tensor) -> Tensor:
    reach = quantile * jackknife_error(found.without, used)
    return torch.stack((found.value - reach, found.value + reach))


def interval(moments: Moments, measure: Measure, level: float = LEVEL) -> tuple[Tensor, Tensor]:
    """The confidence interval of a measure, inside its range.

    Returns: (low, high), each Float64[Tensor, "*batch"]; nan where the measure is undefined, also without one of the
             groups, or where fewer than two clusters count
    Source:  MATHS, uncertainty
    """
    quantile = student(effective_clusters(moments), level)
    found = left_out(moments, measure)
    low, high = ends(found, ANY if measure.root else measure.range, moments.count > 0, quantile)
    if measure.root:  # of the squares on an interval around 0 the least is 0
        squares = torch.stack((low**2, high**2))
        low, high = torch.where((low < 0) & (high > 0), 0, squares.amin(0)), squares.amax(0)
    return low, high


def why_none(moments: Moments) -> str:
    """Why a defined measure of one set of moments has no interval."""
    return why_no_quantile(moments.count, effective_clusters(moments)) or NOT_WITHOUT


def why_no_quantile(count: Float64[Tensor, "groups"], clusters: Float64[Tensor, ""]) -> str | None:
    """Why Student's t has no quantile: tokens in each group, and how many clusters count; None where it has one."""
    if (count > 0).sum() < 2:
        return ONE_CLUSTER
    return None if clusters >= TWO else ONE_COUNTS
