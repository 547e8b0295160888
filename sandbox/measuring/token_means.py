"""Means over tokens, under the libraries' names, and the regression of ‖x̂‖ on ‖x‖, with cluster-robust intervals.

A mean of per-token ratios differs from the ratio of pooled totals (C15); both are reported, under different names.
Every statistic here is a function of sums per group of clusters, so runs merge by `+`.
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

COLUMNS = (
    *("tokens", "norm", "norm_hat", "norm²", "norm·norm_hat", "l2_ratio", "cossim", "l0"),
    *("penalty", "penalty_scaled", "defined", "captured", "captured_about_b_dec"),
)
"""The summed columns. `l2_ratio` and `cossim` cover only tokens with both norms positive, which `defined` counts.

`penalty` and `penalty_scaled` are the slopes of `sandbox.measuring.penalties.slopes`. `captured` is (x·x̂)²/‖x̂‖², the
energy of x that remains where each token has its own best factor (V of C23), or 0 for a token with x̂ = 0;
`captured_about_b_dec` is the same of x − b_dec and x̂ − b_dec.
"""

CAPTURED = {"raw": "captured", "decoder_bias": "captured_about_b_dec"}
"""Its column by origin. There is none about the means: they are not known before the last token is read."""

MEANS = {
    "l2_ratio": ("l2_ratio", "defined", NOT_NEGATIVE),
    "cossim": ("cossim", "defined", COSINES),
    "l0": ("l0", "tokens", NOT_NEGATIVE),
}
"""Each mean over tokens: the columns of its numerator and denominator, and its range."""

LINE = ("norm_slope", "norm_intercept")
"""The regression line of ‖x̂‖ on ‖x‖: its slope, and its intercept in activation units.

Neither measures shrinkage or an offset. The intercept shows how the norm ratios of tokens, their cosines where each has
a γ of 1, vary with ‖x‖: it is positive where they fall as ‖x‖ grows, negative where they rise (C28).
"""

NO_TOKEN_DEFINES = "no token defines it"
NO_LINE = "all tokens have the same norm: no line is determined"


@dataclass(frozen=True, eq=False)
class TokenMeans(Sums):
    """Sums over tokens per group of clusters: first of the typical tokens, then of the outliers.

    Attributes: sums: Float64[Tensor, "2 groups columns"]; norms are in activation units, other columns dimensionless
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
        penalty: Float[Tensor, "n 2"] | None = None,
        about: Float64[Tensor, "n 2"] | None = None,
    ) -> TokenMeans:
        """Sums of a batch, from the ‖x‖², ‖x̂‖², x·x̂ of each token; tokens that are not finite are left out.

        Args:
            l0:          active latents of each token; None if the latents are not visible
            group:       group of each token, from 0
            apart_above: norm of x, in activation units, above which a token is an outlier
            penalty:     of each token, as from `slopes`; None if it is not visible
            about:       ‖x̂ − b_dec‖², (x − b_dec)·(x̂ − b_dec) of each token; None if there is no b_dec
        """
        ok = dots.isfinite().all(1)
        a, b, c = torch.where(ok[:, None], dots, 0).unbind(1)
        u, v = a.sqrt(), b.sqrt()
        defined = (u > 0) & (v > 0)
        ratio = torch.where(defined, v / u, 0)
        cosine = torch.where(defined, c / (u * v), 0)
        plain, scaled = (None, None) if penalty is None else penalty.unbind(1)
        active, plain, scaled = (
            torch.zeros_like(u) if of is None else torch.where(ok, of.to(dots.device).double(), 0)
            for of in (l0, plain, scaled)
        )
        captured = _captured(b, c)
        from_bias = torch.zeros_like(u)
        if about is not None:
            from_bias = _captured(*torch.where(ok[:, None], about.to(dots.device), 0).unbind(1))
        columns = torch.stack(
            (ok.double(), u, v, a, u * v, ratio, cosine, active, plain, scaled, defined.double(), captured, from_bias),
            1,
        )
        index = group.to(columns.device) + groups * (a > apart_above**2)  # as `Moments.with_dots` keeps them apart
        return cls(columns.new_zeros(2 * groups, len(COLUMNS)).index_add_(0, index, columns).unflatten(0, (2, groups)))

    def captured(self, origin: str, typical: bool = False) -> Float64[Tensor, "groups"]:
        """V of C23 summed over the tokens of each group, squared activation units.

        Args: origin: a key of CAPTURED; typical: as for `estimates`
        """
        sums = (self.sums[0] if typical else self.sums.sum(0)).cpu()
        return sums[:, COLUMNS.index(CAPTURED[origin])]

    def penalties(self, typical: bool = False) -> tuple[Float64[Tensor, "2 groups"], float]:
        """The slopes of the penalty summed over the tokens of each group, and the mean of ‖x‖, activation units.

        Args: typical: as for `estimates`
        """
        sums = (self.sums[0] if typical else self.sums.sum(0)).cpu()
        mean_norm = sums[:, COLUMNS.index("norm")].sum() / sums[:, 0].sum()
        return sums[:, [COLUMNS.index(name) for name in ("penalty", "penalty_scaled")]].mT, mean_norm.item()

    def estimates(self, typical: bool = False, level: float = LEVEL, *, documents: bool = True) -> dict[str, Estimate]:
        """Every statistic by name, with a jackknife interval over the groups of clusters.

        Args:
            typical:   leave out the outliers
            level:     confidence level of the intervals
            documents: whether the clusters are documents; if not, they are blocks
        """
        sums = (self.sums[0] if typical else self.sums.sum(0)).cpu()
        sums = sums if documents else in_stretches(sums, sums[:, 0])
        totals = torch.cat((sums.sum(0, keepdim=True), sums.sum(0) - sums))  # all groups; then all but each in turn
        estimates = {}
        for name, (above, below, range) in MEANS.items():
            values = totals[:, COLUMNS.index(above)] / totals[:, COLUMNS.index(below)]
            estimates[name] = _estimate(values, range, sums, below, level, NO_TOKEN_DEFINES)
        for name, values in zip(LINE, _lines(totals).unbind(1), strict=True):
            # The longer a token, the more it weighs in the regression.
            estimates[name] = _estimate(values, ANY, sums, "norm²", level, NO_LINE)
        return estimates


def _captured(b: Float64[Tensor, "n"], c: Float64[Tensor, "n"]) -> Float64[Tensor, "n"]:
    """c²/b of each token, 0 where b is."""
    return torch.where(b > 0, c * (c / b), 0)


def _lines(totals: Float64[Tensor, "n columns"]) -> Float64[Tensor, "n 2"]:
    """Slope and intercept of the least-squares line of ‖x̂‖ on ‖x‖; nan if all tokens have the same norm."""
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
    """The estimate of a statistic with its jackknife interval.

    Args:
        values: from all groups, then leaving out each group in turn
        weight: the column of `sums` by which clusters are weighted
    """
    value = values[0].item()
    if value != value:
        return Estimate(None, None, None, why_undefined)
    count, clusters = sums[:, 0], effective(sums[:, COLUMNS.index(weight)])
    interval = ends(LeftOut(values[0], values[1:]), range, count > 0, student(clusters, level))
    return Estimate.within(value, interval, count, clusters)
