"""Gemma Scope's layouts: five arrays of a JumpReLU SAE, in params.npz or, lower-case, in params.safetensors.

A latent is its pre-activation if that exceeds its threshold and 0, else 0 (arXiv 2408.05147, section 2.2, and the
tutorial that it links to). Training divided the activations by a scalar and subtracted a bias from them; both are
folded into the arrays (section 3.1 and appendix A), so x is the model's own activation and b_dec is not subtracted.
The SAEs in the folders `embedding` reconstruct the embeddings before Gemma multiplies them by √d (`hub_repairs` has the
sources): for those x is a row of the embedding matrix.

Both releases also contain transcoders of MLPs. Those of the first have the same five arrays as its SAEs and no
settings: only the names of their folders tell them apart. In the second (Gemma Scope 2) settings name what is read and
what is reconstructed, and affine_skip_connection, (d_in, d_out), adds x·W to the decoder's output (SAELens,
loading/pretrained_sae_loaders.py, gemma_3_sae_huggingface_loader). Its cross-layer transcoders, with a third axis in
w_dec, are refused: each reads one layer and adds to the reconstructions of many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox.checkpoints.activation_functions import JumpReLU
from sandbox.checkpoints.layout import (
    B_ENC,
    MATRICES,
    Contents,
    Conventions,
    Layout,
    Option,
    Variant,
    Weight,
    free,
)
from sandbox.errors import InputError

ARRAYS = MATRICES | B_ENC | {"threshold": Weight("threshold", "s")}
EMBEDDING = "trained on token embeddings: x is a row of the embedding matrix, without Gemma's factor √d"


TRANSCODER = {
    "W_enc": Weight("W_enc", "is"),
    "b_enc": Weight("b_enc", "s"),
    "threshold": Weight("threshold", "s"),
    "W_dec": Weight("W_dec", "so"),
    "b_dec": Weight("b_dec", "o"),
}
AFFINE = "affine_skip_connection"
CROSS_LAYER = (
    "a cross-layer transcoder reads one layer and adds to the reconstructions of many, each of which is a sum over "
    "layers: nothing that it reconstructs alone can be compared with a target"
)


def _tensors(spelt: Callable[[str], str]) -> Callable[[Contents], Variant]:
    """The tensors of an SAE or a transcoder, with the arrays' names spelt as a release spells them."""

    def variant(contents: Contents) -> Variant:
        stored, decoder = contents.stored, spelt("W_dec")
        if getattr(stored.get(decoder), "ndim", 2) == 3:
            raise InputError(f"{contents.path}: {decoder} has shape {tuple(stored[decoder].shape)}: {CROSS_LAYER}")
        transcodes, skips = _transcodes(contents), AFFINE in stored
        if skips and not transcodes:
            raise InputError(f"{contents.path}: {AFFINE} belongs to a transcoder, but its settings make it an SAE")
        if contents.settings.get("affine_connection", skips) != skips:
            raise contents.refused("affine_connection", f", but the weights have {'an' if skips else 'no'} {AFFINE}")
        arrays = {spelt(name): weight for name, weight in (TRANSCODER if transcodes else ARRAYS).items()}
        skip = {AFFINE: Weight("W_skip", "io")} if skips else {}
        return Variant(f"{'a transcoder' if transcodes else 'an SAE'} of Gemma Scope", arrays | skip)

    return variant


def _transcodes(contents: Contents) -> bool | None:
    """Whether it is a transcoder: by its settings or, if it has none, by its tensors and the name of its release."""
    settings = contents.settings
    if settings:
        kind, read = settings.get("type"), settings.get("hf_hook_point_in")
        reconstructed = settings.get("hf_hook_point_out") or read
        if kind not in (None, "transcoder" if read != reconstructed else "sae"):
            raise contents.refused("type", f", but it reads {read} and reconstructs {reconstructed}; one is wrong")
        return read != reconstructed
    release = _release(contents.path)
    if AFFINE in contents.stored or any("transcoder" in part for part in release):
        return True
    return False if any("gemma-scope" in part for part in release) else None


def _release(path: Path) -> Sequence[str]:
    """The parts of the path that tell a transcoder from an SAE, in lower case: those from the name of the release on.

    If none has the name, these are the folders of RELEASE/layer/width/L0/params.npz.
    """
    parts = [part.lower() for part in path.absolute().parts]
    named = [i for i, part in enumerate(parts) if "gemma-scope" in part]
    return parts[named[-1] :] if named else parts[-5:-1]


def _conventions(contents: Contents) -> Conventions:
    notes = (EMBEDDING,) if "embedding" in _release(contents.path) else ()
    activation = JumpReLU(contents.tensors["threshold"])
    return Conventions(activation, subtract_b_dec=False, notes=notes, transcodes=_transcodes(contents))


GEMMA_SCOPE = Layout(
    name="Gemma Scope",
    weights=("params.npz",),
    suffixes=(".npz",),
    signature=tuple(ARRAYS),
    tensors=_tensors(str),
    settings_file="config.json",
    settings_optional=True,
    settings={
        "architecture": Option(("jump_relu",)),
        "affine_connection": Option((False, True)),
        "type": Option(("sae", "transcoder"), reason="which reads or reconstructs several layers at once"),
        "width": Option((None,), size="s"),
        **free("l0 model_name hf_hook_point_in hf_hook_point_out"),
    },
    conventions=_conventions,
)
"""JumpReLU with one threshold per latent, SAEs and transcoders; b_dec is not subtracted from the input."""

GEMMA_SCOPE_2 = replace(
    GEMMA_SCOPE,
    weights=("params.safetensors",),
    suffixes=(".safetensors",),
    signature=tuple(name.lower() for name in ARRAYS),
    tensors=_tensors(str.lower),
)
"""The same arrays in the files of the second release."""
