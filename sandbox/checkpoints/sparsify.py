"""EleutherAI sparsify's layout: cfg.json beside sae.safetensors (sparsify 1.3.3, sparse_coder.py and fused_encoder.py).

encoder.weight is (d_sae, d_in), the transpose of ours; W_dec is (d_sae, d_in), as here. b_dec is taken from x before
encoding, whatever `normalize_decoder` says (SAELens 6.54's loader makes it depend on that). A latent is the ReLU of its
pre-activation where that is among the token's k greatest (`topk`), or the greatest of one of k equal groups
(`groupmax`). `normalize_decoder` and `expansion_factor` steer the training, not x̂ of a stored SAE.

`multi_topk` is a loss with 4k latents, but forward returns that loss's x̂ instead of the one of k latents. x̂ here is
that of the library's encode and decode, with k: what those who use the SAE get.
"""

from __future__ import annotations

from sandbox.checkpoints.activation_functions import GroupMax, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.folder import Place
from sandbox.checkpoints.layout import Checkpoint, Layout, Stored, checked
from sandbox.checkpoints.strict import INSTEAD, exactly, is_number, kept, known, same_sizes
from sandbox.errors import InputError

CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
TENSORS = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")

NEUTRAL = {"d_in", "k", "num_latents", "expansion_factor", "normalize_decoder", "multi_topk"}
UNDERSTOOD = {"activation": ("topk", "groupmax"), "signed": (False,)}
"""`signed`, in the first releases only, keeps the k greatest in magnitude, with their signs."""

TRANSCODERS = {
    "transcode": "it predicts a module's output from its input",
    "skip_connection": "a linear path passes the latents by",
}


def fits(place: Place) -> bool:
    """Whether both files are there."""
    return place.has(CONFIG, WEIGHTS)


def read(place: Place) -> Checkpoint:
    """The SAE, if every setting and every tensor is one that is known."""
    config, config_path = place.config(CONFIG), place.folder / CONFIG
    for option, reason in TRANSCODERS.items():
        if config.get(option, False) is not False:
            raise InputError(
                f"{config_path}: {option} is {config[option]!r}: {reason}, and what comes out is no reconstruction of "
                f"the input; {INSTEAD}"
            )
    known(config_path, config, UNDERSTOOD, NEUTRAL | set(TRANSCODERS))
    weights, path = place.tensors(WEIGHTS), place.folder / WEIGHTS
    exactly(path, weights, TENSORS)
    d_sae, d_in = weights["W_dec"].shape if weights["W_dec"].ndim == 2 else (0, 0)
    same_sizes(config_path, config, {"d_in": d_in})
    if config.get("num_latents"):
        same_sizes(config_path, config, {"num_latents": d_sae})
    elif (factor := config.get("expansion_factor")) is not None and not (is_number(factor) and factor * d_in == d_sae):
        raise InputError(
            f"{config_path}: expansion_factor is {factor!r} for d_in {d_in}, but {d_sae} latents are in the weights"
        )
    shapes = {"encoder.weight": (d_sae, d_in), "encoder.bias": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    found = checked(path, weights, shapes)
    k = kept(config_path, config.get("k"), d_sae)
    if config.get("activation") == "groupmax":
        if d_sae % k:
            raise InputError(f"{config_path}: {d_sae} latents do not fall into k = {k} groups of one size")
        activation = GroupMax(k)
    else:
        activation = TopK(k)
    sae = SAE(
        found["encoder.weight"].mT,
        found["W_dec"],
        found["b_dec"],
        found["encoder.bias"],
        activation=activation,
        subtract_b_dec=True,
    )
    notes = ("x̂ of encode and decode (forward's has 4k latents, for multi_topk)",) if config.get("multi_topk") else ()
    return Checkpoint(sae, "sparsify", place, _stored, notes)


def _stored(sae: SAE) -> Stored:
    """All tensors, since sparsify computes in the type of the first one that it finds in the file."""
    assert sae.b_enc is not None  # read gives it
    encoder = {"encoder.weight": sae.W_enc.mT, "encoder.bias": sae.b_enc}
    return Stored(WEIGHTS, encoder | {"W_dec": sae.W_dec, "b_dec": sae.b_dec})


SPARSIFY = Layout("sparsify", f"{CONFIG} and {WEIGHTS}", fits, read)
