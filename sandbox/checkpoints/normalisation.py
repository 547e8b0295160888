"""Normalisations of one token that an SAE applies before it encodes and undoes after it decodes.

One that is the same for every token is no normalisation here: it is folded into the weights when they are read.
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
    """Every token at the norm √d (SAELens' constant_norm_rescale)."""

    described = "every token scaled to norm √d, and x̂ scaled back"

    def forward(self, x: Float[Tensor, "*batch d"]) -> Normalised:
        """The token on the sphere, with its scale."""
        scale = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
        return Normalised(x / scale, scale, 0.0)


class LayerNorm(nn.Module):
    """Every token at mean 0 and standard deviation 1 over its d entries (n − 1 in the divisor), x̂ undone.

    The division is by std + eps and undone by std alone, as SAELens (saes/sae.py) and OpenAI (sparse_autoencoder,
    model.py: LN and TiedTranspose's caller) do it; that costs x̂ a share eps/std of its length, in theirs as here.
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
