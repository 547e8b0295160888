"""The classes of dictionary_learning: which tensors each stores, and what its `encode` makes of them.

Read in dictionary_learning 0.1.0, whose paths these are, and in github.com/saprmarks/dictionary_learning from April
2024 to August 2025. Everywhere, decode adds the decoder's bias to the product of decoder and latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sandbox.checkpoints.layout import Weight

LINEAR = {"encoder.weight": Weight("W_enc", "si"), "decoder.weight": Weight("W_dec", "is")}
BIASED = LINEAR | {"encoder.bias": Weight("b_enc", "s")}
MATRICES = {
    "W_enc": Weight("W_enc", "is"),
    "W_dec": Weight("W_dec", "si"),
    "b_enc": Weight("b_enc", "s"),
    "b_dec": Weight("b_dec", "i"),
}
K, THRESHOLD = {"k": Weight("k", "", whole=True)}, {"threshold": Weight("threshold", "")}


class DictionaryClass(NamedTuple):
    """One of the library's classes.

    Attributes:
        tensors:   by their names
        subtracts: whether encode subtracts the decoder's bias from x
        alone:     whether the tensors' names are this class's beyond doubt, so that it needs no configuration
    """

    tensors: Mapping[str, Weight]
    subtracts: bool
    alone: bool


CLASSES = {
    # dictionary.py, AutoEncoder.encode: ReLU(encoder(x − bias)); decode adds the same bias.
    # from_pretrained normalises the decoder unless told not to, and scales encoder.weight and encoder.bias to make up
    # for it: the same x̂ from latents that are longer by the norms. Here latents are those of the weights as stored.
    "AutoEncoder": DictionaryClass(BIASED | {"bias": Weight("b_dec", "i")}, subtracts=True, alone=True),
    # dictionary.py, AutoEncoderNew.encode: ReLU(encoder(x)). Decoder norms enter only the latents that forward returns
    # with output_features. Any autoencoder of two linear layers has these names, whatever its activation.
    "AutoEncoderNew": DictionaryClass(BIASED | {"decoder.bias": Weight("b_dec", "i")}, subtracts=False, alone=False),
    # dictionary.py, GatedAutoEncoder.encode: with u = encoder(x − decoder_bias), open where u + gate_bias > 0, and then
    # ReLU(exp(r_mag)·u + mag_bias). normalize_decoder, off by default, scales latents and leaves x̂ alone.
    "GatedAutoEncoder": DictionaryClass(
        LINEAR
        | {"decoder_bias": Weight("b_dec", "i"), "r_mag": Weight("r_mag", "s")}
        | {"gate_bias": Weight("b_gate", "s"), "mag_bias": Weight("b_mag", "s")},
        subtracts=True,
        alone=True,
    ),
    # dictionary.py, JumpReluAutoEncoder.encode: ReLU(u·[u > threshold]), u = x·W_enc + b_enc, one threshold a latent.
    # apply_b_dec_to_input is False in the constructor, in training and in from_pretrained(path), and is not stored. In
    # 2024 latents were multiplied by the decoder's norms, and divided by them in decode: the same x̂. Other libraries'
    # SAEs have these names, too, and may subtract b_dec.
    "JumpReluAutoEncoder": DictionaryClass(
        MATRICES | {"threshold": Weight("threshold", "s")}, subtracts=False, alone=False
    ),
    # trainers/top_k.py, AutoEncoderTopK.encode: the k greatest of ReLU(encoder(x − b_dec)). The threshold is used only
    # on request (use_threshold), not by forward; it is infinite if training met a token without any latent.
    "AutoEncoderTopK": DictionaryClass(
        BIASED | {"b_dec": Weight("b_dec", "i")} | K | {"threshold": Weight("", "")}, subtracts=True, alone=False
    ),
    # trainers/batch_top_k.py, BatchTopKSAE.encode: ReLU(encoder(x − b_dec)) where that is > threshold, the same one for
    # all latents; k counts in training alone. Its tensors are AutoEncoderTopK's, to the last name and shape.
    "BatchTopKSAE": DictionaryClass(
        BIASED | {"b_dec": Weight("b_dec", "i")} | K | THRESHOLD, subtracts=True, alone=False
    ),
    # trainers/matryoshka_batch_top_k.py, MatryoshkaBatchTopKSAE.encode: as BatchTopKSAE. active_groups, which would
    # turn the later groups off, is not stored: from_pretrained has all of group_sizes active.
    "MatryoshkaBatchTopKSAE": DictionaryClass(
        MATRICES | K | THRESHOLD | {"group_sizes": Weight("group_sizes", "g", whole=True)}, subtracts=True, alone=True
    ),
}

EARLIER_NAMES = {"MatroyshkaBatchTopKSAE": "MatryoshkaBatchTopKSAE"}
"""The same class with the same tensors, as it was spelt until 16 January 2025."""

SINCE_2024_12_22 = {"k", "threshold"}
"""AutoEncoderTopK stores them since then; before, k was in config.json alone, and encode was the same."""

SCALED = {"b_enc", "b_dec", "b_gate", "b_mag", "threshold"}
"""What scale_biases multiplies, in each class that has it."""
