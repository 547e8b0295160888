"""Three releases of ReLU SAEs whose files hold little but weights: each is recognised by the names of its files.

Their tensors alone would not do, because SAEs with other activation functions have the same.
"""

from __future__ import annotations

from sandbox.checkpoints.activation_functions import ReLU
from sandbox.checkpoints.layout import B_ENC, DECODER, ENCODER, MATRICES, Contents, Conventions, Layout, Option, Weight

LINEAR = {"encoder_linear.weight": Weight("W_enc", "si"), "encoder_linear.bias": Weight("b_enc", "s")} | {
    "decoder_linear.weight": Weight("W_dec", "is"),
    "decoder_linear.bias": Weight("b_dec", "i"),
}
"""Goodfire's tensors."""


def _of_linear_layers(_: Contents) -> Conventions:
    return Conventions(ReLU(), subtract_b_dec=False)


def _of_heads(_: Contents) -> Conventions:
    return Conventions(ReLU(), subtract_b_dec=True, notes=("x is the concatenated outputs of all heads",))


GOODFIRE = Layout(
    name="Goodfire",
    weights=("Llama-3.1-8B-Instruct-SAE-l19.pth", "Llama-3.3-70B-Instruct-SAE-l50.pt"),
    tensors=LINEAR,
    conventions=_of_linear_layers,
)
"""Two linear layers with a ReLU between them (class SparseAutoEncoder in the model cards)."""

QRESEARCH = Layout(
    name="qresearch",
    weights=(
        "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt",
        "DeepSeek-R1-Distill-Llama-70B-SAE-l48.pt",
        "Llama-3.2-1B-Instruct-SAE-l9.pt",
    ),
    tensors=ENCODER | DECODER | {"decoder.bias": Weight("b_dec", "i")},
    conventions=_of_linear_layers,
)
"""The same with other names (class SparseAutoencoder in github.com/qrsch/SAE, SAE.ipynb)."""

KISSANE = Layout(
    name="Kissane and Krzyzanowski's",
    weights=("gpt2-small_L*_Hcat_z_*.pt",),
    settings_file="{stem}_cfg.json",
    tensors=MATRICES | B_ENC,
    settings={"act_size": Option((None,), size="i"), "dict_size": Option((None,), size="s")},
    unlisted=True,  # the others are of the training; the publishers' AutoEncoder reads none of them
    conventions=_of_heads,
)
"""attn-saes-gpt2-small-all-layers: ReLU of (x − b_dec)·W_enc + b_enc (SAELens' connor_rob_hook_z)."""
