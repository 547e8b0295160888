"""Where other libraries' SAE objects keep x̂, when their forward pass returns more than x̂ or something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor


class LibraryCall(NamedTuple):
    """How a library's SAE objects are called.

    Attributes:
        compute: maps the object and x, (n, d), to x̂ and the latents, (n, d_sae), or None where it has none
        W_dec:   maps the object to its decoder, (d_sae, d); None where x̂ is not latents·W_dec plus a constant
    """

    compute: Callable[[Any, Tensor], tuple[Any, Any]]
    W_dec: Callable[[Any], Any]


def _e2e_sae(sae: Any, x: Tensor) -> tuple[Any, Any]:
    x_hat, latents = sae(x)
    return x_hat, latents


def _overcomplete(sae: Any, x: Tensor) -> tuple[Any, Any]:
    _, latents, x_hat = sae(x)
    return x_hat, latents


def _saev(sae: Any, x: Tensor) -> tuple[Any, Any]:
    output = sae(x)
    if hasattr(output, "x_hats"):  # one per Matryoshka prefix; the last prefix is the whole dictionary
        return output.x_hats[:, -1], output.f_x
    return output, None


def _sparsify(sae: Any, x: Tensor) -> tuple[Any, Any]:
    latents = sae.encode(x)  # not forward, which may decode 4k latents (multi_topk)
    dense = x.new_zeros(*x.shape[:-1], sae.num_latents)
    dense.scatter_(-1, latents.top_indices.long(), latents.top_acts.to(dense.dtype))
    return sae.decode(latents.top_acts, latents.top_indices), dense


CALLS = {
    # ApolloResearch/e2e_sae, models/sparsifiers.py: SAE.forward returns x̂ and c, and decodes with columns of norm 1
    "e2e_sae": LibraryCall(_e2e_sae, lambda sae: sae.dict_elements.mT),
    # KempnerInstitute/overcomplete, sae/base.py: SAE.forward returns pre-codes, codes and x̂
    "overcomplete": LibraryCall(_overcomplete, lambda sae: sae.get_dictionary()),
    # OSU-NLP-Group/saev, nn/modeling.py: SparseAutoencoder.forward returns an Output
    "saev": LibraryCall(_saev, lambda sae: sae.W_dec),
    # EleutherAI/sparsify, sparse_coder.py: encode returns the active latents and their indices
    "sparsify": LibraryCall(_sparsify, lambda sae: sae.W_dec),
}
"""By the name of the package that defines the object's class, or a class that it inherits from."""


def call_of(sae: Any) -> LibraryCall | None:
    """How to call this object; None for one that maps x to x̂ itself."""
    packages = (str(getattr(kind, "__module__", "")).partition(".")[0] for kind in type(sae).__mro__)
    return next((CALLS[package] for package in packages if package in CALLS), None)


def decoder_of(sae: Any) -> Tensor | None:
    """The object's decoder, (d_sae, d), under its library's name for it; None if it has none."""
    call = call_of(sae)
    try:
        W_dec = getattr(sae, "W_dec", None) if call is None else call.W_dec(sae)
    except AttributeError:  # a class of the library without a decoder, such as e2e_sae's Codebook
        return None
    return W_dec if isinstance(W_dec, Tensor) else None
