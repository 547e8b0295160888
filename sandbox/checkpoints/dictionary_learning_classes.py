"""The classes of dictionary_learning: the tensors that each stores, and how its `encode` uses them.

According to dictionary_learning 0.1.0, whose paths are cited, and to github.com/saprmarks/dictionary_learning from
April 2024 to August 2025. In every class decode adds the decoder's bias to the product of decoder and latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sandbox.checkpoints.layout import B_ENC, DECODER, ENCODER, MATRICES, Weight

ENCODER_WEIGHT = {"encoder.weight": ENCODER["encoder.weight"]}
LINEAR = ENCODER | DECODER
K, THRESHOLD = {"k": Weight("k", "", whole=True)}, {"threshold": Weight("threshold", "")}


class DictionaryClass(NamedTuple):
    """One of the library's classes.

    Attributes:
        tensors:   by stored name
        subtracts: whether encode subtracts the decoder's bias from x
        unique:    whether only this class, in any library, has these tensors, so that no configuration need name it
    """

    tensors: Mapping[str, Weight]
    subtracts: bool
    unique: bool


CLASSES = {
    # dictionary.py, AutoEncoder.encode: ReLU(encoder(x − bias)); decode adds the same bias.
    # from_pretrained normalises the decoder by default, and scales encoder.weight and encoder.bias to compensate: the
    # same x̂, but latents are multiplied by the norms. Here the latents are those of the stored weights.
    "AutoEncoder": DictionaryClass(LINEAR | {"bias": Weight("b_dec", "i")}, subtracts=True, unique=True),
    # dictionary.py, AutoEncoderNew.encode: ReLU(encoder(x)). Decoder norms enter only the latents that forward returns
    # with output_features. Any autoencoder of two linear layers has these names, whatever its activation.
    "AutoEncoderNew": DictionaryClass(LINEAR | {"decoder.bias": Weight("b_dec", "i")}, subtracts=False, unique=False),
    # dictionary.py, GatedAutoEncoder.encode: with u = encoder(x − decoder_bias), open where u + gate_bias > 0, and then
    # ReLU(exp(r_mag)·u + mag_bias). normalize_decoder, off by default, scales latents but does not change x̂.
    "GatedAutoEncoder": DictionaryClass(
        ENCODER_WEIGHT
        | DECODER
        | {"decoder_bias": Weight("b_dec", "i"), "r_mag": Weight("r_mag", "s")}
        | {"gate_bias": Weight("b_gate", "s"), "mag_bias": Weight("b_mag", "s")},
        subtracts=True,
        unique=True,
    ),
    # dictionary.py, JumpReluAutoEncoder.encode: ReLU(u·[u > threshold]), u = x·W_enc + b_enc, one threshold per latent.
    # apply_b_dec_to_input is False in the constructor, in training and in from_pretrained(path), and is not stored. In
    # 2024 latents were multiplied by the decoder's norms, and divided by them in decode: the same x̂. SAEs from other
    # libraries have the same names, and may subtract b_dec.
    "JumpReluAutoEncoder": DictionaryClass(
        MATRICES | B_ENC | {"threshold": Weight("threshold", "s")}, subtracts=False, unique=False
    ),
    # trainers/top_k.py, AutoEncoderTopK.encode: the k largest of ReLU(encoder(x − b_dec)). The threshold is used only
    # on request (use_threshold), not by forward; it is infinite if training met a token without any active latent.
    "AutoEncoderTopK": DictionaryClass(
        LINEAR | {"b_dec": Weight("b_dec", "i")} | K | {"threshold": Weight("", "")}, subtracts=True, unique=False
    ),
    # trainers/batch_top_k.py, BatchTopKSAE.encode: ReLU(encoder(x − b_dec)) where it exceeds the threshold, which all
    # latents share; k matters only in training. Its tensors have the names and shapes of AutoEncoderTopK's.
    "BatchTopKSAE": DictionaryClass(
        LINEAR | {"b_dec": Weight("b_dec", "i")} | K | THRESHOLD, subtracts=True, unique=False
    ),
    # trainers/matryoshka_batch_top_k.py, MatryoshkaBatchTopKSAE.encode: as BatchTopKSAE. active_groups, which could
    # disable the later groups, is not stored: from_pretrained activates all of group_sizes.
    "MatryoshkaBatchTopKSAE": DictionaryClass(
        MATRICES | B_ENC | K | THRESHOLD | {"group_sizes": Weight("group_sizes", "g", whole=True)},
        subtracts=True,
        unique=True,
    ),
}

EARLIER_NAMES = {"MatroyshkaBatchTopKSAE": "MatryoshkaBatchTopKSAE"}
"""The same class with the same tensors, as spelled until 16 January 2025."""

SINCE_2024_12_22 = {"k", "threshold"}
"""Tensors that AutoEncoderTopK has stored since then; before, only config.json had k, and encode was the same."""

SCALED = {"b_enc", "b_dec", "b_gate", "b_mag", "threshold"}
"""The roles that scale_biases multiplies, in the classes that have this method."""
