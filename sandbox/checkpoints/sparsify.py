"""EleutherAI sparsify's layout: cfg.json beside sae.safetensors (sparsify 1.3.3, sparse_coder.py and fused_encoder.py).

b_dec is always subtracted from x before encoding (in SAELens 6.54's loader, only with `normalize_decoder`). A latent is
the ReLU of its pre-activation if that is among the token's k largest (`topk`), or the largest in one of k equal groups
(`groupmax`), else 0. `normalize_decoder` and `expansion_factor` affect the training, not x̂.

With `multi_topk`, training adds a loss with 4k latents, and forward returns the x̂ of that loss. Here x̂ is that of the
library's encode and decode, with k latents, as users of the SAE get it.
"""

from __future__ import annotations

from sandbox.checkpoints.activation_functions import GroupMax, TopK
from sandbox.checkpoints.layout import (
    ENCODER,
    TRANSCODER,
    Contents,
    Conventions,
    Layout,
    Option,
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
    return Conventions(GroupMax(k) if grouped else TopK(k), subtract_b_dec=True, notes=notes)


SPARSIFY = Layout(
    name="sparsify",
    weights=("sae.safetensors",),
    settings_file="cfg.json",
    tensors=ENCODER | {"W_dec": Weight("W_dec", "si"), "b_dec": Weight("b_dec", "i")},
    settings={
        "activation": Option(("topk", "groupmax")),
        "signed": Option((False,)),  # in the first releases: the k largest in magnitude keep their signs
        "transcode": Option((False,), reason=TRANSCODER),
        "skip_connection": Option((False,), reason=f"a linear path around the latents, {TRANSCODER}"),
        "d_in": Option((None,), size="i"),
        "num_latents": Option((None, 0), size="s"),
        **free("k expansion_factor normalize_decoder multi_topk"),
    },
    conventions=_conventions,
    rewrites=True,  # sparsify computes in the dtype of the first tensor in the file
)
"""Top k or group max over ReLU; b_dec is subtracted from the input."""
