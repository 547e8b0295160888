"""The penalty that an SAE was trained with, where its settings state it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any, NamedTuple, TypeGuard

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.checkpoint import Checkpoint
from sandbox.checkpoints.origin import as_dict
from sandbox.errors import InputError

L1 = ("standard", "relu")
"""The architectures whose penalty is a coefficient times the sum of the latents, weighted by their decoder rows."""

NO_SLOPE = ("gated", "topk", "batchtopk", "groupmax")
"""The architectures whose penalty, if any, stays the same when the latents are scaled."""

NESTED = ("matryoshka_batchtopk",)
"""The architectures whose loss adds up the errors of several reconstructions, which scaling the latents changes."""

STEPS = ("step", "quadratic")
"""SAELens' jumprelu_sparsity_loss_mode of the penalties that only count latents."""

OF_DICTIONARY_LEARNING = {
    "GatedAutoEncoder": "gated",
    "AutoEncoderTopK": "topk",
    "BatchTopKSAE": "batchtopk",
    "MatryoshkaBatchTopKSAE": "matryoshka_batchtopk",
    "MatroyshkaBatchTopKSAE": "matryoshka_batchtopk",
}
"""SAELens' name of the architecture, by dictionary_learning's `dict_class`."""

COUNTING = "JumpReluAutoEncoder"
"""dictionary_learning's JumpReLU, whose penalty only counts latents, as with SAELens' "quadratic"."""

STATED_AS = ("l1_coefficient", "l1_penalty")
"""Names of the L1 coefficient: SAELens', dictionary_learning's."""


class Penalty(NamedTuple):
    """What training added to the loss, as far as scaling the latents changes it.

    Attributes:
        coefficient: λ, in the units of the activations that training saw: of λ·Σ_j f_j‖d_j‖ (L1), or of
                     λ·Σ_j tanh(s·f_j‖d_j‖); 0 where the penalty stays the same when the latents are scaled
        source:      where that is stated, in words
        tanh_scale:  s; None for an L1 penalty
    """

    coefficient: float
    source: str
    tanh_scale: float | None = None

    @property
    def l1(self) -> float | None:
        """The L1 coefficient; None for a penalty of another form."""
        return self.coefficient if self.tanh_scale is None else None


def penalty_of(sae: Checkpoint | Any) -> Penalty | None:
    """The penalty that an SAE was trained with; None if nothing states it.

    A ReLU SAE has an L1 penalty on its latents. TopK, BatchTopK and gated SAEs choose which latents are active, and
    their penalty, if any, does not change when these are scaled (C19). A JumpReLU SAE is of that kind if its settings
    say that its penalty counts latents; Anthropic's tanh is a smooth stand-in for this, and grows with them.

    A Matryoshka SAE adds the errors of nested reconstructions to its loss, and scaling its latents changes all of them:
    the law does not say that its γ is 1, and the penalty counts as unknown.

    Losses that revive dead latents (TopK's auxiliary loss; JumpReLU's pre-activation loss, whose coefficient is usually
    3e-6) move the rows of these latents, which add nothing to x̂. The law holds if only the other rows are scaled, so it
    needs no term for them. What it neglects are latents that fire, but so rarely that training takes them for dead
    (SAELens: inactive for 1,000 steps).

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
    names = {architecture, *_names(settings)}
    if names & {*NESTED}:
        return None
    unchanging = sorted(names & {*NO_SLOPE}) or [architecture] * (architecture == "jumprelu" and _counts(settings))
    if unchanging:
        return Penalty(0.0, f"the penalty of a {unchanging[0]} SAE does not grow with its latents")
    if architecture == "jumprelu":
        return _tanh(settings, source or "")
    return _stated(settings, source or "") if architecture in L1 else None


def given(l1: Any) -> Penalty:
    """The L1 penalty with a coefficient that the user states; raises InputError if it is none."""
    if not _is_coefficient(l1):
        raise InputError(f"the L1 coefficient is {l1!r}: it must be a number from 0 to 1e30")
    return Penalty(float(l1), "as given")


def _is_coefficient(value: Any) -> TypeGuard[float]:
    """Whether it is a number from 0 to 1e30, beyond which products with it would leave float64."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= 1e30


def _names(settings: Mapping[str, Any]) -> Iterator[str]:
    """The architecture, and the one in training, where they are stated. SAELens saves BatchTopK SAEs as jumprelu."""
    for section in _sections(settings):
        stated = (section.get("architecture"), section.get("training_architecture"))
        yield from (name for name in (*stated, OF_DICTIONARY_LEARNING.get(str(section.get("dict_class")))) if name)


def _counts(settings: Mapping[str, Any]) -> bool:
    """Whether the penalty of a JumpReLU SAE counts its active latents."""
    return any(
        section.get("jumprelu_sparsity_loss_mode") in STEPS or section.get("dict_class") == COUNTING
        for section in _sections(settings)
    )


def _tanh(settings: Mapping[str, Any], source: str) -> Penalty | None:
    for section in _sections(settings):
        coefficient, scale = section.get("l0_coefficient"), section.get("jumprelu_tanh_scale")
        smooth = section.get("jumprelu_sparsity_loss_mode") == "tanh"
        if smooth and _is_coefficient(coefficient) and _is_coefficient(scale):
            return Penalty(float(coefficient), f"l0_coefficient in {source}", float(scale))
    return None


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
