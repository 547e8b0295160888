"""Gemma Scope's layouts: five arrays of a JumpReLU SAE, in params.npz or, lower-case, in params.safetensors.

A latent is its pre-activation if that exceeds its threshold and 0, else 0 (arXiv 2408.05147, section 2.2, and the
tutorial that it links to). Training divided the activations by a scalar and subtracted a bias from them; both are
folded into the arrays (section 3.1 and appendix A), so x is the model's own activation and b_dec is not subtracted.
The SAEs in the folders `embedding` reconstruct the embeddings before Gemma multiplies them by √d (`hub_repairs` has the
sources): for those x is a row of the embedding matrix.

The second release (Gemma Scope 2) also contains transcoders, some with an affine connection around the latents, and
cross-layer transcoders with a third axis in w_dec; these are refused. The transcoders of the first release have the
same five arrays as its SAEs and no settings: only the names of their folders differ, and these are refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sandbox.checkpoints.activation_functions import JumpReLU
from sandbox.checkpoints.layout import (
    B_ENC,
    INSTEAD,
    MATRICES,
    TRANSCODER,
    Candidate,
    Contents,
    Conventions,
    Layout,
    Option,
    Weight,
    free,
)
from sandbox.errors import InputError

ARRAYS = MATRICES | B_ENC | {"threshold": Weight("threshold", "s")}
EMBEDDING = "trained on token embeddings: x is a row of the embedding matrix, without Gemma's factor √d"
LOWER_CASE = {name.lower(): array for name, array in ARRAYS.items()}


def _open(candidate: Candidate) -> Contents:
    if "affine_skip_connection" in candidate.tensors:
        raise InputError(
            f"{candidate.path}: affine_skip_connection is a linear path beside the latents, {TRANSCODER}; {INSTEAD}"
        )
    if not candidate.settings and any("transcoder" in part for part in _release(candidate.path)):
        raise InputError(
            f"{candidate.path}: its folder says that it is a transcoder, whose output does not "
            f"reconstruct its input; {INSTEAD}"
        )
    return Contents.of(candidate)


def _release(path: Path) -> Sequence[str]:
    """The parts of the path that tell a transcoder from an SAE, in lower case: those from the name of the release on.

    If none has the name, these are the folders of RELEASE/layer/width/L0/params.npz.
    """
    parts = [part.lower() for part in path.absolute().parts]
    named = [i for i, part in enumerate(parts) if "gemma-scope" in part]
    return parts[named[-1] :] if named else parts[-5:-1]


def _conventions(contents: Contents) -> Conventions:
    notes = (EMBEDDING,) if "embedding" in _release(contents.path) else ()
    return Conventions(JumpReLU(contents.tensors["threshold"]), subtract_b_dec=False, notes=notes)


GEMMA_SCOPE = Layout(
    name="Gemma Scope",
    weights=("params.npz",),
    suffixes=(".npz",),
    signature=tuple(ARRAYS),
    tensors=ARRAYS,
    settings_file="config.json",
    settings_optional=True,
    settings={
        "architecture": Option(("jump_relu",)),
        "affine_connection": Option((False,)),
        "type": Option(("sae",)),
        "width": Option((None,), size="s"),
        "hf_hook_point_out": Option(same_as="hf_hook_point_in", reason=TRANSCODER),
        **free("l0 model_name hf_hook_point_in"),
    },
    conventions=_conventions,
    open=_open,
)
"""JumpReLU with one threshold per latent; b_dec is not subtracted from the input."""

GEMMA_SCOPE_2 = replace(
    GEMMA_SCOPE,
    weights=("params.safetensors",),
    suffixes=(".safetensors",),
    signature=tuple(LOWER_CASE),
    tensors=LOWER_CASE,
)
"""The same arrays in the files of the second release."""
