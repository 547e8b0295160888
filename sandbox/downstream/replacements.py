"""What takes the place of the activations: reconstructions, corrected ones, the mean, or zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sandbox.checkpoints.autoencoder import SAE
from sandbox.measuring.forward import Forward
from sandbox.report.losses import MEAN, X_HAT, ZERO
from sandbox.system.devices import sent


class Computed(NamedTuple):
    """Of each token: x̂, the decoder bias (or one for all), and the number of active latents (nan if unknown)."""

    x_hat: Tensor
    bias: Tensor
    l0: Tensor


class Ablations:
    """Replacements that contain nothing of a token: the mean activation, and zero."""

    names = (MEAN, ZERO)

    def __init__(self, mean: Float[Tensor, "d"]) -> None:
        self.mean = mean

    def replacements(self, x: Float[Tensor, "n d"]) -> Iterator[Tensor]:
        """What takes the place of x, in the order of `names`."""
        yield sent(self.mean, x.device).to(x.dtype).expand_as(x)
        yield torch.zeros_like(x)


@dataclass
class Reconstructions:
    """Those of an SAE: x̂, x̂ stretched by factors, and those of its corrected versions.

    A factor s stretches x̂ about the decoder bias, b_dec + s·(x̂ − b_dec): only the decoder's rows shrink.

    Attributes:
        sae:       the SAE
        factors:   by the name of the replacement
        corrected: SAEs with the same latents and other decoders, by the name of the replacement
    """

    sae: Forward
    factors: Mapping[str, float] = field(default_factory=dict)
    corrected: Mapping[str, Forward] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """What x̂ is stretched about: b_dec, or 0 where it is unknown."""
        return "b_dec" if isinstance(self.sae.sae, SAE) or self.sae.b_dec is not None else "0"

    @property
    def names(self) -> Sequence[str]:
        """Of the replacements."""
        return (X_HAT, *self.factors, *self.corrected)

    def computed(self, x: Float[Tensor, "n d"]) -> Computed:
        """x̂, the decoder bias in the space of x, and the number of active latents of each token."""
        _, x_hat, l0 = self.sae(x)
        return Computed(x_hat, self._bias(x), torch.full_like(x[:, 0], torch.nan) if l0 is None else l0)

    def replacements(self, x: Float[Tensor, "n d"], computed: Computed) -> Iterator[Tensor]:
        """What takes the place of x, in the order of `names`."""
        x_hat, bias, _ = computed
        yield x_hat
        for factor in self.factors.values():
            yield bias + factor * (x_hat - bias)
        for sae in self.corrected.values():
            yield sae(x).x_hat

    def _bias(self, x: Float[Tensor, "n d"]) -> Tensor:
        """b_dec in the space of x: of each token where the SAE normalises tokens; 0 if it is unknown."""
        if isinstance(self.sae.sae, SAE):
            _, scale, shift = self.sae.sae.normalise(x.to(self.sae.dtype))
            return self.sae.sae.b_dec * scale + shift
        return torch.zeros((), device=x.device) if self.sae.b_dec is None else self.sae.b_dec
