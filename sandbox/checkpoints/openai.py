"""OpenAI's layout: the state of a sparse_autoencoder.Autoencoder in one .pt file (openai/sparse_autoencoder, model.py).

latents = activation(encoder(z − pre_bias) + latent_bias), ẑ = decoder(latents) + pre_bias: pre_bias is our b_dec, which
is taken from the input, latent_bias our b_enc. encoder.weight is (n_latents, n_inputs), decoder.weight (n_inputs,
n_latents): both are the transposes of ours. `activation` names the activation, `activation_state_dict` holds its k.

With TopK, and only then, each token is layer-normed first, and that is undone on x̂. The state does not say so: the
library's from_state_dict takes it from the activation (see LayerNorm: std with n − 1, eps 1e-5 beside it).

The library reads a state without `activation`, or with one that it does not know, as a ReLU's. Not so here: states of
its first release (v1, v4: ReLU) and of its training script (train.py, FastAutoencoder: TopK, k unsaid) look alike.
A tied decoder (TiedTranspose, stored as decoder.linear.weight) is the encoder's own weight.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sandbox.checkpoints.activation_functions import ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.folder import PICKLED, Place
from sandbox.checkpoints.layout import Checkpoint, Layout, Stored, checked
from sandbox.checkpoints.normalisation import LayerNorm
from sandbox.checkpoints.strict import INSTEAD, exactly, kept
from sandbox.errors import InputError

ENCODER = ("pre_bias", "latent_bias", "encoder.weight")
DECODER, TIED = "decoder.weight", "decoder.linear.weight"
NEUTRAL = ("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")
"""Statistics of the training."""

REPEATED = ("activation.k", "activation.postact_fn")
"""What a TopK writes a second time, because torch lets it add to the state of the whole."""


def fits(place: Place) -> bool:
    """Whether the one .pt file that was named, or is the only one of weights, is such a state."""
    file = _file(place)
    return file is not None and set(ENCODER) <= set(place.tensors(file))


def read(place: Place) -> Checkpoint:
    """The SAE, if the state says which activation function it has, and holds nothing that is not known."""
    file = _file(place)
    assert file is not None  # fits has seen it
    path, state = place.folder / file, place.tensors(file)
    tied = TIED in state
    exactly(
        path, state, (*ENCODER, TIED if tied else DECODER), (*NEUTRAL, *REPEATED, "activation", "activation_state_dict")
    )
    encoder = state["encoder.weight"]
    d_sae, d_in = encoder.shape if getattr(encoder, "ndim", 0) == 2 else (0, 0)
    shapes = {"encoder.weight": (d_sae, d_in), "pre_bias": (d_in,), "latent_bias": (d_sae,)}
    found = checked(path, state, shapes | ({TIED: (d_sae, d_in)} if tied else {DECODER: (d_in, d_sae)}))
    activation = _activation(path, state, d_sae)
    if tied and not torch.equal(found[TIED], found["encoder.weight"]):
        raise InputError(
            f"{path}: {TIED} is not encoder.weight, though it stands for a decoder that is tied to the encoder"
        )
    sae = SAE(
        found["encoder.weight"].mT,
        found[TIED] if tied else found[DECODER].mT,
        found["pre_bias"],
        found["latent_bias"],
        activation=activation,
        normalisation=LayerNorm(eps=1e-5) if isinstance(activation, TopK) else None,
        subtract_b_dec=True,
    )
    notes = ("decoder tied to the encoder",) if tied else ()
    return Checkpoint(sae, "OpenAI", place, partial(_stored, file, tied), notes)


def _file(place: Place) -> str | None:
    """The .pt file that was named, or the only file of weights in the folder."""
    if place.file is not None:
        return place.file.name if place.file.suffix in PICKLED else None
    weights = [name for name in place.names if Path(name).suffix in (*PICKLED, ".safetensors", ".npz")]
    return weights[0] if len(weights) == 1 and Path(weights[0]).suffix in PICKLED else None


def _activation(path: Path, state: dict[str, Any], d_sae: int) -> nn.Module:
    name, settings = state.get("activation"), state.get("activation_state_dict", {})
    if name is None:
        raise InputError(
            f"{path}: the state does not say which activation it has. If it is of OpenAI's first release (v1, v4), "
            "set state['activation'] = 'ReLU'; if its training script wrote it, state['activation'] = 'TopK' and "
            "state['activation_state_dict'] = {'k': …, 'postact_fn': 'ReLU'}; then torch.save it anew"
        )
    repeated = {key.removeprefix("activation."): state[key] for key in REPEATED if key in state}
    if name not in ("ReLU", "TopK") or not isinstance(settings, dict):
        raise InputError(
            f"{path}: activation is {name!r} with {settings!r}; those that are read: ReLU, TopK; {INSTEAD}"
        )
    if set(settings) - {"k", "postact_fn"} or (name == "ReLU" and (settings or repeated)):
        raise InputError(f"{path}: activation_state_dict is {dict(settings)!r}, which is not known of a {name}")
    if name == "ReLU":
        return ReLU()
    if settings.get("postact_fn") != "ReLU":
        raise InputError(
            f"{path}: postact_fn is {settings.get('postact_fn')!r}; only 'ReLU' is read after a TopK; {INSTEAD}"
        )
    if repeated and repeated != dict(settings):
        raise InputError(
            f"{path}: activation_state_dict is {dict(settings)!r}, but the state repeats it as {repeated!r}"
        )
    return TopK(kept(path, settings.get("k"), d_sae))


def _stored(file: str, tied: bool, sae: SAE) -> Stored:
    assert sae.b_enc is not None  # read gives it
    tensors = {"pre_bias": sae.b_dec, "latent_bias": sae.b_enc}
    if not tied:
        return Stored(file, tensors | {DECODER: sae.W_dec.mT})
    if not torch.equal(sae.W_dec, sae.W_enc.mT):
        raise InputError(f"{file}: its decoder is tied to its encoder, so that it cannot hold a changed one")
    return Stored(file, tensors)


OPENAI = Layout("OpenAI", "one .pt file with pre_bias, latent_bias and encoder.weight", fits, read)
