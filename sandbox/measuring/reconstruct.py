"""`Reconstruct`: x̂ and the latents of a piece of a batch, from an `SAE` or from any object that maps x to x̂."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from sandbox.checkpoints.autoencoder import SAE
from sandbox.errors import InputError
from sandbox.measuring.libraries import call_of
from sandbox.measuring.sparse import is_sparse, sparse_product

FEW = 64  # tokens to try an SAE on: enough to see how it works, and they take next to no time


class Computed(NamedTuple):
    """x̂, the latents (None if they are not visible), and the L0 of each token (None if not counted yet)."""

    x_hat: Tensor
    feature_acts: Tensor | None = None
    l0: Tensor | None = None


class Reconstruct:
    """Computes x̂, by `encode` and `decode` where an object has them, so that its latents are visible.

    Attributes: d_out: the dimension of what a transcoder reconstructs; None for an SAE
    """

    d_out: int | None = None

    def __init__(self, sae: Any, name: str, sparse: bool) -> None:
        """Args: name: for messages; sparse: whether to decode from the active latents only, where that is faster"""
        self.sae, self.name, self._sparse = sae, name, sparse
        self._compute: Callable[[Tensor], Computed] | None = self._encode_decode if isinstance(sae, SAE) else None

    def __call__(self, x: Tensor) -> Computed:
        """Compute a piece. Raises: InputError in place of an error of the user's object"""
        if isinstance(self.sae, SAE):
            return self._encode_decode(x)
        with self._naming_its_errors(x):
            if self._compute is None:
                few = x[:FEW]
                split = self._splits(few, self._plain(few).x_hat)
                self._compute = self._encode_decode if split else self._plain
            return self._compute(x)

    @contextmanager
    def _naming_its_errors(self, x: Tensor) -> Iterator[None]:
        """Raise an InputError in place of an error of the user's object; let a lack of memory pass, to be handled."""
        try:
            yield
        except Exception as error:
            if isinstance(error, InputError) or out_of_memory(error):
                raise
            said = (str(error).splitlines() or [""])[0]
            raise InputError(
                f"{self.name}: its forward pass fails on x of shape {tuple(x.shape)} with {type(error).__name__}"
                f"{f': {said}' if said else ''}; it must map (n, d) to x̂ of the same shape, each token by itself"
            ) from error

    def _encode_decode(self, x: Tensor) -> Computed:
        if isinstance(self.sae, SAE):
            feature_acts = self.sae.encode(x)
            if self._sparse and is_sparse(feature_acts, self.sae.W_dec):
                z_hat, l0 = sparse_product(feature_acts, self.sae.W_dec, self.sae.b_dec)
                return Computed(self.sae.completed(z_hat, x), feature_acts, l0)
            return Computed(self.sae.decode(feature_acts, x), feature_acts)
        feature_acts = self.sae.encode(x.clone())  # protects x from an SAE that works in place
        return Computed(self._decoded(feature_acts, x), feature_acts)

    def _decoded(self, feature_acts: Tensor, x: Tensor) -> Tensor:
        """x̂ of an object: its `decode` knows no skip (SAELens, saes/transcoder.py)."""
        x_hat, skipped = self.sae.decode(feature_acts), self.skipped(x)
        return x_hat if skipped is None else x_hat + skipped

    def _plain(self, x: Tensor) -> Computed:
        call = call_of(self.sae)
        x_hat, feature_acts = (self.sae(x.clone()), None) if call is None else call.compute(self.sae, x.clone())
        shape = x.shape if self.d_out is None else (len(x), self.d_out)
        if not isinstance(x_hat, Tensor) or x_hat.shape != shape:
            got = tuple(x_hat.shape) if isinstance(x_hat, Tensor) else type(x_hat).__name__
            needed = "x̂ of the same shape" if self.d_out is None else f"ŷ of shape {shape}, as the targets have"
            alone = "" if isinstance(x_hat, Tensor) else ", alone, such as measure(lambda x: sae(x)[0], …)"
            raise InputError(f"the SAE gave {got} for x of shape {tuple(x.shape)}: it must return {needed}{alone}")
        visible = isinstance(feature_acts, Tensor) and feature_acts.shape[:-1] == x.shape[:-1]
        return Computed(x_hat, feature_acts if visible else None)

    def _splits(self, x: Tensor, x_hat: Tensor) -> bool:
        """Whether sae(x) equals sae.decode(sae.encode(x)), with one vector of latents per token."""
        if not (callable(getattr(self.sae, "encode", None)) and callable(getattr(self.sae, "decode", None))):
            return False
        try:
            feature_acts = self.sae.encode(x.clone())
            if not isinstance(feature_acts, Tensor) or feature_acts.shape[:-1] != x.shape[:-1]:
                return False
            decoded = self._decoded(feature_acts, x)
        except Exception as error:  # they need more arguments than x, or another shape: forward alone will do
            if out_of_memory(error):
                raise
            return False
        return isinstance(decoded, Tensor) and decoded.shape == x_hat.shape and close(decoded, x_hat, x_hat)

    @property
    def W_skip(self) -> Tensor | None:
        """The weights of a skip, (d_out, d_in); None without one."""
        W_skip = getattr(self.sae, "W_skip", None)
        return W_skip if isinstance(W_skip, Tensor) else None

    def skipped(self, x: Tensor) -> Tensor | None:
        """W_skip·x; None without a skip."""
        return None if self.W_skip is None else linear(x, self.W_skip)


def close(result: Tensor, expected: Tensor, scale: Tensor) -> bool:
    """Whether two results differ only by rounding, as when a GPU adds up in a different order.

    Args: scale: values whose size sets the tolerance
    """
    near = 16 * torch.finfo(scale.dtype).eps
    finite = scale.isfinite()
    atol = near * float(scale[finite].abs().sum() / max(int(finite.sum()), 1))
    return torch.allclose(result, expected, rtol=near, atol=atol, equal_nan=True)


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out. On accelerators torch has an error type for it; on a CPU it raises RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
