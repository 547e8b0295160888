"""`Norms`: a histogram of the norm of x over a whole pass, with the totals of each bin.

It shows the effect of rare tokens that a sample can miss (attention sinks, padding) without a second pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox.moments.sums import Sums

STEPS = 8
"""Bins per doubling of ‖x‖²: norms in one bin differ by less than 4.5 %."""

DOUBLINGS = 256
"""Doublings of ‖x‖² that the bins cover, up to ‖x‖ = 2⁶⁴; the first and last bins also count norms beyond them."""

BINS = 1 + STEPS * DOUBLINGS
"""Number of bins; bin 0 counts the tokens with x = 0."""


@dataclass(frozen=True, eq=False)
class Norms(Sums):
    """Totals over tokens, per bin of ‖x‖.

    Attributes: totals: Float64[Tensor, "bins 4"], the number of tokens and the sums of ‖x‖², ‖x̂‖², x·x̂ (squared
                activation units)
    """

    totals: Float64[Tensor, "bins 4"]

    @classmethod
    def from_dots(cls, dots: Float64[Tensor, "n 3"]) -> Norms:
        """Totals of a batch, from the ‖x‖², ‖x̂‖², x·x̂ of each token; tokens that are not finite are left out."""
        ok = dots.isfinite().all(1)
        finite = torch.where(ok[:, None], dots, 0)
        squared = finite[:, 0]
        bins = (squared.log2() + DOUBLINGS / 2).mul(STEPS).floor().clamp(0, BINS - 2) + 1  # clamps log2(0) = −∞, too
        index = torch.where(squared > 0, bins, 0).long()
        columns = torch.cat((ok.double()[:, None], finite), 1)
        return cls(columns.new_zeros(BINS, 4).index_add_(0, index, columns))

    @property
    def tokens(self) -> int:
        """Number of finite tokens."""
        return int(self.totals[:, 0].sum())

    @property
    def zero(self) -> int:
        """Number of finite tokens with x = 0."""
        return int(self.totals[0, 0])

    @property
    def median(self) -> float:
        """Median ‖x‖ of the tokens with x ≠ 0, to within a bin, in activation units; nan if there are none."""
        counts = self.totals[1:, 0]
        if not counts.any():
            return float("nan")
        return _norm_at(int((counts.cumsum(0) * 2 < counts.sum()).sum()) + 1)

    def longest(self, share: float = 0.01) -> Longest | None:
        """The longest tokens: whole bins that hold about `share` of all tokens, at most twice that; None if empty."""
        counts = self.totals.flip(0)[:, 0].cumsum(0)
        wanted = share * self.tokens
        bins = int((counts <= wanted).sum())  # from the longest down; the next bin is added if it is small enough
        if bins < BINS and counts[bins] <= 2 * wanted:
            bins += 1
        first = BINS - bins
        if not 0 < self.totals[first:, 0].sum() < self.tokens:
            return None
        return Longest(_norm_at(first), self.totals[first:].sum(0), self.totals[:first].sum(0))


@dataclass(frozen=True, eq=False)
class Longest:
    """The longest tokens, and the others.

    Attributes:
        limit:  norm from which a token is among the longest, activation units
        totals: Float64[Tensor, "4"], of the longest tokens, as in `Norms`
        others: Float64[Tensor, "4"], of the other tokens
    """

    limit: float
    totals: Float64[Tensor, "4"]
    others: Float64[Tensor, "4"]

    @property
    def tokens(self) -> int:
        """Number of the longest tokens."""
        return int(self.totals[0])

    @property
    def share(self) -> float:
        """Their share of E‖x‖²."""
        return float(self.totals[1] / (self.totals[1] + self.others[1]))


def _norm_at(index: int) -> float:
    """The lowest norm of a bin."""
    return 2.0 ** (((index - 1) / STEPS - DOUBLINGS / 2) / 2)
