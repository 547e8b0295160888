"""The classes of dictionary_learning: which tensors each stores, by which names, and what its `encode` makes of them.

Read in dictionary_learning 0.1.0, whose paths these are, and in github.com/saprmarks/dictionary_learning from April
2024 to August 2025. Everywhere, decode adds the decoder's bias to the product of decoder and latents.
"""

from __future__ import annotations

from typing import NamedTuple

LINEAR = {"encoder.weight": "si", "decoder.weight": "is"}
"""nn.Linear keeps its weight as (out, in): s stands for d_sae, i for d_in. Both are transposed when they are read."""

MATRICES = {"W_enc": "is", "W_dec": "si", "b_enc": "s", "b_dec": "i"}
"""As here."""


class Class(NamedTuple):
    """One of the library's classes.

    Attributes:
        tensors:   their names, with a letter for each dimension ("" is a single number, g one for each group)
        subtracts: whether encode takes the decoder's bias from x
        alone:     whether the names are this class's beyond doubt, so that no configuration is needed to know it
    """

    tensors: dict[str, str]
    subtracts: bool
    alone: bool


CLASSES = {
    # dictionary.py, AutoEncoder.encode: ReLU(encoder(x − bias)); decode adds the same bias.
    # from_pretrained normalises the decoder unless told not to, and scales encoder.weight and encoder.bias to make up
    # for it: the same x̂ from latents that are longer by the norms. Here latents are those of the weights as stored.
    "AutoEncoder": Class(LINEAR | {"encoder.bias": "s", "bias": "i"}, subtracts=True, alone=True),
    # dictionary.py, AutoEncoderNew.encode: ReLU(encoder(x)). Decoder norms enter only the latents that forward returns
    # with output_features. Any autoencoder of two linear layers has these names, whatever its activation.
    "AutoEncoderNew": Class(LINEAR | {"encoder.bias": "s", "decoder.bias": "i"}, subtracts=False, alone=False),
    # dictionary.py, GatedAutoEncoder.encode: with u = encoder(x − decoder_bias), open where u + gate_bias > 0, and then
    # ReLU(exp(r_mag)·u + mag_bias). normalize_decoder, off by default, scales latents and leaves x̂ alone.
    "GatedAutoEncoder": Class(
        LINEAR | {"decoder_bias": "i", "r_mag": "s", "gate_bias": "s", "mag_bias": "s"}, subtracts=True, alone=True
    ),
    # dictionary.py, JumpReluAutoEncoder.encode: ReLU(u·[u > threshold]), u = x·W_enc + b_enc, one threshold a latent.
    # apply_b_dec_to_input is False in the constructor, in training and in from_pretrained(path), and is not stored. In
    # 2024 latents were multiplied by the decoder's norms, and divided by them in decode: the same x̂. Other libraries'
    # SAEs have these names, too, and may subtract b_dec.
    "JumpReluAutoEncoder": Class(MATRICES | {"threshold": "s"}, subtracts=False, alone=False),
    # trainers/top_k.py, AutoEncoderTopK.encode: the k greatest of ReLU(encoder(x − b_dec)). The threshold is used only
    # by those who ask for it (use_threshold), and forward does not.
    "AutoEncoderTopK": Class(
        LINEAR | {"encoder.bias": "s", "b_dec": "i", "k": "", "threshold": ""}, subtracts=True, alone=False
    ),
    # trainers/batch_top_k.py, BatchTopKSAE.encode: ReLU(encoder(x − b_dec)) where that is > threshold, the same one for
    # all latents; k counts in training alone. Its tensors are AutoEncoderTopK's, to the last name and shape.
    "BatchTopKSAE": Class(
        LINEAR | {"encoder.bias": "s", "b_dec": "i", "k": "", "threshold": ""}, subtracts=True, alone=False
    ),
    # trainers/matryoshka_batch_top_k.py, MatryoshkaBatchTopKSAE.encode: as BatchTopKSAE. active_groups, which would
    # turn the later groups off, is not stored: from_pretrained has all of group_sizes active.
    "MatryoshkaBatchTopKSAE": Class(
        MATRICES | {"k": "", "threshold": "", "group_sizes": "g"}, subtracts=True, alone=True
    ),
}

EARLIER_NAMES = {"MatroyshkaBatchTopKSAE": "MatryoshkaBatchTopKSAE"}
"""The same class with the same tensors, as it was spelt until 16 January 2025."""

SINCE_2024_12_22 = {"k", "threshold"}
"""AutoEncoderTopK stores them since then; before, k was in config.json alone, and encode was the same."""

ROLES = {
    "encoder.weight": "W_enc",
    "encoder.bias": "b_enc",
    "decoder.weight": "W_dec",
    "decoder.bias": "b_dec",
    "decoder_bias": "b_dec",
    "bias": "b_dec",
    "gate_bias": "b_gate",
    "mag_bias": "b_mag",
}
"""What the library's tensors are called here, where that is something else."""

SCALED = {"b_enc", "b_dec", "b_gate", "b_mag", "threshold"}
"""What scale_biases multiplies, in each class that has it."""
