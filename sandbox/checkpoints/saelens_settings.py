"""How the settings in SAELens' cfg.json affect x̂. A setting that may affect it in an unknown way is refused.

SAELens 6 writes cfg.json from its dataclasses (saes/sae.py, SAEConfig.to_dict). A file without a sae_lens_version of 6
or later was written by SAELens 0 to 5. It is interpreted as in SAELens 6 (loading/pretrained_sae_loaders.py,
handle_pre_6_0_config), but a setting that this function drops is refused if it changed x̂.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from sandbox.checkpoints.layout import INSTEAD, Option, free
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm
from sandbox.checkpoints.reading import check_settings
from sandbox.errors import InputError

TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
"""The architectures whose output reconstructs other activations than they read."""

READ = ("standard", "gated", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk", *TRANSCODERS)
"""The supported architectures of SAELens; the two by batch exist only as training checkpoints."""

TRAINED_BY_BATCH = ("batchtopk", "matryoshka_batchtopk")
"""Architectures that keep the largest latents of a whole batch in training, and become a JumpReLU SAE for inference."""

REFUSED = {
    "temporal": "its x̂ also depends on the text's earlier tokens; pass x and x̂ as files (--x, --x-hat)",
    "matching_pursuit": "it encodes iteratively, without an encoder; measure the SAE as a Python object",
    "abstopk": "its latents have both signs; measure the SAE as a Python object",
}
"""SAELens' other architectures, and why they are not supported."""

OPTIONS = {
    "d_in": Option(size="i"),
    "d_sae": Option(size="s"),
    "d_out": Option(size="o"),
    "use_error_term": Option((False, None)),
    "reshape_activations": Option(("none", "hook_z", None)),
    # interpreted below
    **free("""
        architecture apply_b_dec_to_input normalize_activations activation_fn activation_fn_str k activation_fn_kwargs
        rescale_acts_by_decoder_norm finetuning_scaling_factor sae_lens_version metadata hook_name hook_point
    """),
    # origin
    **free("""
        dtype device model_name model_class_name hook_layer hook_head_index hook_point_layer hook_point_head_index
        hook_eval hook_point_eval context_size prepend_bos seqpos_slice dataset_path dataset_trust_remote_code
        is_dataset_tokenized sae_lens_training_version streaming neuronpedia_id model_from_pretrained_kwargs
        model_kwargs exclude_special_tokens release id
    """),
    # training in SAELens 6 (the training configurations in saes/)
    **free("""
        decoder_init_norm l1_coefficient lp_norm l1_warm_up_steps l0_coefficient l0_warm_up_steps
        jumprelu_init_threshold jumprelu_bandwidth jumprelu_sparsity_loss_mode jumprelu_tanh_scale jumprelu_ste_to_input
        pre_act_loss_coefficient target_l0 use_sparse_activations aux_loss_coefficient topk_threshold_lr
        matryoshka_widths use_matryoshka_aux_loss
    """),
    # training in SAELens 0 to 5 (LanguageModelSAERunnerConfig in config.py, TrainingSAEConfig); noise_scale adds noise
    # to the pre-activations only in training (training_sae.py, encode_with_hidden_pre: times self.training)
    **free("""
        noise_scale use_ghost_grads normalize_sae_decoder decoder_orthogonal_init mse_loss_normalization
        decoder_heuristic_init decoder_heuristic_init_norm init_encoder_as_decoder_transpose
        scale_sparsity_penalty_by_decoder_norm finetuning_method finetuning_tokens b_dec_init_method expansion_factor
        from_pretrained_path act_store_device adam_beta1 adam_beta2 autocast autocast_lm cached_activations_path
        use_cached_activations checkpoint_path n_checkpoints compile_llm compile_sae llm_compilation_mode
        sae_compilation_mode dead_feature_estimation_method dead_feature_threshold dead_feature_window
        feature_reinit_scale feature_sampling_method feature_sampling_window resample_batches eval_batch_size_prompts
        eval_every_n_wandb_logs n_eval_batches n_eval_seqs log_activations_store_to_wandb log_optimizer_state_to_wandb
        log_to_wandb wandb_entity wandb_id wandb_log_frequency wandb_project lr lr_decay_steps lr_end lr_scheduler_name
        lr_warm_up_steps n_restart_cycles n_batches_in_buffer resume run_name seed store_batch_size
        store_batch_size_prompts tokens_per_buffer training_tokens total_training_tokens train_batch_size
        train_batch_size_tokens verbose
    """),
}
"""The permitted values of each setting."""


@dataclass(frozen=True)
class Settings:
    """The settings of cfg.json that affect x̂.

    Attributes:
        architecture:   one of READ
        subtract_b_dec: whether b_dec is subtracted from x before encoding
        normalisation:  of each token, or None
        k:              active latents per token, in a topk SAE
        rescaled:       whether pre-activations are multiplied by the norms of W_dec, and latents divided by them
        finetuned:      whether latents are scaled once more before they are decoded
        notes:          conventions for the checkpoint's description
        transcodes:     whether it is a transcoder
    """

    architecture: str
    subtract_b_dec: bool
    normalisation: nn.Module | None
    k: int | None
    rescaled: bool
    finetuned: bool
    notes: tuple[str, ...]
    transcodes: bool


def understood(path: Path, config: Mapping[str, Any]) -> Settings:
    """The settings, all of them checked.

    Args:   path: of the configuration, for messages
    Raises: InputError for an unknown setting or value that may change x̂
    """
    old = _before_6(path, config)
    architecture, k = architecture_of(path, config)
    by_norm = architecture in ("topk", *TRAINED_BY_BATCH)
    scaled = old and architecture in ("standard", "jumprelu", "topk")
    transcodes = architecture in TRANSCODERS
    on, off = Option((None, False, True)), Option((None, False))
    further = {
        "apply_b_dec_to_input": Option((True, False)[transcodes:], required=not old),
        "rescale_acts_by_decoder_norm": on if by_norm else off,
        "finetuning_scaling_factor": on if scaled else off,
    }
    if transcodes:  # SAELens would normalise x, but not undo it on ŷ (Transcoder.decode)
        further["normalize_activations"] = Option(("none", "expected_average_only_in"))
        further["reshape_activations"] = Option(("none", None))
    check_settings(path, config, OPTIONS | further)
    normalisation, unfolded = _normalisation(path, config, old)
    notes = (*_trained_as(path, config, architecture), *unfolded, *_heads(config, old))
    if "apply_b_dec_to_input" not in config and not transcodes:
        notes = (*notes, "apply_b_dec_to_input is not set: yes, by SAELens' default")
    return Settings(
        architecture,
        subtract_b_dec=config.get("apply_b_dec_to_input", not transcodes),
        normalisation=normalisation,
        k=k,
        rescaled=bool(config.get("rescale_acts_by_decoder_norm")),
        finetuned=bool(config.get("finetuning_scaling_factor")),
        notes=notes,
        transcodes=transcodes,
    )


def _before_6(path: Path, config: Mapping[str, Any]) -> bool:
    """Whether SAELens 0 to 5 wrote it, by the rule of handle_config_defaulting."""
    metadata = config.get("metadata", {})
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: metadata is {metadata!r}; a JSON object is needed")
    version = config.get("sae_lens_version") or metadata.get("sae_lens_version")
    major = re.match(r"\d{1,4}\b", version, re.ASCII) if isinstance(version, str) else None
    if version and not major:
        raise InputError(f"{path}: sae_lens_version is {version!r}; a version such as '6.0.0' is needed")
    return major is None or int(major[0]) < 6


def architecture_of(path: Path, config: Mapping[str, Any]) -> tuple[str, int | None]:
    """One of READ, and k if it is topk. Raises InputError for any other, or another activation function."""
    old = _before_6(path, config)
    architecture = config.get("architecture", "standard" if old else None)
    if isinstance(architecture, str) and architecture in REFUSED:
        raise InputError(f"{path}: architecture is {architecture!r}, which is not supported: {REFUSED[architecture]}")
    if architecture not in READ:
        raise InputError(f"{path}: architecture is {architecture!r}; supported: {', '.join(READ)}")
    # Until 6 the activation function was a separate setting (sae.py, get_activation_fn): 'topk' with 'standard'
    named = [config[name] for name in ("activation_fn", "activation_fn_str") if config.get(name) is not None]
    kwargs = config.get("activation_fn_kwargs") or {}
    if old and architecture == "standard" and named == ["topk"]:
        architecture = "topk"
    if any(name != ("topk" if architecture == "topk" else "relu") for name in named):
        raise InputError(
            f"{path}: activation_fn is {' and '.join(map(repr, named))} in a {architecture} SAE, which changes x̂ and "
            f"is not supported; {INSTEAD}"
        )
    if not isinstance(kwargs, dict) or set(kwargs) - ({"k"} if architecture == "topk" else set()):
        raise InputError(f"{path}: activation_fn_kwargs is {kwargs!r}, which is unknown and may change x̂; {INSTEAD}")
    if architecture in ("standard", "gated", *TRANSCODERS) and config.get("k") is not None:
        raise InputError(f"{path}: k is {config['k']!r}, but a {architecture} SAE has no k; one of the two is wrong")
    if architecture != "topk":
        return architecture, None
    counts = {repr(k): k for k in (config.get("k"), kwargs.get("k")) if k is not None}
    (k,) = counts.values() if len(counts) == 1 else (None,)
    if type(k) is not int or k < 1:
        actual = " and ".join(counts) or "missing"
        raise InputError(f"{path}: k is {actual}; a topk SAE needs one positive whole number")
    return architecture, k


def _normalisation(path: Path, config: Mapping[str, Any], old: bool) -> tuple[nn.Module | None, tuple[str, ...]]:
    """The normalisation at inference (saes/sae.py, _setup_activation_normalization), and a note."""
    name = config.get("normalize_activations", "none")
    if old and (name is None or isinstance(name, bool)):
        name = "expected_average_only_in" if name else "none"
    if name == "covariance_whitening":
        raise InputError(f"{path}: normalize_activations is 'covariance_whitening': {WHITENED}")
    if name == "expected_average_only_in":
        return None, (UNFOLDED,)
    check_settings(path, {"normalize_activations": name}, {"normalize_activations": Option(tuple(NORMALISATIONS))})
    return NORMALISATIONS[name](), ()


NORMALISATIONS = {"none": lambda: None, "constant_norm_rescale": ConstantNorm, "layer_norm": LayerNorm}


WHITENED = (
    "the SAE still expects whitened activations, which SAELens folds in only when training ends; use "
    "fold_activation_whitening and save it again"
)

UNFOLDED = "trained on activations scaled to mean norm √d_in, but x is not scaled here, as in SAELens"
"""expected_average_only_in: the trainer scales x, and folds that scale into the weights when it ends
(training/sae_trainer.py, fit). At inference SAELens ignores the setting.
"""


def _heads(config: Mapping[str, Any], old: bool) -> tuple[str, ...]:
    """A note if SAELens expects x as (…, n_heads, d_head) and concatenates the heads (reshape_fn_in).

    This does not change any number if x is cached as (n, n_heads · d_head).
    """
    reshape = config.get("reshape_activations")
    if reshape is None and old:  # by the name of the hook: sae.py until 5, handle_pre_6_0_config since
        hook = str(config.get("hook_name") or config.get("hook_point") or "")
        reshape = "hook_z" if "hook_z" in hook or hook.endswith("_z") else "none"
    return ("x is the concatenated outputs of all heads",) if reshape == "hook_z" else ()


def _trained_as(path: Path, config: Mapping[str, Any], architecture: str) -> tuple[str, ...]:
    """A note if training and inference differ. Raises InputError if the architectures contradict each other."""
    if architecture in TRAINED_BY_BATCH:
        return (f"a training checkpoint of {architecture} with the threshold that SAELens saves for inference",)
    trained = config.get("metadata", {}).get("training_architecture")
    if trained in READ and ("jumprelu" if trained in TRAINED_BY_BATCH else trained) != architecture:
        raise InputError(
            f"{path}: architecture is {architecture!r}, but training_architecture is {trained!r}; one is wrong"
        )
    return (f"trained as {trained}",) if trained in TRAINED_BY_BATCH else ()
