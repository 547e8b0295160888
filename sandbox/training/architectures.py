"""The architectures of a sweep, as SAELens trains them; and the gated SAE with the auxiliary loss of the paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sandbox.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """One way to be sparse.

    Attributes:
        key:          the name in options, files and the CSV
        words:        the name in figures
        coefficient:  what sets the sparsity, as an argument of `config`
        coefficients: a sweep of it that goes from L0 of about 5 to about 150, for activations of mean norm √d
        classes:      gives SAELens' classes of the SAE in training and of its settings
        settings:     those of its settings that are not SAELens' own defaults; functions of the number of steps
    """

    key: str
    words: str
    coefficient: str
    coefficients: tuple[float, ...]
    classes: Callable[[], tuple[type, type]]
    settings: Callable[[int], dict[str, Any]]


def _saelens(name: str) -> Callable[[], tuple[type, type]]:
    def classes() -> tuple[type, type]:
        import sae_lens

        return getattr(sae_lens, f"{name}TrainingSAE"), getattr(sae_lens, f"{name}TrainingSAEConfig")

    return classes


@cache
def _gated_as_in_the_paper() -> tuple[type, type]:
    """Gated SAEs with equations 7 and 8 of arXiv 2404.16014: the auxiliary loss goes through a frozen decoder.

    SAELens lets the auxiliary loss train W_dec and b_dec, and weights the L1 penalty by the norms of the decoder's
    rows, which it thereby trains, too. Here nothing but the reconstruction loss trains W_dec, whose rows are put back
    to norm 1 before each step (the part of the gradient along them is not taken out first); the other losses reach
    b_dec only where the gate takes it from x. W_gate·x is computed once for gate, magnitude and auxiliary loss, where
    SAELens computes it three times.
    """
    from sae_lens import GatedTrainingSAE, GatedTrainingSAEConfig

    class GatedAsInThePaper(GatedTrainingSAE):
        def training_forward_pass(self, step_input: Any) -> Any:
            with torch.no_grad():
                self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True))
            return super().training_forward_pass(step_input)

        def encode_with_hidden_pre(self, x: Tensor) -> tuple[Tensor, Tensor]:
            product = self.process_sae_in(x) @ self.W_enc
            gate = product + self.b_gate
            return (gate > 0) * torch.relu(product * self.r_mag.exp() + self.b_mag), gate

        def calculate_aux_loss(
            self, step_input: Any, feature_acts: Tensor, hidden_pre: Tensor, sae_out: Tensor
        ) -> dict[str, Tensor]:
            gate = torch.relu(hidden_pre)
            via_gate = gate @ self.W_dec.detach() + self.b_dec.detach()
            return {
                "l1_loss": step_input.coefficients["l1"] * gate.sum(-1).mean(),
                "auxiliary_reconstruction_loss": (via_gate - step_input.sae_in).square().sum(-1).mean(),
            }

    return GatedAsInThePaper, GatedTrainingSAEConfig


def _warmed_up(steps: int) -> dict[str, Any]:
    return {"l1_warm_up_steps": steps // 5}


def _jumprelu(steps: int) -> dict[str, Any]:
    """Anthropic's settings (January 2025), made for a mean norm of √d; SAELens' own hardly move a threshold there."""
    return {
        "jumprelu_sparsity_loss_mode": "tanh",
        "jumprelu_ste_to_input": True,
        "jumprelu_init_threshold": 0.1,
        "jumprelu_bandwidth": 2.0,
        "pre_act_loss_coefficient": 3e-6,
        "l0_warm_up_steps": steps // 5,
    }


ARCHITECTURES: dict[str, Architecture] = {
    one.key: one
    for one in (
        Architecture(
            "relu", "ReLU + L1", "l1_coefficient", (0.5, 0.8, 1.3, 2.1, 3.3, 5.0, 8.0), _saelens("Standard"), _warmed_up
        ),
        Architecture(
            "gated",
            "Gated",
            "l1_coefficient",
            (0.8, 1.3, 2.1, 3.4, 5.5, 9.0),
            _gated_as_in_the_paper,
            lambda steps: _warmed_up(steps) | {"decoder_init_norm": 1.0},
        ),
        Architecture(
            "gated_saelens",
            "Gated, SAELens' loss",
            "l1_coefficient",
            (0.6, 1.0, 1.6, 2.6, 4.2, 6.6),
            _saelens("Gated"),
            _warmed_up,
        ),
        Architecture(
            "jumprelu",
            "JumpReLU",
            "l0_coefficient",
            (0.065, 0.13, 0.25, 0.5, 1.0, 1.8),
            _saelens("JumpReLU"),
            _jumprelu,
        ),
        Architecture("topk", "TopK", "k", (5, 10, 20, 40, 80, 150), _saelens("TopK"), lambda steps: {}),
    )
}
"""By key. The first two are the paper's."""


def architecture(key: str) -> Architecture:
    """The architecture of that key; raises InputError, with the keys that there are, for another."""
    if key not in ARCHITECTURES:
        raise InputError(f"there is no architecture {key!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[key]
