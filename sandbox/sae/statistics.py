"""Means over tokens, as the libraries name them, and the line of ‖x̂‖ on ‖x‖: sums per group, with honest intervals.

A mean of per-token ratios is another number than the ratio of pooled totals (C15); both are worth seeing, under
different names. Every statistic here is a function of plain sums per group of clusters, so runs merge by `+`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from scipy.special import stdtrit
from torch import Tensor

from sandbox.report import LEVEL, Estimate
from sandbox.sums import Sums

COLUMNS = ("tokens", "norm", "norm_hat", "norm²", "norm·norm_hat", "l2_ratio", "cossim", "l0", "defined")
"""What is summed. `l2_ratio` and `cossim` are of the tokens where both norms are positive, which `defined` counts."""

MEANS = {
    "l2_ratio": ("l2_ratio", "defined", "mean over tokens of ‖x̂‖/‖x‖"),
    "cossim": ("cossim", "defined", "mean over tokens of cos(x, x̂)"),
    "l0": ("l0", "tokens", "mean over tokens of nonzero latents"),
}
LINE = {
    "norm_slope": "slope of the line of ‖x̂‖ on ‖x‖: the share by which the shortfall grows with the norm",
    "norm_intercept": "its value at ‖x‖ = 0, activation units: an offset, where it is not 0",
}


@dataclass(frozen=True, eq=False)
class TokenStatistics(Sums):
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
    ) -> TokenStatistics:
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

    def estimates(self, typical: bool = False, level: float = LEVEL) -> dict[str, Estimate]:
        """Every statistic with its cluster-robust interval, by name.

        Args: typical: without the tokens that were kept apart
        """
        sums = (self.sums[0] if typical else self.sums.sum(0)).cpu()
        found = {}
        for name, (above, below, _) in MEANS.items():
            numerator, denominator = sums[:, COLUMNS.index(above)], sums[:, COLUMNS.index(below)]
            total = denominator.sum()
            mean = numerator.sum() / total
            # the pull of a cluster on a ratio of totals, as in C16: Σ pull² is ∇fᵀ M ∇f
            found[name] = _estimate(sums, mean, (numerator - mean * denominator) / total, level)
        return found | _line(sums, level)


def _line(sums: Float64[Tensor, "groups columns"], level: float) -> dict[str, Estimate]:
    """Least squares of ‖x̂‖ on ‖x‖; the sandwich over clusters needs only the sums of each."""
    n, u, v, uu, uv = (sums[:, i] for i in range(5))
    moments = torch.stack((torch.stack((n.sum(), u.sum())), torch.stack((u.sum(), uu.sum()))))
    spread = moments[1, 1] - moments[0, 1] ** 2 / moments[0, 0]
    if not spread > 1e-9 * moments[1, 1]:
        reason = "all tokens have the same norm: no line is determined"
        return {name: Estimate(None, None, None, reason) for name in LINE}
    inverse = torch.linalg.inv(moments)
    intercept, slope = inverse @ torch.stack((v.sum(), uv.sum()))
    scores = torch.stack((v - intercept * n - slope * u, uv - intercept * u - slope * uu), 1)  # of each cluster
    pulls = scores @ inverse
    return {
        "norm_slope": _estimate(sums, slope, pulls[:, 1], level),
        "norm_intercept": _estimate(sums, intercept, pulls[:, 0], level),
    }


def _estimate(sums: Tensor, value: Tensor, pulls: Float64[Tensor, "groups"], level: float) -> Estimate:
    clusters = int((sums[:, 0] > 0).sum())
    if value.isnan():
        return Estimate(None, None, None, "no token defines it")
    if clusters < 2:
        return Estimate(value.item(), None, None, "one cluster of tokens gives no interval")
    error = (clusters / (clusters - 1) * pulls.square().sum()).sqrt().item()
    reach = stdtrit(clusters - 1, 0.5 + level / 2) * error
    return Estimate(value.item(), value.item() - reach, value.item() + reach)
