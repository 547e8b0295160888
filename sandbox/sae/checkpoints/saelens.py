"""SAELens' layout: cfg.json beside sae_weights.safetensors (SAELens 6, saes/sae.py, save_model).

W_enc is (d_in, d_sae) and W_dec (d_sae, d_in), as here. `apply_b_dec_to_input` takes b_dec from x before encoding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from sandbox.errors import InputError
from sandbox.sae.activation_functions import Gate
from sandbox.sae.autoencoder import SAE
from sandbox.sae.checkpoints.layout import Checkpoint, Layout, Stored, checked
from sandbox.sae.checkpoints.place import Place

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"

BIASES = {
    "standard": ("b_enc",),
    "gated": ("b_gate", "b_mag", "r_mag"),
}
"""SAELens' architectures that are read, and the tensors of each beside W_enc, W_dec and b_dec."""

NEUTRAL = {"architecture", "d_in", "d_sae", "dtype", "device", "apply_b_dec_to_input", "metadata"} | {
    *("model_name", "hook_name", "hook_layer", "hook_head_index", "hook_point", "context_size", "prepend_bos"),
    *("dataset_path", "dataset_trust_remote_code", "sae_lens_training_version", "sae_lens_version", "neuronpedia_id"),
    *("model_from_pretrained_kwargs", "seqpos_slice", "release", "id", "l1_coefficient"),
}
"""Settings that are read below or say where an SAE comes from, in SAELens 3 to 6; they do not change x̂."""

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


def fits(place: Place) -> bool:
    """Whether both files are there."""
    return place.has(CONFIG, WEIGHTS)


def read(place: Place) -> Checkpoint:
    """The SAE, if every setting and every tensor is one that is known."""
    config, path = place.config(CONFIG), place.folder / CONFIG
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or architecture not in BIASES:
        raise InputError(f"{path}: architecture is {architecture!r}; those that are read: {', '.join(BIASES)}")
    for option, values in UNDERSTOOD.items():
        if option in config and config[option] not in values:
            raise InputError(
                f"{path}: {option} is {config[option]!r}, which changes x̂ and is not read here "
                f"(only {values[0]!r} is); measure the SAE as a Python object, or x and x̂ as files, instead"
            )
    if unknown := sorted(set(config) - NEUTRAL - set(UNDERSTOOD)):
        raise InputError(f"{path}: {', '.join(unknown)} may change x̂ and is not known here; nothing is guessed")
    subtract = config.get("apply_b_dec_to_input")
    if not isinstance(subtract, bool):
        raise InputError(f"{path}: apply_b_dec_to_input is {subtract!r}; true or false is needed")
    weights = _weights(place, config, architecture)
    if architecture == "gated":
        weights["activation"] = Gate(*(weights.pop(name) for name in BIASES["gated"]))
    return Checkpoint(SAE(**weights, subtract_b_dec=subtract), "SAELens", place, _stored)


def _weights(place: Place, config: dict[str, Any], architecture: str) -> dict[str, Any]:
    """The tensors, in float32, exactly those of the architecture and of the shapes that fit together."""
    weights, path = place.tensors(WEIGHTS), place.folder / WEIGHTS
    biases = BIASES[architecture]
    needed = {"W_enc", "W_dec", "b_dec", *biases}
    if set(weights) != needed:
        raise InputError(
            f"{path}: holds {sorted(weights)}, but a {architecture} SAE has exactly {sorted(needed)}; "
            "it is of another architecture than its configuration says"
        )
    d_sae, d_in = sizes(path, weights["W_dec"], config)
    shapes = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)} | dict.fromkeys(biases, (d_sae,))
    return dict(checked(path, weights, shapes))


def sizes(path: Path, W_dec: Tensor, config: dict[str, Any]) -> tuple[int, int]:
    """d_sae and d_in, from W_dec. Raises InputError where the configuration says otherwise."""
    d_sae, d_in = W_dec.shape if W_dec.ndim == 2 else (0, 0)
    for name, found in (("d_in", d_in), ("d_sae", d_sae)):
        if name in config and config[name] != found:
            raise InputError(f"{path}: {name} is {found} in the weights but {config[name]} in {CONFIG}")
    return d_sae, d_in


def _stored(sae: SAE) -> Stored:
    tensors = {"W_dec": sae.W_dec, "b_dec": sae.b_dec}
    if sae.b_enc is not None:
        tensors["b_enc"] = sae.b_enc
    if isinstance(sae.activation, Gate):
        tensors |= {"b_gate": sae.activation.b_gate, "b_mag": sae.activation.b_mag}
    return Stored(WEIGHTS, tensors, CONFIG, {"dtype": "float32"})


SAELENS = Layout("SAELens", f"{CONFIG} and {WEIGHTS}", fits, read)
