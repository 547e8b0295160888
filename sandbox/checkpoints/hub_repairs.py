"""Repairs of two of SAELens' conversions (6.54) that differ from the SAEs that their publishers describe.

`llama_scope` ignores `sparsity_include_decoder_norm`, which is true in the published settings. OpenMOSS' loader gives
every decoder row norm 1 and moves the norms into the encoder before it compares with the threshold
(OpenMOSS/Language-Model-SAEs at 1e71036, src/lm_saes/sae.py: from_config, transform_to_unit_decoder_norm), and the
published threshold was found after that (post_processing.py, and post_process_topk_to_jumprelu_runner in runner.py).
A latent is therefore active if its pre-activation times the norm of its row exceeds the threshold: the threshold is
divided by that norm. `sandbox.checkpoints.llama_scope` reads the same SAE from its own files.

`gemma_2` converts the SAEs of token embeddings, which were added after the paper (arXiv 2408.05147). The publisher
calls them "trained on token embeddings" (README of google/gemma-scope-2b-pt-res). Gemma multiplies its embeddings by
√d before block 0; the SAEs saw them before that, which is why SAELens divides W_enc by √d and multiplies W_dec by it
(SAELens' pull request 299), so that x is TransformerLens' hook_embed, √d times the embedding. x̂ is then √d times the
SAE's own reconstruction, W_dec·f + b_dec, but SAELens leaves b_dec as it is: it needs the same factor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from sandbox.checkpoints.layout import Option
from sandbox.checkpoints.reading import check_settings

IGNORED = "which SAELens' llama_scope ignores"
ASSUMED = {
    "act_fn": Option(("jumprelu",), required=True, reason=IGNORED),
    "norm_activation": Option(("dataset-wise",), required=True, reason=IGNORED),
    "use_decoder_bias": Option((True,), required=True, reason=IGNORED),
    "apply_decoder_bias_to_pre_encoder": Option((False,), required=True, reason=IGNORED),
    "use_glu_encoder": Option((False,), reason=IGNORED),
    "hook_point_out": Option(same_as="hook_point_in", reason=IGNORED),
    "sparsity_include_decoder_norm": Option((True, False), required=True),
}
"""What SAELens' llama_scope takes for granted in hyperparams.json, and the one setting that is repaired."""

EMBEDDING = "trained on token embeddings: x is the embedding times √d, as it enters block 0 (hook_embed)"


def repair(converter: str, folder: str, weights: dict[str, Tensor], download: Callable[[str], str]) -> tuple[str, ...]:
    """Put right, in place, what a converter of SAELens made of an SAE.

    Args:
        converter: its name in SAELens
        folder:    of the SAE in its repository
        weights:   the converter's state_dict: W_enc (d_in, d_sae), W_dec (d_sae, d_in), b_dec, threshold (d_sae)
        download:  from a file's path in the repository to its path on disk
    Returns: notes for the checkpoint's description
    Raises:  InputError for settings of Llama Scope that SAELens ignores
    """
    if converter == "llama_scope":
        path = Path(download(f"{folder}/hyperparams.json"))
        settings = json.loads(path.read_text(encoding="utf-8"))
        check_settings(path, settings, ASSUMED, unlisted=True)
        if settings["sparsity_include_decoder_norm"]:
            weights["threshold"] = weights["threshold"] / weights["W_dec"].norm(dim=-1)
            return ("thresholds divided by the norms of W_dec, which SAELens ignores",)
    if converter == "gemma_2" and "embedding" in folder:
        weights["b_dec"] = weights["b_dec"] * weights["b_dec"].numel() ** 0.5
        return (EMBEDDING, "b_dec multiplied by √d, which SAELens omits")
    return ()
