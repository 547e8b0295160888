"""OpenAI's layout: the state of a sparse_autoencoder.Autoencoder in one .pt file (openai/sparse_autoencoder, model.py).

latents = activation(encoder(z − pre_bias) + latent_bias), ẑ = decoder(latents) + pre_bias: pre_bias is our b_dec, which
is subtracted from the input, and latent_bias our b_enc. `activation` names the activation function, and
`activation_state_dict` holds its k. Only with TopK, each token is layer-normed first, which is undone on x̂. The state
does not store this: the library's from_state_dict infers it from the activation function (`LayerNorm`).

The library reads a state with a missing or unknown `activation` as a ReLU. Here it is refused, because states of its
first release (v1, v4: ReLU) and of its training script (train.py, FastAutoencoder: TopK, without its k) look alike.
A tied decoder (TiedTranspose, stored as decoder.linear.weight) is the encoder's own weight.
"""

from __future__ import annotations

import torch

from sandbox.checkpoints.activation_functions import ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.files import PICKLED
from sandbox.checkpoints.layout import (
    DECODER,
    INSTEAD,
    Candidate,
    Contents,
    Conventions,
    Layout,
    Option,
    Variant,
    Weight,
    free,
)
from sandbox.checkpoints.normalisation import LayerNorm
from sandbox.errors import InputError

ENCODER = {
    "pre_bias": Weight("b_dec", "i"),
    "latent_bias": Weight("b_enc", "s"),
    "encoder.weight": Weight("W_enc", "si"),
}
TIED = {"decoder.linear.weight": Weight("W_dec", "si")}
"""A state has either this decoder or `DECODER`."""

REPEATED = {"activation.k": "k", "activation.postact_fn": "postact_fn"}
"""Entries of the state in which a TopK repeats those of `activation_state_dict`."""

UNNAMED = (
    "the state does not name its activation function. If it is from OpenAI's first release (v1, v4), "
    "set state['activation'] = 'ReLU'; if its training script wrote it, set state['activation'] = 'TopK' and "
    "state['activation_state_dict'] = {'k': …, 'postact_fn': 'ReLU'}; then torch.save it again"
)


def _open(candidate: Candidate) -> Contents:
    """The state's tensors and settings, which are stored together."""
    state = candidate.tensors
    settings = {name: state[name] for name in ("activation", "activation_state_dict", *REPEATED) if name in state}
    if settings.get("activation") is None:
        raise InputError(f"{candidate.path}: {UNNAMED}")
    stored = {name: value for name, value in state.items() if name not in settings}
    return Contents(candidate.path, stored, candidate.path, settings)


def _tensors(contents: Contents) -> Variant:
    decoder = TIED if set(TIED) <= set(contents.stored) else DECODER
    return Variant("an SAE of OpenAI" + (" with a tied decoder" if decoder is TIED else ""), ENCODER | decoder)


def _conventions(contents: Contents) -> Conventions:
    name, settings = contents.settings["activation"], contents.settings.get("activation_state_dict", {})
    repeated = {key: contents.settings[entry] for entry, key in REPEATED.items() if entry in contents.settings}
    if not isinstance(settings, dict) or set(settings) - ({"k", "postact_fn"} if name == "TopK" else set()):
        raise contents.refused("activation_state_dict", f", which is unknown for a {name}; {INSTEAD}")
    if name == "TopK" and settings.get("postact_fn") != "ReLU":
        actual = repr(settings.get("postact_fn"))
        raise InputError(f"{contents.path}: postact_fn is {actual}; a TopK supports only 'ReLU'; {INSTEAD}")
    if repeated and repeated != dict(settings):
        raise contents.refused("activation_state_dict", f", but the state repeats it as {repeated!r}")
    tied = set(TIED) <= set(contents.stored)
    W_enc, W_dec = contents.tensors["W_enc"], contents.tensors["W_dec"]
    if tied and not torch.equal(W_dec, W_enc.mT):
        raise InputError(f"{contents.path}: decoder.linear.weight differs from encoder.weight, but the decoder is tied")
    return Conventions(
        TopK(contents.count("k", settings)) if name == "TopK" else ReLU(),
        subtract_b_dec=True,
        normalisation=LayerNorm(eps=1e-5) if name == "TopK" else None,
        notes=("decoder tied to the encoder",) if tied else (),
        unwritable=_tied_to_another if tied else Conventions.unwritable,
    )


def _tied_to_another(sae: SAE) -> str:
    tied = torch.equal(sae.W_dec, sae.W_enc.mT)
    return "" if tied else "its decoder is tied to its encoder and cannot be changed separately"


OPENAI = Layout(
    name="OpenAI",
    weights=(),
    suffixes=PICKLED,
    signature=tuple(ENCODER),
    tensors=_tensors,
    settings={
        "activation": Option(("ReLU", "TopK")),
        **free("activation_state_dict activation.k activation.postact_fn"),
    },
    unused=("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square"),
    open=_open,
    conventions=_conventions,
)
"""ReLU, or top k after a layer norm; b_dec is subtracted from the input."""
