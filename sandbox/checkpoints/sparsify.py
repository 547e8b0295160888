"""EleutherAI sparsify's layout: cfg.json beside sae.safetensors (sparsify 1.3.3, sparse_coder.py and fused_encoder.py).

b_dec is subtracted from x before encoding, except in a transcoder (`transcode`; in SAELens 6.54's loader, only with
`normalize_decoder`). With `skip_connection`, forward adds W_skip·x to the decoder's output. A latent is
the ReLU of its pre-activation if that is among the token's k largest (`topk`), or the largest in one of k equal groups
(`groupmax`), else 0. `normalize_decoder` and `expansion_factor` affect the training, not x̂.

With `multi_topk`, training adds a loss with 4k latents, and forward returns the x̂ of that loss. Here x̂ is that of the
library's encode and decode, with k latents, as users of the SAE get it.
"""

from __future__ import annotations

from sandbox.checkpoints.activation_functions import GroupMax, TopK
from sandbox.checkpoints.layout import (
    ENCODER,
    Contents,
    Conventions,
    Layout,
    Option,
    Variant,
    Weight,
    free,
    is_number,
)


def _conventions(contents: Contents) -> Conventions:
    settings, k = contents.settings, contents.count("k")
    factor = None if settings.get("num_latents") else settings.get("expansion_factor")
    if factor is not None and not (is_number(factor) and factor * contents.d_in == contents.d_sae):
        sizes = f" and d_in {contents.d_in}, but the weights have {contents.d_sae} latents"
        raise contents.refused("expansion_factor", sizes)
    grouped = settings.get("activation") == "groupmax"
    if grouped and contents.d_sae % k:
        raise contents.refused("k", f", but {contents.d_sae} latents do not divide into {k} groups of equal size")
    notes = ("x̂ of encode and decode (forward's has 4k latents, for multi_topk)",) if settings.get("multi_topk") else ()
    transcodes = bool(settings.get("transcode"))
    return Conventions(
        GroupMax(k) if grouped else TopK(k), subtract_b_dec=not transcodes, notes=notes, transcodes=transcodes
    )


def _tensors(contents: Contents) -> Variant:
    skips = contents.settings.get("skip_connection")
    skip = {"W_skip": Weight("W_skip", "ii")} if skips else {}
    kind = "transcoder" if contents.settings.get("transcode") else "SAE"
    return Variant(f"a sparsify {kind}{' with a skip connection' if skips else ''}", TENSORS | skip)


TENSORS = ENCODER | {"W_dec": Weight("W_dec", "si"), "b_dec": Weight("b_dec", "i")}
"""Even in a transcoder, what is reconstructed has the dimension of what is read (`SparseCoder.__init__`)."""


SPARSIFY = Layout(
    name="sparsify",
    weights=("sae.safetensors",),
    settings_file="cfg.json",
    tensors=_tensors,
    settings={
        "activation": Option(("topk", "groupmax")),
        "signed": Option((False,)),  # in the first releases: the k largest in magnitude keep their signs
        "transcode": Option((False, True)),
        "skip_connection": Option((False, True)),
        "d_in": Option((None,), size="i"),
        "num_latents": Option((None, 0), size="s"),
        **free("k expansion_factor normalize_decoder multi_topk"),
    },
    conventions=_conventions,
    rewrites=True,  # sparsify computes in the dtype of the first tensor in the file
)
"""Top k or group max over ReLU; an SAE subtracts b_dec from its input, and either may have a skip."""
