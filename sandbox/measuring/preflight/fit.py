"""`Misfit`: how well x̂ reconstructs a target, as two numbers that tell a wrong space from a poor SAE.

The loss alone does not: a sparse or unfinished SAE with an L1 penalty loses less, up to a quarter less, on activations
that are four times too large, because its penalty weighs less there. The second number does. A decoder bias that was
trained to the end leaves E[x − x̂] = 0 where it was trained, since the derivative of the loss with respect to it is
−2·E[x − x̂], whatever the sparsity, the penalty or the loss that remains. Elsewhere the biases no longer fit the
activations. Of fourteen SAEs (ReLU, gated, top-k; L0 from 4 to 210), the honest ones left at most 1 % of their loss in
the mean (5 % without a decoder bias), and most of those given activations at double or half their scale 5 to 30 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments

OFFSET_WEIGHT = 30
"""How much a mean that is off counts: 3 % of the loss in the mean are as suspicious as the loss doubled."""


@dataclass(frozen=True)
class Misfit:
    """How badly x̂ misses a target.

    Attributes:
        loss:   E‖target − x̂‖² as a share of the target's variance (its mean removed); 1 is as bad as its mean
        offset: the share of that loss that one constant vector added to x̂ would remove, corrected for the sample's size
    """

    loss: float
    offset: float

    @property
    def badness(self) -> float:
        """Both in one number, to compare spaces by; dimensionless, 0 is perfect."""
        return self.loss * (1 + OFFSET_WEIGHT * self.offset)


NO_FIT = Misfit(math.inf, 0.0)


def fit(target: Tensor, x_hat: Tensor) -> Misfit:
    """How x̂ fits the target, both (n, d); `NO_FIT` if a token is not finite or the target does not vary."""
    moments = Moments.from_pairs(target, x_hat, groups=1, drop_nonfinite=True)
    return NO_FIT if moments.nonfinite else fit_of(moments, int(moments.n))


def fit_of(moments: Moments, independent: int) -> Misfit:
    """The same of moments, however many tokens they are of.

    Args: independent: how many of the tokens are so: all of a sample, or their clusters
    """
    if independent < 2:
        return NO_FIT
    mean = moments.sums.sum(0)[0] / moments.n
    loss = _lost(moments.about(torch.stack((mean, mean))))
    if math.isnan(loss):
        return NO_FIT
    offset = 1 - _lost(moments.centred()) / loss if loss > 0 else 0.0
    by_chance = (1 - offset) / (independent - 1)  # the mean of n tokens is off by 1/n of their variance
    return Misfit(max(loss, 0.0), max(offset - by_chance, 0.0))


def _lost(moments: Moments) -> float:
    return evaluate(REGISTRY["relative_loss"], *moments.means.unbind(-1)).item()
