"""From pre-activations to latents: which are active, and how strongly. One small module per architecture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ReLU(nn.Module):
    """max(pre_acts, 0)."""

    architecture = "standard"

    def forward(self, pre_acts: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents; pre_acts is overwritten."""
        return pre_acts.relu_()


class Gate(nn.Module):
    """A gate decides which latents are active, a ReLU how strongly (arXiv 2404.16014, section 3).

    gate: pre_acts + b_gate > 0; magnitude: ReLU(exp(r_mag) · pre_acts + b_mag). One product with W_enc serves both.
    """

    architecture = "gated"
    b_gate: Tensor
    b_mag: Tensor
    r_mag: Tensor

    def __init__(self, b_gate: Tensor, b_mag: Tensor, r_mag: Tensor):
        super().__init__()
        for name, weights in {"b_gate": b_gate, "b_mag": b_mag, "r_mag": r_mag}.items():
            self.register_buffer(name, weights)

    def forward(self, pre_acts: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents."""
        closed = pre_acts + self.b_gate <= 0
        return torch.addcmul(self.b_mag, pre_acts, self.r_mag.exp()).relu_().masked_fill_(closed, 0)

    def moved(self, shift: Float[Tensor, "d_sae"]) -> Gate:
        """The gate whose output for pre_acts − shift is this gate's output for pre_acts."""
        return Gate(self.b_gate + shift, self.b_mag + self.r_mag.exp() * shift, self.r_mag)


class JumpReLU(nn.Module):
    """pre_acts where they are above the threshold and above 0, else 0 (arXiv 2407.14435).

    Args: threshold: one per latent, or one for all (Float[Tensor, "d_sae"] or a 0-d tensor)
    """

    architecture = "jumprelu"
    threshold: Tensor

    def __init__(self, threshold: Tensor):
        super().__init__()
        self.register_buffer("threshold", threshold)

    def forward(self, pre_acts: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents; pre_acts is overwritten."""
        off = pre_acts <= self.threshold
        return pre_acts.relu_().masked_fill_(off, 0)


class TopK(nn.Module):
    """The k largest pre-activations of each token, then a ReLU (arXiv 2406.04093).

    Args: relu: False for no ReLU: if fewer than k are positive, the largest negative ones stay (Qwen-Scope)
    """

    architecture = "topk"

    def __init__(self, k: int, *, relu: bool = True):
        super().__init__()
        self.k, self.relu = k, relu

    def forward(self, pre_acts: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents."""
        largest = pre_acts.topk(self.k, sorted=False)
        values = largest.values.relu_() if self.relu else largest.values
        return torch.zeros_like(pre_acts).scatter_(-1, largest.indices, values)


class GroupMax(nn.Module):
    """The largest pre-activation in each of k equal groups, then a ReLU (sparsify, fused_encoder.py)."""

    architecture = "groupmax"

    def __init__(self, k: int):
        super().__init__()
        self.k = k

    def forward(self, pre_acts: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_sae"]:
        """The latents, in k groups of d_sae / k."""
        groups = pre_acts.unflatten(-1, (self.k, -1))
        largest = groups.max(-1, keepdim=True)
        return torch.zeros_like(groups).scatter_(-1, largest.indices, largest.values.relu_()).flatten(-2)
