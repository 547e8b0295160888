"""Gemma Scope's layout: five arrays of a JumpReLU SAE, in params.npz, or lower-case in params.safetensors.

The arrays of both releases: W_enc (d_model, d_sae) and W_dec (d_sae, d_model), orientation as here; b_enc; b_dec; one
threshold a latent, in units of the pre-activation, which is kept where it is above its threshold and above 0
(arXiv 2408.05147, section 2.2, and the tutorial that it links to). Training divided the activations by a scalar and
took a bias from them; both are already in the arrays (section 3.1 and appendix A), so x comes as the model gives it,
and b_dec is not taken from it.

The second release (Gemma Scope 2: lower-case names, a config.json beside them) holds transcoders, too, some with an
affine connection that passes the latents by, and cross-layer ones with a third axis in w_dec: these are refused. The
transcoders of the first release hold the same five arrays as its SAEs: only the name of their folder tells.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from sandbox.checkpoints.activation_functions import JumpReLU
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.folder import Place
from sandbox.checkpoints.layout import Checkpoint, Layout, Stored, checked
from sandbox.checkpoints.strict import INSTEAD, exactly, known, same_sizes
from sandbox.errors import InputError

NPZ, SAFETENSORS, CONFIG = "params.npz", "params.safetensors", "config.json"
NAMES = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")

NEUTRAL = {"width", "l0", "model_name", "hf_hook_point_in", "hf_hook_point_out"}
UNDERSTOOD = {"architecture": ("jump_relu",), "affine_connection": (False,), "type": ("sae",)}
"""The settings of config.json in the second release."""


def fits(place: Place) -> bool:
    """Whether one of the two files is there, or the file that was named holds their arrays."""
    if place.has(NPZ) or place.has(SAFETENSORS):
        return True
    if place.file is None or place.file.suffix not in (".npz", ".safetensors"):
        return False
    return {_stored_name(place.file.name, name) for name in NAMES} <= set(place.tensors(place.file.name))


def read(place: Place) -> Checkpoint:
    """The SAE, if the arrays are these five and nothing says that it is a transcoder."""
    if place.file is None and place.has(NPZ, SAFETENSORS):
        raise InputError(f"--sae {place.given} holds {NPZ} and {SAFETENSORS}: name the one file to read")
    file = place.file.name if place.file else NPZ if place.has(NPZ) else SAFETENSORS
    path, arrays = place.folder / file, place.tensors(file)
    if "affine_skip_connection" in arrays:
        raise InputError(
            f"{path}: affine_skip_connection makes it a transcoder, with a linear path beside the latents, "
            f"whose output is no reconstruction of its input; {INSTEAD}"
        )
    exactly(path, arrays, [_stored_name(file, name) for name in NAMES])
    W_dec = arrays[_stored_name(file, "W_dec")]
    if W_dec.ndim != 2:
        raise InputError(f"{path}: W_dec has the shape {tuple(W_dec.shape)}; that of an SAE is (d_sae, d_model)")
    d_sae, d_in = W_dec.shape
    if place.has(CONFIG):
        _check(place, d_sae)
    shapes = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_dec": (d_in,)}
    shapes = {_stored_name(file, name): shape for name, shape in (shapes | {"threshold": (d_sae,)}).items()}
    W_enc, W_dec, b_enc, b_dec, threshold = (checked(path, arrays, shapes)[_stored_name(file, name)] for name in NAMES)
    sae = SAE(W_enc, W_dec, b_dec, b_enc, activation=JumpReLU(threshold), subtract_b_dec=False)
    return Checkpoint(sae, "Gemma Scope", place, lambda changed: _stored(file, changed))


def _check(place: Place, d_sae: int) -> None:
    """Whether the second release's settings are those of an SAE of this width."""
    path, config = place.folder / CONFIG, place.config(CONFIG)
    known(path, config, UNDERSTOOD, NEUTRAL)
    same_sizes(path, config, {"width": d_sae})
    into, out = config.get("hf_hook_point_in"), config.get("hf_hook_point_out")
    if out is not None and out != into:
        raise InputError(
            f"{path}: reads {into} and predicts {out}: a transcoder, whose output is no reconstruction of x"
        )


def _stored(file: str, sae: SAE) -> Stored:
    tensors: dict[str, Tensor] = {"W_dec": sae.W_dec, "b_dec": sae.b_dec}
    return Stored(file, {_stored_name(file, name): tensor for name, tensor in tensors.items()})


def _stored_name(file: str, name: str) -> str:
    return name.lower() if Path(file).suffix == ".safetensors" else name


GEMMA_SCOPE = Layout("Gemma Scope", f"{NPZ} or {SAFETENSORS}", fits, read)
