"""The slope of the training penalty at each token: what the law of C19 needs of the latents."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sandbox.checkpoints.penalty import Penalty
from sandbox.maths.compile import to_torch
from sandbox.maths.derived import derived

AT_ONCE = 2**22
"""Latents whose tanh is computed at a time, in float64."""


def slopes(
    feature_acts: Float[Tensor, "n d_sae"],
    norms: Float[Tensor, "d_sae"],
    penalty: Penalty | None,
    scale: float,
) -> Float[Tensor, "n 2"]:
    """How fast the penalty of each token grows when its latents are scaled, divided by the coefficient λ.

    For a penalty of the form tanh it is the sum over latents of s·u·(1 − tanh²(k·s·u))/k, with u = f_j‖d_j‖; for L1,
    and where the penalty is not known, it is the penalty itself, Σ_j f_j‖d_j‖.

    Args:
        norms:   ‖d_j‖, in the dtype of the result
        scale:   k, if training saw activations multiplied by it
    Returns:     at k = 1, and at k = scale; the second is 0 for L1, where it follows from the first
    Source: C19
    """
    feature_acts = feature_acts.to(norms.dtype)
    if penalty is None or penalty.tanh_scale is None:
        plain = feature_acts @ norms
        return torch.stack((plain, torch.zeros_like(plain)), 1)
    expression = derived("C19")["tanh_slope"]
    slope = to_torch(expression, tuple(sorted(expression.free_symbols, key=str)))  # of k, s and u
    s, *ks = (
        torch.full((), value, dtype=torch.float64, device=norms.device) for value in (penalty.tanh_scale, 1, scale)
    )
    parts = [
        torch.stack([slope(k, s, part * norms).sum(1) for k in ks], 1)
        for part in feature_acts.split(max(AT_ONCE // len(norms), 1))
    ]
    return torch.cat(parts).to(norms.dtype)
