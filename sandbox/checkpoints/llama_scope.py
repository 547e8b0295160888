"""Llama Scope's layout: hyperparams.json, with safetensors weights beside it or in its folder `checkpoints`.

As OpenMOSS/Language-Model-SAEs reads it, October 2024 to January 2025 (lm_saes/sae.py, from_config; arXiv 2410.20526):

- `norm_activation: dataset-wise`: training saw x·√d/in, where `in` is the mean norm of the activations, and its x̂ is
  too long by √d/out. Both factors are folded into the weights: encoder.bias and decoder.bias are divided by them, W_dec
  is multiplied by their ratio, W_enc is unchanged. `inference`: they are already folded. `token-wise`: every token is
  scaled to norm √d.
- `sparsity_include_decoder_norm`: latents are multiplied by the norm of their decoder row, which becomes 1.
- `jump_relu_threshold`, one for all latents, is in the units after these scalings. (SAELens 6.54 multiplies the
  threshold and x by √d/in, which is equivalent, but ignores the decoder's norms: see `hub_repairs`.) With `topk` and a
  threshold above 0 the library announces a JumpReLU, yet keeps the top k; this is refused.
- decoder.bias is subtracted from x, after its normalisation, if `apply_decoder_bias_to_pre_encoder` is set.

Weights are written with `sparsity_include_decoder_norm` off: a changed decoder has other norms, and they must not
affect which latents are active.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from sandbox.checkpoints.activation_functions import JumpReLU, ReLU, TopK
from sandbox.checkpoints.layout import (
    DECODER,
    ENCODER,
    FLAG,
    SUBFOLDER,
    TRANSCODER,
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


def _tensors(contents: Contents) -> Variant:
    has_bias = contents.settings["use_decoder_bias"]
    kind = f"an SAE of Llama Scope with{'' if has_bias else 'out'} decoder bias"
    bias = {"decoder.bias": Weight("b_dec", "i")} if has_bias else {}
    return Variant(kind, ENCODER | DECODER | bias)


def _conventions(contents: Contents) -> Conventions:
    settings = contents.settings
    into, out = _factors(contents)
    return Conventions(
        _activation(contents),
        subtract_b_dec=settings["apply_decoder_bias_to_pre_encoder"],
        normalisation=ConstantNorm() if settings["norm_activation"] == "token-wise" else None,
        notes=(f"weights times √d / {math.sqrt(contents.d_in) / into:.6g} folded in",) if (into, out) != (1, 1) else (),
        units={"b_enc": into, "b_dec": out, "W_dec": out / into},
        decoder_norms=settings["sparsity_include_decoder_norm"],
        written_settings={"sparsity_include_decoder_norm": False}
        | ({"dtype": "torch.float32"} if "dtype" in settings else {}),
    )


def _factors(contents: Contents) -> tuple[float, float]:
    """The factors by which training multiplied its input and its target."""
    if contents.settings["norm_activation"] != "dataset-wise":
        return 1, 1
    norms = contents.settings.get("dataset_average_activation_norm")
    both = [norms.get("in"), norms.get("out")] if isinstance(norms, dict) else []
    numbers = [math.sqrt(contents.d_in) / norm for norm in both if is_number(norm) and norm > 0]
    if len(numbers) < 2:
        needed = "; dataset-wise normalisation needs positive numbers for in and out"
        raise contents.refused("dataset_average_activation_norm", needed)
    return numbers[0], numbers[1]


def _activation(contents: Contents) -> nn.Module:
    function, threshold = contents.settings["act_fn"], contents.settings.get("jump_relu_threshold")
    if function == "relu":
        return ReLU()
    if not is_number(threshold) or threshold < 0:
        raise contents.refused("jump_relu_threshold", "; a non-negative number is needed")
    if function == "jumprelu":
        return JumpReLU(torch.tensor(float(threshold), dtype=torch.float32))
    if threshold > 0:
        choice = "set act_fn to 'jumprelu' to use the threshold, or the threshold to 0 to use the top k"
        raise contents.refused("act_fn", f", but jump_relu_threshold is {threshold!r}: {choice}")
    return TopK(contents.count("top_k"))


LLAMA_SCOPE = Layout(
    name="Llama Scope",
    weights=(
        *("sae_weights.safetensors", "final.safetensors"),
        *(f"{SUBFOLDER}/pruned.safetensors", f"{SUBFOLDER}/final.safetensors"),
    ),
    suffixes=(".safetensors",),
    settings_file="hyperparams.json",
    tensors=_tensors,
    settings={
        "norm_activation": Option(("none", "token-wise", "dataset-wise", "inference"), required=True),
        "act_fn": Option(("relu", "jumprelu", "topk"), required=True),
        "use_glu_encoder": Option((False,)),
        "use_decoder_bias": FLAG,
        "apply_decoder_bias_to_pre_encoder": FLAG,
        "sparsity_include_decoder_norm": FLAG,
        "hook_point_out": Option(same_as="hook_point_in", reason=TRANSCODER),
        "d_model": Option((None,), size="i"),
        "d_sae": Option((None,), size="s"),
        # interpreted above
        **free("dataset_average_activation_norm jump_relu_threshold top_k"),
        # origin and training
        **free("""
            hook_point_in device seed dtype sae_pretrained_name_or_path strict_loading sae_type tp_size ddp_size
            bias_init_method init_decoder_norm init_encoder_norm expansion_factor init_encoder_with_decoder_transpose lp
            l1_coefficient l1_coefficient_warmup_steps k_warmup_steps use_batch_norm_mse use_ghost_grads
            decoder_exactly_fixed_norm
        """),
    },
    conventions=_conventions,
    rewrites=True,
)
"""ReLU, JumpReLU with one threshold, or top k, over activations that may have been normalised."""
