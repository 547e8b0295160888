"""Checkpoints on disk ► autoencoders. Weights are read without executing code; what fits no known layout is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sandbox.data import resolve
from sandbox.errors import InputError
from sandbox.sae.autoencoder import GatedSAE, StandardSAE

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"

ARCHITECTURES = {
    "standard": (StandardSAE, ("b_enc",)),
    "gated": (GatedSAE, ("b_gate", "b_mag", "r_mag")),
}
"""SAELens' architectures that are read, and the encoder's biases that each has."""

NEUTRAL = {"architecture", "d_in", "d_sae", "dtype", "device", "apply_b_dec_to_input", "metadata"} | {
    *("model_name", "hook_name", "hook_layer", "hook_head_index", "hook_point", "context_size", "prepend_bos"),
    *("dataset_path", "dataset_trust_remote_code", "sae_lens_training_version", "sae_lens_version", "neuronpedia_id"),
    *("model_from_pretrained_kwargs", "seqpos_slice", "release", "id", "l1_coefficient"),
}
"""Settings that are read above or say where an SAE comes from, in SAELens 3 to 6; they do not change x̂."""

UNDERSTOOD = {
    "normalize_activations": ("none",),
    "reshape_activations": ("none",),
    "activation_fn": ("relu",),
    "activation_fn_str": ("relu",),
    "finetuning_scaling_factor": (False, None),
    "noise_scale": (0, 0.0, None),
    "activation_fn_kwargs": ({}, None),
    "rescale_acts_by_decoder_norm": (False, None),
    "use_error_term": (False, None),
}
"""Options that change x̂, and the values of them that are read; anything else is refused, never ignored."""


def load(path: str | Path) -> StandardSAE:
    """An SAE from a folder in SAELens' layout: `cfg.json` beside `sae_weights.safetensors`.

    Conventions (SAELens 6, saes/standard_sae.py and saes/gated_sae.py): W_enc is (d_in, d_sae), W_dec (d_sae, d_in);
    `apply_b_dec_to_input` takes b_dec from x before encoding; the gated SAE has r_mag, b_mag, b_gate and no b_enc.

    Returns: the SAE on the CPU in float32, whatever the weights are stored in.
    Raises:  InputError for anything that is not exactly such a folder.
    """
    folder = resolve(path)
    if not folder.is_dir():
        raise InputError(f"--sae {path}: there is no such folder; an SAE is a folder with {CONFIG} and {WEIGHTS}")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
        raise InputError(
            f"--sae {path}: no {' and no '.join(missing)} there (found: {found}); SAELens' layout, {CONFIG} beside "
            f"{WEIGHTS}, is the one that is read"
        )
    config = _config(folder / CONFIG)
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise InputError(
            f"{folder / CONFIG}: architecture is {architecture!r}; those that are read: {', '.join(ARCHITECTURES)}"
        )
    for option, values in UNDERSTOOD.items():
        if option in config and config[option] not in values:
            raise InputError(
                f"{folder / CONFIG}: {option} is {config[option]!r}, which changes x̂ and is not read here "
                f"(only {values[0]!r} is); measure the SAE as a Python object, or x and x̂ as files, instead"
            )
    if unknown := sorted(set(config) - NEUTRAL - set(UNDERSTOOD)):
        raise InputError(
            f"{folder / CONFIG}: {', '.join(unknown)} may change x̂ and is not known here; nothing is guessed"
        )
    subtract = config.get("apply_b_dec_to_input")
    if not isinstance(subtract, bool):
        raise InputError(f"{folder / CONFIG}: apply_b_dec_to_input is {subtract!r}; true or false is needed")
    make, biases = ARCHITECTURES[architecture]
    return make(**_weights(folder / WEIGHTS, config, architecture, biases), subtract_b_dec=subtract)


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} holds a {type(config).__name__}, not the settings of an SAE")
    return config


def _weights(path: Path, config: dict[str, Any], architecture: str, biases: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors, in float32, exactly those of the architecture and of the shapes that fit together."""
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from error
    needed = {"W_enc", "W_dec", "b_dec", *biases}
    if set(weights) != needed:
        raise InputError(
            f"{path}: holds {sorted(weights)}, but a {architecture} SAE has exactly {sorted(needed)}; "
            "it is of another architecture than its configuration says"
        )
    d_sae, d_in = weights["W_dec"].shape if weights["W_dec"].ndim == 2 else (0, 0)
    shapes = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)} | dict.fromkeys(biases, (d_sae,))
    for name, tensor in weights.items():
        if tuple(tensor.shape) != shapes[name] or not tensor.is_floating_point():
            raise InputError(
                f"{path}: {name} is {tensor.dtype} of shape {tuple(tensor.shape)}, but W_dec of shape "
                f"{tuple(weights['W_dec'].shape)} asks for floats of shape {shapes[name]}"
            )
        weights[name] = tensor.float()
        if not weights[name].isfinite().all():
            raise InputError(f"{path}: {name} holds a NaN or an infinity; the checkpoint is damaged")
    for name, found in (("d_in", d_in), ("d_sae", d_sae)):
        if name in config and config[name] != found:
            raise InputError(f"{path}: {name} is {found} in the weights but {config[name]} in {CONFIG}")
    return weights
