"""The L1 coefficient that an SAE was trained with, where its settings state it."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple, TypeGuard

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.checkpoint import Checkpoint
from sandbox.checkpoints.origin import as_dict
from sandbox.errors import InputError

L1 = ("standard", "relu")
"""The architectures whose penalty is a coefficient times the sum of the latents, weighted by their decoder rows."""

NO_SLOPE = ("gated", "topk", "batchtopk", "groupmax", "matryoshka_batchtopk")
"""The architectures whose penalty, if any, stays the same when the latents are scaled."""

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

    A ReLU SAE has an L1 penalty on its latents. TopK and gated SAEs choose which latents are active, and their penalty,
    if any, does not change when these are scaled (C19). A JumpReLU SAE is of that kind only if its settings say that it
    was trained with a step; smooth stand-ins for it grow with the latents.

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
    stated = settings.get("architecture")
    if {architecture, stated} & {*NO_SLOPE} or (architecture == "jumprelu" and _is_step(settings)):
        return Penalty(0.0, f"the penalty of a {architecture} SAE does not grow with its latents")
    return _stated(settings, source or "") if architecture in L1 else None


def given(l1: Any) -> Penalty:
    """The L1 penalty with a coefficient that the user states; raises InputError if it is none."""
    if not _is_coefficient(l1):
        raise InputError(f"the L1 coefficient is {l1!r}: it must be a number from 0 to 1e30")
    return Penalty(float(l1), "as given")


def _is_coefficient(value: Any) -> TypeGuard[float]:
    """Whether it is a number from 0 to 1e30, beyond which products with it would leave float64."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= 1e30


def _is_step(settings: Mapping[str, Any]) -> bool:
    return any(section.get("jumprelu_sparsity_loss_mode") == "step" for section in _sections(settings))


def _sections(settings: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    metadata, trainer = (as_dict(settings.get(name)) for name in ("metadata", "trainer"))
    return settings, trainer, metadata, as_dict(metadata.get("training_architecture_details"))


def _stated(settings: Mapping[str, Any], source: str) -> Penalty | None:
    for section in _sections(settings):
        for name in STATED_AS:
            value = section.get(name)
            if _is_coefficient(value) and _weighted(section):
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
