"""Estimates of functions of a, b, c and one more total that a pass counts beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from sympy import Expr, Symbol
from torch import Tensor

from sandbox.maths.compile import MOMENTS, to_torch
from sandbox.maths.measures import NOT_RESOLVABLE, Range
from sandbox.moments.moments import Moments
from sandbox.report.estimates import NO_TOKENS, Estimate
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

    def estimate(self, expression: Expr, range: Range, needs: Sequence[tuple[Expr, str]] = ()) -> Estimate:
        """A function of a, b, c and `symbol`, with a jackknife interval that leaves a group out of all four at once.

        Args:
            range: the values that it can take; rounding beyond an end is cut off
            needs: what must be positive, each with the reason why the function is undefined otherwise
        """
        moments, symbols = self.moments, (*MOMENTS, self.symbol)
        if not moments.n:
            return Estimate(None, None, None, NO_TOKENS)
        function = to_torch(expression, symbols)
        positive = [(to_torch(term, symbols), reason) for term, reason in needs]
        count, sums = moments.count, self.sums
        whole = [*moments.means.unbind(-1), sums.sum() / moments.n]
        if any(mean.isnan() for mean in whole):
            return Estimate(None, None, None, NOT_RESOLVABLE)
        if reason := next((reason for term, reason in positive if not term(*whole) > 0), None):
            return Estimate(None, None, None, reason)
        left = moments.n - count
        without = [*(moments.leave_one_out() / left[:, None]).unbind(-1), (sums.sum() - sums) / left]

        def value(means: Sequence[Tensor]) -> Tensor:
            inside = function(*means).clamp(float(range.inf), float(range.sup))
            for term, _ in positive:
                inside = torch.where(term(*means) > 0, inside, torch.nan)
            return inside

        statistic, clusters = LeftOut(value(whole), value(without)), effective_clusters(moments)
        interval = ends(statistic, range, count > 0, student(clusters))
        return Estimate.within(statistic.value.item(), interval, count, clusters)
