"""Normalisations of each token that an SAE applies before it encodes and undoes after it decodes.

A scale that is the same for every token is not among them: it is folded into the weights on reading.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class Normalised(NamedTuple):
    """x = z · scale + shift, for each token."""

    z: Float[Tensor, "*batch d"]
    scale: Float[Tensor, "*batch 1"]
    shift: Float[Tensor, "*batch 1"] | float


class ConstantNorm(nn.Module):
    """Scales every token to norm √d (SAELens' constant_norm_rescale)."""

    described = "every token scaled to norm √d, and x̂ scaled back"

    def forward(self, x: Float[Tensor, "*batch d"]) -> Normalised:
        """The scaled token, with its scale."""
        scale = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
        return Normalised(x / scale, scale, 0.0)


class LayerNorm(nn.Module):
    """Shifts and scales every token to mean 0 and standard deviation 1 over its d entries (with d − 1 as divisor).

    It divides by std + eps, but multiplies x̂ by std alone, like SAELens (saes/sae.py) and OpenAI (sparse_autoencoder,
    model.py: LN and TiedTranspose's caller). That shortens x̂ by a share eps/std, there and here.
    """

    described = "layer norm of every token, undone on decode"

    def __init__(self, eps: float = 1e-5):
        super().__init__()
        self.eps = eps

    def forward(self, x: Float[Tensor, "*batch d"]) -> Normalised:
        """The normalised token, with its standard deviation and mean."""
        shift = x.mean(-1, keepdim=True)
        centred = x - shift
        scale = centred.std(-1, keepdim=True)
        return Normalised(centred / (scale + self.eps), scale, shift)
