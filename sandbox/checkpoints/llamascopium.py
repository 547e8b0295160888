"""The layout of OpenMOSS/Language-Model-SAEs since February 2025: config.json beside sae_weights.safetensors.

The library became llamascopium with version 2.0. Its files differ in their tensors' names:

- until mid-2025 (lm_saes/sae.py; Llama-Scope-R1-Distill): encoder.weight, encoder.bias, decoder.weight, decoder.bias,
  log_jumprelu_threshold;
- since then (llamascopium/models/sae.py and sparse_dictionary.py; Llama-Scope-2): W_E, b_E, W_D, b_D,
  activation_function.log_jumprelu_threshold.

The computation is the same:

- `norm_activation: dataset-wise`: x is multiplied by f = √d/norm before encoding, and x̂ divided by f after decoding,
  where norm is the tensor dataset_average_activation_norm.HOOK. f is folded into the weights: b_enc, b_dec and the
  thresholds are divided by it. `inference`: x and x̂ stay as they are. `token-wise`: every token is scaled to norm √d.
- `sparsity_include_decoder_norm`: pre-activations are multiplied by the norm of their decoder row where the activation
  function decides which are active.
- A threshold is the exponential of the stored one, and belongs to the scaled x, as in training. The library's own
  folding (standardize_parameters_of_dataset_norm) leaves thresholds unchanged, which makes other latents active.
- SAELens' loader of R1-Distill (6.54) ignores the norm of the activations and those of the decoder.

A run of the library may fold f into the weights that it saves although its config.json, written before, still says
dataset-wise (runners/train.py, fold_activation_scale). The file does not show this; the description names f.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

from sandbox.checkpoints.activation_functions import JumpReLU, ReLU, TopK
from sandbox.checkpoints.layout import (
    DECODER,
    ENCODER,
    FLAG,
    SUBFOLDER,
    TRANSCODER,
    Candidate,
    Contents,
    Conventions,
    Layout,
    Option,
    Variant,
    Weight,
    free,
    is_number,
)
from sandbox.checkpoints.normalisation import ConstantNorm
from sandbox.errors import InputError

W_E = {"W_E": Weight("W_enc", "is"), "b_E": Weight("b_enc", "s"), "W_D": Weight("W_dec", "si")}
"""Tensors of the newer files."""

THRESHOLDS = ("activation_function.log_jumprelu_threshold", "log_jumprelu_threshold")
NORM = "dataset_average_activation_norm."


def _recognise(candidate: Candidate) -> bool:
    """Whether the settings are the library's: its older ones have the same tensors, but are in hyperparams.json."""
    return "norm_activation" in candidate.settings and "act_fn" in candidate.settings


def _tensors(contents: Contents) -> Variant:
    settings, stored = contents.settings, contents.stored
    newer = "W_E" in stored
    tensors: dict[str, Weight] = dict(W_E if newer else ENCODER | DECODER)
    if settings["use_decoder_bias"]:
        tensors["b_D" if newer else "decoder.bias"] = Weight("b_dec", "i")
    if settings["act_fn"] == "jumprelu":
        tensors[next((name for name in THRESHOLDS if name in stored), THRESHOLDS[not newer])] = Weight("log", "s")
    norms = {name: Weight("", "") for name in stored if str(name).startswith(NORM)}
    if settings["norm_activation"] == "dataset-wise":
        norms |= {NORM + str(settings["hook_point_in"]): Weight("norm", "")}
    kind = f"an SAE of this library with{'' if settings['use_decoder_bias'] else 'out'} decoder bias"
    return Variant(f"{kind} and act_fn {settings['act_fn']}", tensors | norms)


def _conventions(contents: Contents) -> Conventions:
    settings, factor = contents.settings, _factor(contents)
    if "W_E" in contents.stored and settings.get("apply_decoder_bias_to_pre_encoder"):
        raise contents.refused("apply_decoder_bias_to_pre_encoder", ", which no version with W_E is known to support")
    expansion = settings.get("expansion_factor")
    if not is_number(expansion) or int(expansion * contents.d_in) != contents.d_sae:
        raise contents.refused(
            "expansion_factor", f", but the weights have {contents.d_sae} latents of {contents.d_in}"
        )
    return Conventions(
        _activation(contents, factor),
        subtract_b_dec=bool(settings.get("apply_decoder_bias_to_pre_encoder")),
        normalisation=ConstantNorm() if settings["norm_activation"] == "token-wise" else None,
        notes=(f"x times √d / {math.sqrt(contents.d_in) / factor:.6g} folded in",) if factor != 1 else (),
        units={"b_enc": factor, "b_dec": factor},
        decoder_norms=settings["sparsity_include_decoder_norm"],
        # a changed decoder has other norms, which must not decide which latents are active
        written_settings={"sparsity_include_decoder_norm": False},
    )


def _factor(contents: Contents) -> float:
    """The factor by which training multiplied x."""
    if contents.settings["norm_activation"] != "dataset-wise":
        return 1
    norm = float(contents.tensors["norm"])
    if norm <= 0:
        name = NORM + str(contents.settings["hook_point_in"])
        raise InputError(f"{contents.path}: {name} is {norm:g}; dataset-wise normalisation needs a positive number")
    return math.sqrt(contents.d_in) / norm


def _activation(contents: Contents, factor: float) -> nn.Module:
    function = contents.settings["act_fn"]
    if function == "jumprelu":
        return JumpReLU(contents.tensors["log"].exp() / factor)
    return ReLU() if function == "relu" else TopK(contents.count("top_k"))


_NO_SAE = "which is no SAE of one layer"
SETTINGS: Mapping[str, Option] = {
    "sae_type": Option(("sae",), reason=_NO_SAE),
    "norm_activation": Option(("token-wise", "dataset-wise", "inference"), required=True),
    "act_fn": Option(("relu", "jumprelu", "topk"), required=True),
    "use_glu_encoder": Option((False,)),
    "use_decoder_bias": FLAG,
    "sparsity_include_decoder_norm": FLAG,
    "apply_decoder_bias_to_pre_encoder": Option((None, False, True)),
    "force_unit_decoder_norm": Option((None, False)),
    "hook_point_in": Option(required=True),
    "hook_point_out": Option(same_as="hook_point_in", reason=TRANSCODER),
    "d_model": Option(size="i"),
    # interpreted above
    **free("expansion_factor top_k"),
    # training and speed; jump_relu_threshold has no effect since thresholds are learnt
    **free("""
        jumprelu_threshold_window jump_relu_threshold use_triton_kernel sparsity_threshold_for_triton_spmm_kernel
        sae_pretrained_name_or_path strict_loading device dtype
    """),
}

LLAMASCOPIUM = Layout(
    name="llamascopium",
    weights=(
        *("sae_weights.safetensors", "final.safetensors"),
        *(f"{SUBFOLDER}/pruned.safetensors", f"{SUBFOLDER}/final.safetensors"),
    ),
    settings_file="config.json",
    tensors=_tensors,
    settings=SETTINGS,
    recognise=_recognise,
    conventions=_conventions,
    rewrites=True,
)
"""ReLU, JumpReLU with one threshold per latent, or top k, over activations that may have been normalised."""
