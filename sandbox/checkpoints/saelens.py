"""SAELens' layout: cfg.json beside sae_weights.safetensors (SAELens 6, saes/sae.py, save_model).

A token is normalised first, then b_dec is subtracted from it if `apply_b_dec_to_input` is set (process_sae_in); the
normalisation is undone after b_dec is added (decode). A transcoder subtracts no b_dec, and its forward adds W_skip·x
(saes/transcoder.py). `saelens_settings` interprets the settings.

Files are written for inference: scales that were folded on reading stay folded, and the settings are changed to match.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sandbox.checkpoints.activation_functions import Gate, JumpReLU, ReLU, TopK
from sandbox.checkpoints.files import Files
from sandbox.checkpoints.layout import B_ENC, MATRICES, Contents, Conventions, Layout, Variant, Weight
from sandbox.checkpoints.saelens_settings import OPTIONS, TRAINED_BY_BATCH, UNFOLDED, Settings, understood
from sandbox.errors import InputError

SCALER = "activation_scaler.json"

TRANSCODER = {
    "W_enc": Weight("W_enc", "is"),
    "b_enc": Weight("b_enc", "s"),
    "W_dec": Weight("W_dec", "so"),
    "b_dec": Weight("b_dec", "o"),
}
SKIP, THRESHOLD = {"W_skip": Weight("W_skip", "oi")}, {"threshold": Weight("threshold", "s")}

TENSORS = {
    "standard": MATRICES | B_ENC,
    "gated": MATRICES | {name: Weight(name, "s") for name in ("b_gate", "b_mag", "r_mag")},
    "jumprelu": MATRICES | B_ENC | THRESHOLD,
    "topk": MATRICES | B_ENC,
    "transcoder": TRANSCODER,
    "skip_transcoder": TRANSCODER | SKIP,
    "jumprelu_transcoder": TRANSCODER | THRESHOLD,
    "jumprelu_skip_transcoder": TRANSCODER | THRESHOLD | SKIP,
    **dict.fromkeys(TRAINED_BY_BATCH, MATRICES | B_ENC | {"topk_threshold": Weight("threshold", "")}),
}
"""The tensors of each architecture (initialize_weights in its file of saes/)."""

FINETUNED = ("finetuning_scaling_factor", "scaling_factor")
"""Names of the fine-tuned scale of each latent: in SAELens 3 to 5 (SAE.initialize_weights_basic), and before."""


def _tensors(contents: Contents) -> Variant:
    """The architecture's tensors, under the names of older versions if the file has these."""
    settings, stored = _settings(contents), contents.stored
    tensors = dict(TENSORS[settings.architecture])
    # process_state_dict_for_loading, JumpReLUTrainingSAE
    if settings.architecture == "jumprelu" and "threshold" not in stored:
        del tensors["threshold"]
        tensors["log_threshold"] = Weight("log_threshold", "s")
    if settings.finetuned:
        tensors[next((name for name in FINETUNED if name in stored), FINETUNED[0])] = Weight("scale", "s")
    elif "scaling_factor" in stored and _is_one(stored["scaling_factor"]):  # read_sae_components_from_disk drops it
        tensors["scaling_factor"] = Weight("", "s")
    return Variant(f"a {settings.architecture}{'' if settings.transcodes else ' SAE'}", tensors)


def _is_one(tensor: Tensor) -> bool:
    return torch.allclose(tensor, torch.ones_like(tensor))


def _settings(contents: Contents) -> Settings:
    return understood(contents.settings_path, contents.settings)


def _conventions(contents: Contents) -> Conventions:
    settings, tensors, notes = _settings(contents), dict(contents.tensors), []
    if UNFOLDED in settings.notes and (path := contents.path.with_name(SCALER)).is_file():
        scale = Files(path, path).settings(SCALER).get("scaling_factor")  # of training/activation_scaler.py
        notes.append(f"{SCALER} states that factor: {scale}")
    if settings.finetuned:  # scales the latents before decode (sae.py until 5, apply_finetuning_scaling_factor)
        tensors["W_dec"] = tensors["W_dec"] * tensors["scale"][:, None]
        notes.append("fine-tuned scale of the latents folded into W_dec")
    if settings.rescaled:
        notes.append("latents in units of their decoder norms")
    activation = _activation(contents, settings)
    if isinstance(activation, JumpReLU) and (activation.threshold <= 0).all():
        notes.append("no threshold is above 0, so in effect a ReLU SAE")
    return Conventions(
        activation,
        subtract_b_dec=settings.subtract_b_dec,
        normalisation=settings.normalisation,
        notes=(*settings.notes, *notes),
        tensors=tensors,
        decoder_norms=settings.rescaled,
        written_tensors=TENSORS[settings.architecture if settings.transcodes else str(activation.architecture)],
        written_settings=_written(contents, settings),
        transcodes=settings.transcodes,
    )


def _activation(contents: Contents, settings: Settings) -> nn.Module:
    """The activation function (encode, in each architecture's file of saes/)."""
    tensors = contents.tensors
    if settings.architecture == "gated":
        return Gate(tensors["b_gate"], tensors["b_mag"], tensors["r_mag"])
    if settings.architecture in ("jumprelu", "jumprelu_transcoder", "jumprelu_skip_transcoder"):
        return JumpReLU(tensors["threshold"] if "threshold" in tensors else tensors["log_threshold"].exp())
    if settings.architecture in TRAINED_BY_BATCH:  # saes/batchtopk_sae.py, process_state_dict_for_saving_inference
        threshold = tensors["threshold"]
        if threshold <= 0:
            raise InputError(
                f"{contents.path}: topk_threshold is {threshold.item():g}: training has not set it, and without it a "
                f"{settings.architecture} SAE can encode only whole batches; continue the training"
            )
        return JumpReLU(threshold.repeat(contents.d_sae))
    return ReLU() if settings.k is None else TopK(contents.count("k", {"k": settings.k}))


def _written(contents: Contents, settings: Settings) -> dict[str, str | bool]:
    folded = ("rescale_acts_by_decoder_norm", "finetuning_scaling_factor")
    inference = {"architecture": "jumprelu"} if settings.architecture in TRAINED_BY_BATCH else {}
    return {"dtype": "float32"} | {name: False for name in folded if name in contents.settings} | inference


SAELENS = Layout(
    name="SAELens",
    weights=("sae_weights.safetensors",),
    settings_file="cfg.json",
    tensors=_tensors,
    settings=OPTIONS,
    conventions=_conventions,
    rewrites=True,
)
"""Standard, gated, JumpReLU and top-k SAEs, with or without a normalisation of each token; ReLU and JumpReLU
transcoders, with or without a skip."""
