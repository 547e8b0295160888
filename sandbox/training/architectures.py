"""The architectures of a sweep, as SAELens trains them, and the gated SAE with the paper's auxiliary loss."""

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
    """A kind of SAE, and how a sweep trains it.

    Attributes:
        key:          the name in options, files and the CSV
        words:        the name in figures
        coefficient:  the setting that controls the sparsity
        coefficients: values of that setting that span L0 from about 5 to about 150, for activations of mean norm √d
        classes:      returns SAELens' class for the SAE in training, and the class of its settings
        settings:     the settings that differ from SAELens' defaults, given the number of steps
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

    In SAELens, the auxiliary loss trains W_dec and b_dec, and so does the L1 penalty, which is weighted by the norms of
    the decoder's rows. Here only the reconstruction loss trains W_dec, whose rows are rescaled to norm 1 before each
    step (without first removing the gradient's component along them). The other losses reach b_dec only through the
    encoder, which subtracts it from x. W_gate·x is computed once for gate, magnitude and auxiliary loss; SAELens
    computes it three times.
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
    """Anthropic's settings (January 2025), for a mean norm of √d, where SAELens' defaults hardly move a threshold."""
    return {
        "jumprelu_sparsity_loss_mode": "tanh",
        "jumprelu_ste_to_input": True,
        "jumprelu_init_threshold": 0.1,
        "jumprelu_bandwidth": 2.0,
        "pre_act_loss_coefficient": 3e-6,
        "l0_warm_up_steps": steps // 5,
    }


ARCHITECTURES: dict[str, Architecture] = {
    architecture.key: architecture
    for architecture in (
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
"""By key; the first two are the paper's."""


def architecture(key: str) -> Architecture:
    """The architecture with this key; raises InputError, which lists the keys, for an unknown one."""
    if key not in ARCHITECTURES:
        raise InputError(f"there is no architecture {key!r}; choose {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[key]
