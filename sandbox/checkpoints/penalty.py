"""The L1 coefficient that an SAE was trained with, where its settings state it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.checkpoint import Checkpoint
from sandbox.checkpoints.origin import as_dict

L1 = "standard"
"""The architecture whose penalty is a coefficient times the sum of its latents, each weighted by its decoder row."""

STATED_AS = ("l1_coefficient", "l1_penalty")
"""Names of the coefficient: SAELens', dictionary_learning's."""


class Penalty(NamedTuple):
    """What training added to the loss, as far as scaling the latents changes it.

    Attributes:
        l1:     the coefficient of Σ_j f_j‖d_j‖, in the units of the activations that training saw; 0 where the penalty
                stays the same when the latents are scaled
        source: where that is stated, in words
    """

    l1: float
    source: str


def penalty_of(sae: Checkpoint | Any) -> Penalty | None:
    """The penalty that an SAE was trained with; None if nothing states it.

    Only a ReLU SAE has an L1 penalty on its latents. TopK, JumpReLU and gated SAEs choose which latents are active, and
    their penalty, if any, does not change when these are scaled (C19).

    Args: sae: a checkpoint, or a SAELens object
    """
    if isinstance(sae, Checkpoint):
        architecture, source = str(sae.sae.activation.architecture), sae.settings_file
        settings = {} if source is None else sae.files.settings(source)
    elif isinstance(sae, SAE):
        architecture, source, settings = str(sae.activation.architecture), None, {}
    else:
        settings, source = as_dict(getattr(sae, "cfg", None)), "its cfg"
        stated = settings.get("architecture") or getattr(getattr(sae, "cfg", None), "architecture", None)
        architecture = str(stated() if callable(stated) else stated)
        if architecture == "None":
            return None
    if architecture != L1:
        return Penalty(0.0, f"the penalty of a {architecture} SAE does not grow with its latents")
    return _stated(settings, source or "")


def _stated(settings: Mapping[str, Any], source: str) -> Penalty | None:
    metadata, trainer = (as_dict(settings.get(name)) for name in ("metadata", "trainer"))
    for section in (settings, trainer, metadata, as_dict(metadata.get("training_architecture_details"))):
        for name in STATED_AS:
            value = section.get(name)
            if isinstance(value, int | float) and value >= 0 and _weighted(section):
                return Penalty(float(value), f"{name} in {source}")
    return None


def _weighted(section: Mapping[str, Any]) -> bool:
    """Whether the penalty is the sum of the latents, and the norms of the decoder's rows cannot undo it.

    SAELens 6 always weights latents by these norms; before, it did so or kept the norms at 1, by setting.
    """
    ways = [
        section[name] for name in ("scale_sparsity_penalty_by_decoder_norm", "normalize_sae_decoder") if name in section
    ]
    return section.get("lp_norm", 1) == 1 and (not ways or any(ways))
