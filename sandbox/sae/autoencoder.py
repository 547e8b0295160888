"""Sparse autoencoders as plain modules: encode to latents, decode to x̂."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StandardSAE(nn.Module):
    """ReLU SAE: feature_acts = ReLU((x − b_dec)·W_enc + b_enc), x̂ = feature_acts·W_dec + b_dec.

    Args:
        W_enc: Float[Tensor, "d_in d_sae"]; b_enc: Float[Tensor, "d_sae"]
        W_dec: Float[Tensor, "d_sae d_in"]; b_dec: Float[Tensor, "d_in"]
        subtract_b_dec: whether b_dec is taken from x before encoding
    """

    layout = "standard"
    W_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    b_enc: Tensor

    def __init__(self, W_enc: Tensor, W_dec: Tensor, b_dec: Tensor, subtract_b_dec: bool, **encoder_biases: Tensor):
        super().__init__()
        self.subtract_b_dec = subtract_b_dec
        for name, weights in {"W_enc": W_enc, "W_dec": W_dec, "b_dec": b_dec, **encoder_biases}.items():
            self.register_buffer(name, weights)

    @property
    def d_in(self) -> int:
        """Dimension of the activations."""
        return self.W_dec.shape[1]

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return self.W_dec.shape[0]

    def pre_acts(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """x·W_enc, with b_dec taken from x first where the SAE was trained so."""
        return (x - self.b_dec if self.subtract_b_dec else x) @ self.W_enc

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents' activations."""
        return (self.pre_acts(x) + self.b_enc).relu_()

    def decode(self, feature_acts: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_in"]:
        """The reconstruction x̂, decoder bias included."""
        return feature_acts @ self.W_dec + self.b_dec

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_in"]:
        """x̂."""
        return self.decode(self.encode(x))

    def describe(self) -> str:
        """One line: layout, sizes, convention."""
        bias = "yes" if self.subtract_b_dec else "no"
        return f"{self.layout}, d_in {self.d_in}, d_sae {self.d_sae}, decoder bias subtracted from the input: {bias}"


class GatedSAE(StandardSAE):
    """Gated SAE (arXiv 2404.16014, section 3): a gate decides which latents are on, a ReLU how strongly.

    gate: x·W_enc + b_gate > 0; magnitude: ReLU(exp(r_mag) · (x·W_enc) + b_mag). One product with W_enc serves both.
    """

    layout = "gated"
    b_gate: Tensor
    b_mag: Tensor
    r_mag: Tensor

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents' activations."""
        pre_acts = self.pre_acts(x)
        closed = pre_acts + self.b_gate <= 0
        return torch.addcmul(self.b_mag, pre_acts, self.r_mag.exp()).relu_().masked_fill_(closed, 0)
