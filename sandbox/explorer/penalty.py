"""What a penalty does to x̂: a small lasso, solved exactly, beside a hard threshold (C17–C19).

The dictionary is orthonormal, so the lasso of a token falls apart into one small problem for each feature, solved by a
soft threshold of half the L1 coefficient (C17). A hard threshold cuts the same features and keeps the others whole
(C18). The browser computes the same from the same strengths (js/penalty.js).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64

from sandbox.maths.compile import L1, OF_LATENT, OF_LAW, evaluate, lasso_threshold, latents, predicted_bias, to_torch
from sandbox.maths.measures import REGISTRY
from sandbox.simulate.distributions import DISTRIBUTIONS

FEATURES = 400


@dataclass(frozen=True)
class Penalised:
    """x̂ under a penalty; a, b, c and P are means over the features, in units of their strengths.

    Attributes:
        a, b, c:   E f², E u² and E f·u of strengths f and latents u
        penalty:   P = E u, the part of the penalty that grows as x̂ is scaled; 0 for a hard threshold, whose penalty
                   counts latents
        predicted: γ by the law, 1 − λ·P/(2c)
        active:    share of the features above the threshold
    """

    a: float
    b: float
    c: float
    penalty: float
    predicted: float
    active: float

    @property
    def values(self) -> dict[str, float]:
        """Every measure, by key."""
        return {key: evaluate(measure, self.a, self.b, self.c).item() for key, measure in REGISTRY.items()}

    @property
    def settings(self) -> dict[str, float]:
        """The explorer's settings that put x̂ where this one lies."""
        values = self.values
        return {"angle": math.degrees(math.acos(values["cosine"])), "norm_ratio": values["norm_ratio"]}


def strengths() -> Float64[torch.Tensor, "400"]:
    """The features' strengths: quantiles of Exp(1), to three decimals."""
    share = (torch.arange(FEATURES, dtype=torch.float64) + 0.5) / FEATURES
    return DISTRIBUTIONS["exponential"](share).round(decimals=3)


def penalised(coefficient: float) -> dict[str, Penalised]:
    """The lasso with this L1 coefficient ("soft"), and the hard threshold that cuts the same features ("hard").

    Source: C17, C18, C19
    >>> f"{penalised(1.0)['soft'].predicted:.3f}"
    '0.798'
    """
    f = strengths()
    threshold = to_torch(lasso_threshold(), (L1,))(coefficient)
    above = f > threshold
    found = {}
    for gate, latent in latents().items():
        u = torch.where(above, to_torch(latent, OF_LATENT)(f, threshold), 0.0)
        a, b, c = ((left * right).mean().item() for left, right in ((f, f), (u, u), (f, u)))
        grows = u.mean().item() if gate == "soft" else 0.0
        predicted = to_torch(predicted_bias(), OF_LAW)(coefficient, grows, c).item()
        found[gate] = Penalised(a, b, c, grows, predicted, above.double().mean().item())
    return found
