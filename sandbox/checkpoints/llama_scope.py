"""Llama Scope's layout: hyperparams.json, with the weights as safetensors beside it or in its folder `checkpoints`.

As OpenMOSS/Language-Model-SAEs reads it, October 2024 to January 2025 (lm_saes/sae.py, from_config; arXiv 2410.20526):

- encoder.weight is (d_sae, d_model), decoder.weight (d_model, d_sae): both are the transposes of ours.
- `norm_activation: dataset-wise`: training saw x·√d/in, where `in` is the mean norm of the activations, and its x̂ is
  √d/out too long. Both factors are folded into the weights when they are read: encoder.bias and decoder.bias are
  divided by them, W_dec is multiplied by their quotient, W_enc stays. `inference`: they have been folded.
  `token-wise`: every token is scaled to norm √d.
- `sparsity_include_decoder_norm`: latents are activations times the norm of their decoder row, and that becomes 1.
- `jump_relu_threshold`, one for all latents, is in the units after all of that. (SAELens 6.54 multiplies the threshold
  and x by √d/in, which is the same, but ignores the decoder's norms.) With `topk` and a threshold above 0 the library
  announces a JumpReLU, yet goes on with the top k: refused.
- decoder.bias is taken from x, after its normalisation, where `apply_decoder_bias_to_pre_encoder` says so.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sandbox.checkpoints.activation_functions import JumpReLU, ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.folder import Place
from sandbox.checkpoints.layout import Checkpoint, Layout, Stored, checked
from sandbox.checkpoints.normalisation import ConstantNorm
from sandbox.checkpoints.strict import INSTEAD, exactly, flag, is_number, kept, known, same_sizes
from sandbox.errors import InputError

CONFIG, SUBFOLDER = "hyperparams.json", "checkpoints"
WEIGHTS = (
    "sae_weights.safetensors",
    "final.safetensors",
    f"{SUBFOLDER}/pruned.safetensors",
    f"{SUBFOLDER}/final.safetensors",
)
"""Where the library looks for weights, and where they lie if only the file was moved."""

NEUTRAL = {
    *("device", "seed", "dtype", "sae_pretrained_name_or_path", "strict_loading", "sae_type", "tp_size", "ddp_size"),
    *("bias_init_method", "init_decoder_norm", "init_encoder_norm", "init_encoder_with_decoder_transpose"),
    *("lp", "l1_coefficient", "l1_coefficient_warmup_steps", "k_warmup_steps", "use_batch_norm_mse", "use_ghost_grads"),
    *("decoder_exactly_fixed_norm", "hook_point_in", "hook_point_out", "d_model", "d_sae", "expansion_factor"),
    *("act_fn", "top_k", "jump_relu_threshold", "dataset_average_activation_norm", "sparsity_include_decoder_norm"),
    *("use_decoder_bias", "apply_decoder_bias_to_pre_encoder"),
}
"""Settings that are read below, or that only steer the training."""

UNDERSTOOD = {
    "norm_activation": ("none", "token-wise", "dataset-wise", "inference"),
    "use_glu_encoder": (False,),
}


class Factors(NamedTuple):
    """What training multiplied x by on the way in, and its target on the way out."""

    into: float
    out: float


def fits(place: Place) -> bool:
    """Whether the settings are there, and weights beside them or in their folder."""
    run, files = _run(place)
    return run.has(CONFIG) and bool(files)


def read(place: Place) -> Checkpoint:
    """The SAE in units of x, if every setting and every tensor is one that is known."""
    place, files = _run(place)
    if len(files) > 1:
        raise InputError(f"--sae {place.given}: holds {' and '.join(files)}: name the one file to read")
    config, path = place.config(CONFIG), place.folder / CONFIG
    known(path, config, UNDERSTOOD, NEUTRAL)
    into, out = config.get("hook_point_in"), config.get("hook_point_out")
    if out is not None and out != into:
        raise InputError(
            f"{path}: reads {into} and predicts {out}: a transcoder, whose output is no reconstruction; {INSTEAD}"
        )
    has_bias = flag(path, config, "use_decoder_bias")
    weights = _weights(place, files[0], config, has_bias)
    d_sae, d_in = weights["encoder.weight"].shape
    factors = _factors(path, config, d_in)

    W_enc, b_enc = weights["encoder.weight"].mT, weights["encoder.bias"] / factors.into
    W_dec = weights["decoder.weight"].mT * (factors.into / factors.out)
    b_dec = weights["decoder.bias"] / factors.out if has_bias else torch.zeros(d_in, dtype=torch.float32)
    if flag(path, config, "sparsity_include_decoder_norm"):
        norms = W_dec.norm(dim=1)
        if not (norms > 0).all():
            raise InputError(f"{place.folder / files[0]}: decoder.weight has columns of length 0, but is divided by it")
        W_enc, b_enc, W_dec = W_enc * norms, b_enc * norms, W_dec / norms[:, None]
    sae = SAE(
        W_enc,
        W_dec,
        b_dec,
        b_enc,
        activation=_activation(path, config, d_sae),
        normalisation=ConstantNorm() if config["norm_activation"] == "token-wise" else None,
        subtract_b_dec=flag(path, config, "apply_decoder_bias_to_pre_encoder") and has_bias,
    )
    notes = () if factors == (1, 1) else (f"weights times √d / {math.sqrt(d_in) / factors.into:.6g} folded in",)
    return Checkpoint(sae, "Llama Scope", place, partial(_stored, files[0], config, factors), notes)


def _run(place: Place) -> tuple[Place, list[str]]:
    """The folder with the settings, and the weights that were named, or that lie there, as seen from it."""
    if place.file is None:
        return place, [name for name in WEIGHTS if (place.folder / name).is_file()]
    if place.file.suffix != ".safetensors":
        return place, []
    if place.folder.name == SUBFOLDER and not place.has(CONFIG):
        return Place(place.given, place.folder.parent), [f"{SUBFOLDER}/{place.file.name}"]
    return place, [place.file.name]


def _weights(place: Place, file: str, config: dict[str, Any], has_bias: bool) -> dict[str, Tensor]:
    weights, path = place.tensors(file), place.folder / file
    exactly(path, weights, ["encoder.weight", "encoder.bias", "decoder.weight", *["decoder.bias"][: int(has_bias)]])
    d_sae, d_in = weights["encoder.weight"].shape if weights["encoder.weight"].ndim == 2 else (0, 0)
    same_sizes(place.folder / CONFIG, config, {"d_model": d_in, "d_sae": d_sae})
    shapes = {"encoder.weight": (d_sae, d_in), "encoder.bias": (d_sae,), "decoder.weight": (d_in, d_sae)}
    return checked(path, weights, shapes | ({"decoder.bias": (d_in,)} if has_bias else {}))


def _factors(path: Path, config: dict[str, Any], d_in: int) -> Factors:
    if "norm_activation" not in config:
        raise InputError(
            f"{path}: norm_activation is not set; one of {', '.join(UNDERSTOOD['norm_activation'])} is needed"
        )
    if config["norm_activation"] != "dataset-wise":
        return Factors(1, 1)
    norms = config.get("dataset_average_activation_norm")
    found = [norms.get("in"), norms.get("out")] if isinstance(norms, dict) else []
    numbers = [norm for norm in found if is_number(norm) and norm > 0]
    if len(numbers) < 2:
        raise InputError(
            f"{path}: dataset_average_activation_norm is {norms!r}; dataset-wise normalisation needs "
            "positive numbers for in and out"
        )
    return Factors(*(math.sqrt(d_in) / norm for norm in numbers))


def _activation(path: Path, config: dict[str, Any], d_sae: int) -> nn.Module:
    function, threshold = config.get("act_fn"), config.get("jump_relu_threshold")
    if function == "relu":
        return ReLU()
    if function not in ("jumprelu", "topk"):
        raise InputError(f"{path}: act_fn is {function!r}; those that are read: relu, jumprelu, topk")
    if not is_number(threshold) or threshold < 0:
        raise InputError(f"{path}: jump_relu_threshold is {threshold!r}; a number that is not below 0 is needed")
    if function == "jumprelu":
        return JumpReLU(torch.tensor(float(threshold), dtype=torch.float32))
    if threshold > 0:
        raise InputError(
            f"{path}: act_fn is 'topk', but jump_relu_threshold is {threshold!r}: set act_fn to 'jumprelu' if the "
            "threshold holds, or the threshold to 0 if the top k does"
        )
    return TopK(kept(path, config.get("top_k"), d_sae, "top_k"))


def _stored(file: str, config: dict[str, Any], factors: Factors, sae: SAE) -> Stored:
    """The weights with the normalisation taken out again, to be read without regard to the decoder's norms.

    A changed decoder has other norms, and what is on must not depend on them.
    """
    assert sae.b_enc is not None  # read gives it
    tensors = {
        "encoder.weight": sae.W_enc.mT,
        "encoder.bias": sae.b_enc * factors.into,
        "decoder.weight": sae.W_dec.mT * (factors.out / factors.into),
    }
    if config["use_decoder_bias"]:
        tensors["decoder.bias"] = sae.b_dec * factors.out
    elif sae.b_dec.any():
        raise InputError(
            f"{file}: use_decoder_bias is false, so that it cannot hold a decoder bias; correct it without a shift"
        )
    changed = {"sparsity_include_decoder_norm": False} | ({"dtype": "torch.float32"} if "dtype" in config else {})
    return Stored(file, tensors, CONFIG, changed)


LLAMA_SCOPE = Layout("Llama Scope", f"{CONFIG} and {WEIGHTS[1]} or {WEIGHTS[3]}", fits, read)
