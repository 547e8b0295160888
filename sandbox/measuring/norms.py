"""`Norms`: the tokens of a whole pass by the length of x, and the totals of each length.

A sample can miss what few tokens do: attention sinks, padding. This shows it afterwards, without a second pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox.moments.sums import Sums

STEPS = 8
"""Steps in which ‖x‖² doubles: norms in one step differ by 4 % at most."""

DOUBLINGS = 256
"""Of ‖x‖² from the first step to the last, which is that of ‖x‖ = 2⁶⁴; what is beyond is counted with them."""

BINS = 1 + STEPS * DOUBLINGS
"""The first is of tokens that are zero in every place."""


@dataclass(frozen=True, eq=False)
class Norms(Sums):
    """Totals over tokens, per step of ‖x‖.

    Attributes: totals: Float64[Tensor, "bins 4"], tokens, and sums of ‖x‖², ‖x̂‖², x·x̂, squared activation units
    """

    totals: Float64[Tensor, "bins 4"]

    @classmethod
    def from_dots(cls, dots: Float64[Tensor, "n 3"]) -> Norms:
        """Of a batch, from every token's ‖x‖², ‖x̂‖², x·x̂; tokens that are not finite are left out."""
        ok = dots.isfinite().all(1)
        finite = torch.where(ok[:, None], dots, 0)
        squared = finite[:, 0]
        step = (squared.log2() + DOUBLINGS / 2).mul(STEPS).floor().clamp(0, BINS - 2) + 1  # log2(0) is cut off, too
        index = torch.where(squared > 0, step, 0).long()
        columns = torch.cat((ok.double()[:, None], finite), 1)
        return cls(columns.new_zeros(BINS, 4).index_add_(0, index, columns))

    @property
    def tokens(self) -> int:
        """How many were finite."""
        return int(self.totals[:, 0].sum())

    @property
    def zero(self) -> int:
        """How many of them are zero in every place of x."""
        return int(self.totals[0, 0])

    @property
    def median(self) -> float:
        """‖x‖ that half of the others do not reach, to 4 %; activation units, nan without any."""
        counts = self.totals[1:, 0]
        if not counts.any():
            return float("nan")
        return _norm_at(int((counts.cumsum(0) * 2 < counts.sum()).sum()) + 1)

    def longest(self, share: float = 0.01) -> Longest | None:
        """The longest tokens, about that share of all: whole steps, twice the share at most; None if that is none."""
        counts = self.totals.flip(0)[:, 0].cumsum(0)
        wanted = share * self.tokens
        steps = int((counts <= wanted).sum())  # from the longest down, and one more where that is not too much
        if steps < BINS and counts[steps] <= 2 * wanted:
            steps += 1
        first = BINS - steps
        if not 0 < self.totals[first:, 0].sum() < self.tokens:
            return None
        return Longest(_norm_at(first), self.totals[first:].sum(0), self.totals[:first].sum(0))


@dataclass(frozen=True, eq=False)
class Longest:
    """The longest tokens, and the others.

    Attributes:
        limit:  the norm from which on they are among the longest, activation units
        totals: Float64[Tensor, "4"], theirs; others: those of the other tokens
    """

    limit: float
    totals: Float64[Tensor, "4"]
    others: Float64[Tensor, "4"]

    @property
    def tokens(self) -> int:
        """How many they are."""
        return int(self.totals[0])

    @property
    def share(self) -> float:
        """Their part of E‖x‖²."""
        return float(self.totals[1] / (self.totals[1] + self.others[1]))


def _norm_at(step: int) -> float:
    """Where a step begins."""
    return 2.0 ** (((step - 1) / STEPS - DOUBLINGS / 2) / 2)
