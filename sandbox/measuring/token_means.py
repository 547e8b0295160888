"""Means over tokens, as the libraries name them, and the line of ‖x̂‖ on ‖x‖: sums per group, with honest intervals.

A mean of per-token ratios is another number than the ratio of pooled totals (C15); both are worth seeing, under
different names. Every statistic here is a function of plain sums per group of clusters, so runs merge by `+`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from sandbox.maths.measures import ANY, COSINES, NOT_NEGATIVE, Range
from sandbox.moments.moments import in_stretches
from sandbox.moments.sums import Sums
from sandbox.report import LEVEL, Estimate
from sandbox.report.jackknife import LeftOut, effective, ends, student

COLUMNS = ("tokens", "norm", "norm_hat", "norm²", "norm·norm_hat", "l2_ratio", "cossim", "l0", "defined")
"""What is summed. `l2_ratio` and `cossim` are of the tokens where both norms are positive, which `defined` counts."""

MEANS = {
    "l2_ratio": ("l2_ratio", "defined", NOT_NEGATIVE),
    "cossim": ("cossim", "defined", COSINES),
    "l0": ("l0", "tokens", NOT_NEGATIVE),
}
"""Each mean over tokens: the columns of its numerator and denominator, and its range."""

LINE = ("norm_slope", "norm_intercept")
"""The line of ‖x̂‖ on ‖x‖: its slope, and its value at ‖x‖ = 0 in activation units.

Neither measures shrinkage or an offset. The intercept shows how the norm ratios of tokens, their cosines where each has
a γ of 1, vary with ‖x‖: it is positive where they fall as ‖x‖ grows, negative where they rise (C28).
"""

NO_LINE = "all tokens have the same norm: no line is determined"


@dataclass(frozen=True, eq=False)
class TokenMeans(Sums):
    """Sums over tokens, per group of clusters; of the tokens up to a norm, and of those above it.

    Attributes: sums: Float64[Tensor, "2 groups columns"]; norms are in activation units, the other columns numbers
    """

    sums: Float64[Tensor, "2 groups columns"]

    @classmethod
    def from_dots(
        cls,
        dots: Float64[Tensor, "n 3"],
        l0: Float[Tensor, "n"] | None,
        group: Int[Tensor, "n"],
        groups: int,
        apart_above: float = float("inf"),
    ) -> TokenMeans:
        """Of a batch, from every token's ‖x‖², ‖x̂‖², x·x̂; tokens that are not finite are left out.

        Args: apart_above: tokens with ‖x‖ above it, activation units, are kept apart
        """
        ok = dots.isfinite().all(1)
        a, b, c = torch.where(ok[:, None], dots, 0).unbind(1)
        u, v = a.sqrt(), b.sqrt()
        defined = (u > 0) & (v > 0)
        ratio = torch.where(defined, v / u, 0)
        cosine = torch.where(defined, c / (u * v), 0)
        active = torch.zeros_like(u) if l0 is None else torch.where(ok, l0.to(dots.device).double(), 0)
        columns = torch.stack((ok.double(), u, v, a, u * v, ratio, cosine, active, defined.double()), 1)
        index = group.to(columns.device) + groups * (u > apart_above)
        return cls(columns.new_zeros(2 * groups, len(COLUMNS)).index_add_(0, index, columns).unflatten(0, (2, groups)))

    def estimates(self, typical: bool = False, level: float = LEVEL, *, documents: bool = True) -> dict[str, Estimate]:
        """Every statistic with its interval by a jackknife over the groups of clusters, by name.

        Args: typical: without the tokens that were kept apart; documents: whether these are the clusters, not blocks
        """
        sums = (self.sums[0] if typical else self.sums.sum(0)).cpu()
        sums = sums if documents else in_stretches(sums, sums[:, 0])
        totals = torch.cat((sums.sum(0, keepdim=True), sums.sum(0) - sums))  # all groups; then all but each in turn
        found = {}
        for name, (above, below, range) in MEANS.items():
            values = totals[:, COLUMNS.index(above)] / totals[:, COLUMNS.index(below)]
            found[name] = _estimate(values, range, sums, below, level, "no token defines it")
        for name, values in zip(LINE, _lines(totals).unbind(1), strict=True):
            # A token pulls a line the more, the longer it is.
            found[name] = _estimate(values, ANY, sums, "norm²", level, NO_LINE)
        return found


def _lines(totals: Float64[Tensor, "n columns"]) -> Float64[Tensor, "n 2"]:
    """Least squares of ‖x̂‖ on ‖x‖: slope and intercept; nan where all tokens have the same norm."""
    n, u, v, uu, uv = totals[:, :5].unbind(1)
    mean, mean_hat = u / n, v / n
    spread = uu / n - mean**2
    slope = torch.where(spread > 1e-9 * uu / n, (uv / n - mean * mean_hat) / spread, torch.nan)
    return torch.stack((slope, mean_hat - slope * mean), 1)


def _estimate(
    values: Float64[Tensor, "with_whole"],
    range: Range,
    sums: Float64[Tensor, "groups columns"],
    weight: str,
    level: float,
    why_undefined: str,
) -> Estimate:
    """Of a statistic of all groups, and of all but each in turn; `weight` is the column by which clusters count."""
    value = values[0].item()
    if value != value:
        return Estimate(None, None, None, why_undefined)
    count, clusters = sums[:, 0], effective(sums[:, COLUMNS.index(weight)])
    interval = ends(LeftOut(values[0], values[1:]), range, count > 0, student(clusters, level))
    return Estimate.within(value, interval, count, clusters)
