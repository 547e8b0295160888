"""SAELens' layout: cfg.json beside sae_weights.safetensors (SAELens 6, saes/sae.py, save_model).

W_enc is (d_in, d_sae) and W_dec (d_sae, d_in), as here. A token is normalised first, then b_dec is taken from it if
`apply_b_dec_to_input` says so (process_sae_in); the normalisation is undone after b_dec was added (decode).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.checkpoints.activation_functions import Gate, JumpReLU, ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.folder import Place
from sandbox.checkpoints.layout import Checkpoint, Layout, Stored, checked
from sandbox.checkpoints.saelens_settings import TRAINED_BY_BATCH, UNFOLDED, Settings, understood
from sandbox.errors import InputError

CONFIG, WEIGHTS, SCALER = "cfg.json", "sae_weights.safetensors", "activation_scaler.json"

TENSORS = {
    "standard": ("b_enc",),
    "gated": ("b_gate", "b_mag", "r_mag"),
    "jumprelu": ("b_enc", "threshold"),
    "topk": ("b_enc",),
    **dict.fromkeys(TRAINED_BY_BATCH, ("b_enc", "topk_threshold")),
}
"""The tensors of each architecture beside W_enc, W_dec and b_dec (initialize_weights in its file of saes/)."""

FINETUNED = ("finetuning_scaling_factor", "scaling_factor")
"""Names of the scale of each latent after fine-tuning: in SAELens 3 to 5 (SAE.initialize_weights_basic), and before."""


def fits(place: Place) -> bool:
    """Whether both files are there."""
    return place.has(CONFIG, WEIGHTS)


def read(place: Place) -> Checkpoint:
    """The SAE, if every setting and every tensor is one that is known.

    What is the same for every token is folded into the weights: latents rescaled by decoder norms, a fine-tuned scale.
    """
    config = place.config(CONFIG)
    settings = understood(place.folder / CONFIG, config)
    weights = _weights(place, config, settings)
    notes = settings.notes
    if UNFOLDED in notes and place.has(SCALER):  # the trainer's checkpoints (training/activation_scaler.py)
        notes = (*notes, f"{SCALER} gives that factor as {place.config(SCALER).get('scaling_factor')}")
    if settings.finetuned:  # latents times the scale are decoded (sae.py until 5, apply_finetuning_scaling_factor)
        weights["W_dec"] = weights["W_dec"] * weights["scale"][:, None]
        notes = (*notes, "a fine-tuned scale of the latents folded into W_dec")
    if settings.rescaled:
        _fold_norms(place.folder / WEIGHTS, weights)
        notes = (*notes, "latents in units of their decoder norms")
    activation = _activation(place.folder, settings, weights)
    if isinstance(activation, JumpReLU) and (activation.threshold <= 0).all():
        notes = (*notes, "no threshold is above 0, so a ReLU SAE in effect")
    sae = SAE(
        weights["W_enc"],
        weights["W_dec"],
        weights["b_dec"],
        weights.get("b_enc"),
        activation=activation,
        normalisation=settings.normalisation,
        subtract_b_dec=settings.subtract_b_dec,
    )
    return Checkpoint(sae, "SAELens", place, partial(_stored, config), notes)


def _weights(place: Place, config: dict[str, Any], settings: Settings) -> dict[str, Tensor]:
    """The tensors, in float32, exactly those of the architecture and of the shapes that fit together.

    Those of older versions come under today's names: `threshold` for log_threshold, `scale` for a fine-tuned one.
    """
    weights, path = dict(place.tensors(WEIGHTS)), place.folder / WEIGHTS
    architecture, needed = settings.architecture, {"W_enc", "W_dec", "b_dec", *TENSORS[settings.architecture]}
    if architecture == "jumprelu" and "threshold" not in weights:  # process_state_dict_for_loading, JumpReLUTrainingSAE
        needed = needed - {"threshold"} | {"log_threshold"}
    if settings.finetuned:
        needed.add(next((name for name in FINETUNED if name in weights), FINETUNED[0]))
    elif "scaling_factor" in weights and _is_one(weights["scaling_factor"]):  # read_sae_components_from_disk drops it
        del weights["scaling_factor"]
    if set(weights) != needed:
        raise InputError(
            f"{path}: holds {sorted(weights)}, but a {architecture} SAE has exactly {sorted(needed)}; "
            "it is of another architecture than its configuration says"
        )
    d_sae, d_in = sizes(path, weights["W_dec"], config)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(needed, (d_sae,))
    shapes |= {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    if architecture in TRAINED_BY_BATCH:
        shapes["topk_threshold"] = ()
    found = checked(path, weights, shapes)
    if "log_threshold" in found:
        found["threshold"] = found.pop("log_threshold").exp()
    for name in FINETUNED:
        if name in found:
            found["scale"] = found.pop(name)
    return found


def _is_one(tensor: Tensor) -> bool:
    return torch.allclose(tensor, torch.ones_like(tensor))


def sizes(path: Path, W_dec: Tensor, config: dict[str, Any]) -> tuple[int, int]:
    """d_sae and d_in, from W_dec. Raises InputError where the configuration says otherwise."""
    d_sae, d_in = W_dec.shape if W_dec.ndim == 2 else (0, 0)
    for name, found in (("d_in", d_in), ("d_sae", d_sae)):
        if name in config and config[name] != found:
            raise InputError(f"{path}: {name} is {found} in the weights but {config[name]} in {CONFIG}")
    return d_sae, d_in


def _fold_norms(path: Path, weights: dict[str, Tensor]) -> None:
    """`rescale_acts_by_decoder_norm`: the choice is among pre_acts · ‖W_dec‖, and latents are decoded over ‖W_dec‖
    (saes/topk_sae.py, encode and act_times_W_dec). A decoder of unit norms and an encoder times them does the same
    (_fold_norm_topk there); a threshold stays, being in units of the product.
    """
    norms = weights["W_dec"].norm(dim=-1)
    if (norms == 0).any():
        raise InputError(
            f"{path}: W_dec has {int((norms == 0).sum())} rows of zeros, by whose norm SAELens divides; x̂ is NaN there"
        )
    weights["W_enc"] = weights["W_enc"] * norms
    weights["b_enc"] = weights["b_enc"] * norms
    weights["W_dec"] = weights["W_dec"] / norms[:, None]


def _activation(folder: Path, settings: Settings, weights: dict[str, Tensor]) -> nn.Module:
    """From pre-activations to latents (encode, in each architecture's file of saes/)."""
    architecture, d_sae = settings.architecture, len(weights["W_dec"])
    if architecture == "gated":
        return Gate(weights["b_gate"], weights["b_mag"], weights["r_mag"])
    if architecture == "jumprelu":
        return JumpReLU(weights["threshold"])
    if architecture in TRAINED_BY_BATCH:  # saes/batchtopk_sae.py, process_state_dict_for_saving_inference
        threshold = weights["topk_threshold"]
        if threshold <= 0:
            raise InputError(
                f"{folder / WEIGHTS}: topk_threshold is {threshold.item():g}: training has not set it, and without it "
                f"a {architecture} SAE keeps the greatest latents of a whole batch, which is no function of one token"
            )
        return JumpReLU(threshold.repeat(d_sae))
    if settings.k is not None:
        if settings.k > d_sae:
            raise InputError(f"{folder / CONFIG}: k is {settings.k}, but there are only {d_sae} latents")
        return TopK(settings.k)
    return ReLU()


def _stored(config: dict[str, Any], sae: SAE) -> Stored:
    """All of both files, as for inference: what reading folded stays folded, and the configuration says so."""
    tensors = {"W_enc": sae.W_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
    if sae.b_enc is not None:
        tensors["b_enc"] = sae.b_enc
    tensors |= dict(sae.activation.named_buffers())
    folded = ("rescale_acts_by_decoder_norm", "finetuning_scaling_factor")
    changed = {**config, "dtype": "float32"} | {name: False for name in folded if name in config}
    if config.get("architecture") in TRAINED_BY_BATCH:
        changed["architecture"] = "jumprelu"
    return Stored(WEIGHTS, tensors, CONFIG, changed, whole=True)


SAELENS = Layout("SAELens", f"{CONFIG} and {WEIGHTS}", fits, read)
