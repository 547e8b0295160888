"""Qwen-Scope's layout: layerN.sae.pt, a dict of four tensors (arXiv 2605.11887). Only the repository's name has k.

According to the model cards of Qwen's repositories SAE-Res-MODEL-W…K-L0_K: W_enc is (d_sae, d_in), W_dec (d_in, d_sae);
pre-activations are x·W_encᵀ + b_enc, without subtracting b_dec; the k largest are kept as they are, the others are 0.
SAELens 6.54 (qwen_scope_sae_huggingface_loader) applies a ReLU as well, which changes x̂ of a token only if fewer than k
of its pre-activations are positive.
"""

from __future__ import annotations

import re
from pathlib import Path

from sandbox.checkpoints.activation_functions import TopK
from sandbox.checkpoints.layout import B_ENC, Contents, Conventions, Layout, Weight, free

REPOSITORY = re.compile(r"SAE-Res-.+-W\d+K-L0_(\d+)")
"""The name of a repository, which ends with k."""


def _conventions(contents: Contents) -> Conventions:
    k = contents.count("k")
    named = _named_k(contents.path)
    contradicts = (f"although the name of its repository ends with {named}",) if named not in (None, k) else ()
    return Conventions(
        TopK(k, relu=False), subtract_b_dec=False, notes=("the k largest kept, without a ReLU", *contradicts)
    )


def _named_k(path: Path) -> int | None:
    """k according to the folders of the path, if one has the repository's name."""
    names = (REPOSITORY.search(part) for part in path.absolute().parts)
    return next((int(name[1]) for name in names if name), None)


QWEN_SCOPE = Layout(
    name="Qwen-Scope",
    weights=("layer*.sae.pt",),
    tensors=B_ENC | {"W_enc": Weight("W_enc", "si"), "W_dec": Weight("W_dec", "is"), "b_dec": Weight("b_dec", "i")},
    settings=free("k"),
    asks_for_k="whose k is in the repository's name (100 in SAE-Res-Qwen3-1.7B-Base-W32K-L0_100)",
    conventions=_conventions,
)
"""Top k without a ReLU; b_dec is not subtracted from the input."""
