"""Estimates of functions of a, b, c and one more total that a pass counts beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from sympy import Expr, Symbol
from torch import Tensor

from sandbox.maths.compile import MOMENTS, to_torch
from sandbox.maths.measures import Range
from sandbox.moments.moments import Moments
from sandbox.report.estimates import Estimate
from sandbox.report.jackknife import LeftOut, effective_clusters, ends, student


@dataclass(frozen=True)
class Joint:
    """The totals of each group: those of the moments, and one more.

    Attributes:
        moments: without batch axes
        symbol:  of the further total's mean over tokens in an expression
        sums:    that total in each group of the moments
    """

    moments: Moments
    symbol: Symbol
    sums: Float64[Tensor, "groups"]

    def estimate(self, expression: Expr, range: Range, positive: Sequence[Expr] = (), undefined: str = "") -> Estimate:
        """A function of a, b, c and `symbol`, with a jackknife interval that leaves a group out of all four at once.

        Args:
            range:     the values that it can take; rounding beyond an end is cut off
            positive:  what must be positive for it to be defined
            undefined: the reason to give where one of these is not
        """
        moments, symbols = self.moments, (*MOMENTS, self.symbol)
        function, needs = to_torch(expression, symbols), [to_torch(term, symbols) for term in positive]
        count, sums = moments.count, self.sums
        whole = [*moments.means.unbind(-1), sums.sum() / moments.n]
        left = moments.n - count
        without = [*(moments.leave_one_out() / left[:, None]).unbind(-1), (sums.sum() - sums) / left]

        def value(means: Sequence[Tensor]) -> Tensor:
            holds = torch.stack([need(*means) > 0 for need in needs]).all(0) if needs else torch.tensor(True)
            inside = function(*means).clamp(float(range.inf), float(range.sup))
            return torch.where(holds, inside, torch.nan)

        statistic = LeftOut(value(whole), value(without))
        if statistic.value.isnan():
            return Estimate(None, None, None, undefined)
        clusters = effective_clusters(moments)
        interval = ends(statistic, range, count > 0, student(clusters))
        return Estimate.within(statistic.value.item(), interval, count, clusters)
