"""`NormalEquations`: the totals over tokens from which any decoder for the same latents can be fitted and judged.

For each token let t = x − bias, as in `sandbox.measuring.rescale`, and let φ be the row of its latents in the space of
x, followed by the factor of b_dec: φ_j = scale·f_j, and last scale itself (1 unless the SAE normalises tokens). A
decoder is a matrix W whose last row is a shift of b_dec. Its loss is

    Σ ‖t − φW‖² = Σ ‖t‖² − 2⟨Σ φᵀt, W⟩ + ⟨W, (Σ φᵀφ) W⟩,

so the tokens are read once, whatever is fitted afterwards (`sandbox.measuring.least_squares`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from sandbox.activations.split import Split
from sandbox.errors import InputError
from sandbox.measuring.sparse import STRIDE, nonzero
from sandbox.moments.machine_code import compiled
from sandbox.moments.sums import Sums
from sandbox.moments.totalling import wide_array
from sandbox.system.devices import sent

FOLDS = 2
"""Parts of the documents to fit on: what is fitted on one is judged on the other, to choose the ridge."""

MATRICES = 2 * FOLDS + 2
"""d_sae × d_sae matrices in float64 held at a time: two per fold, and two to solve a system."""

LIMIT = 16.0
"""Default limit of their memory, in GB: enough for 18,000 latents."""

ROWS = 2048  # rows of the products computed at a time on a device
TASKS = 4  # per thread on a CPU: some latents are active much more often than others


@dataclass(frozen=True, eq=False)
class NormalEquations(Sums):
    """Totals for each fold of the documents; `add` changes them in place, because they may fill most of the memory.

    Attributes:
        products: Float64[Tensor, "folds d_sae+1 d_sae+1"], Σ φᵀφ
        pulls:    Float64[Tensor, "folds d_sae+1 d_in"], Σ φᵀt
        energy:   Float64[Tensor, "folds"], Σ ‖t‖², squared activation units
        count:    Float64[Tensor, "folds d_sae+1"], tokens in which each latent is active, and last all tokens
    """

    products: Float64[Tensor, "folds d_sae+1 d_sae+1"]
    pulls: Float64[Tensor, "folds d_sae+1 d_in"]
    energy: Float64[Tensor, "folds"]
    count: Float64[Tensor, "folds d_sae+1"]

    @classmethod
    def zeros(cls, d_sae: int, d_in: int, device: torch.device) -> Self:
        """Totals of no tokens, on the device (on the CPU if the device has no float64)."""
        rows = d_sae + 1
        shapes = ((FOLDS, rows, rows), (FOLDS, rows, d_in), (FOLDS,), (FOLDS, rows))
        home = "cpu" if device.type == "mps" else device
        return cls(*(torch.zeros(shape, dtype=torch.float64, device=home) for shape in shapes))

    def add(
        self,
        feature_acts: Float[Tensor, "n d_sae"],
        scale: Float[Tensor, "n 1"],
        t: Float[Tensor, "n d_in"],
        fold: Int[np.ndarray, "n"],
    ) -> None:
        """Add a batch of tokens, completely or, if memory runs out, not at all.

        On a CPU only active latents are multiplied, in float64. On an accelerator the products are dense, in float32
        (float64 if any argument is), and nothing waits for the device. Tokens with a NaN or an infinity are left out.

        Args:
            feature_acts: output of the SAE's encoder
            scale:        factor that undoes each token's normalisation
            t:            x minus the decoder bias
            fold:         of each token, 0 or 1
        """
        arguments = feature_acts.detach(), scale.detach(), t.detach(), fold
        (self._add_on_host if self.products.device.type == "cpu" else self._add_on_device)(*arguments)

    def _add_on_host(self, feature_acts: Tensor, scale: Tensor, t: Tensor, fold: np.ndarray) -> None:
        feature_acts, scale, t = feature_acts.cpu(), scale.cpu(), t.cpu()
        ok = _finite(feature_acts, scale, t)
        if not ok.all():
            feature_acts, scale, t, fold = feature_acts[ok], scale[ok], t[ok], fold[ok.numpy()]
        acts, left = wide_array(feature_acts), wide_array(t)
        sizes = scale.reshape(-1).double().numpy()
        on = nonzero(feature_acts).numpy().astype(np.int64) + 1  # and the row of the shift
        starts = np.concatenate(([0], np.cumsum(on)))
        latents, strengths = np.empty(starts[-1], np.int64), np.empty(starts[-1])
        _list_active(acts, sizes, starts, latents, strengths)
        products, pulls, count = (total.numpy() for total in (self.products, self.pulls, self.count))

        share = -(-products.shape[1] // (TASKS * torch.get_num_threads()))

        def add(low: int) -> None:
            _add_pairs(starts, latents, strengths, left, fold, products, pulls, count, low, low + share)

        self.energy.add_(torch.from_numpy(np.bincount(fold, np.einsum("nd,nd->n", left, left, dtype=float), FOLDS)))
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(add, range(0, products.shape[1], share)))

    def _add_on_device(self, feature_acts: Tensor, scale: Tensor, t: Tensor, fold: np.ndarray) -> None:
        wide = torch.float64 if torch.float64 in {feature_acts.dtype, t.dtype} else torch.float32
        ok = _finite(feature_acts, scale, t)[:, None]
        rows = torch.where(ok, torch.cat((feature_acts.to(wide) * scale, scale.to(wide)), 1), 0)
        left = torch.where(ok, t.to(wide), 0)
        members = [sent(np.flatnonzero(fold == one), rows.device) for one in range(FOLDS)]
        parts = [(rows[index], left[index]) for index in members]
        width = rows.shape[1]
        scratch = rows.new_empty(min(ROWS, width) * width)  # everything is allocated before anything is changed
        along = rows.new_empty(width, left.shape[1])
        for total, (own, targets) in enumerate(parts):
            for low in range(0, width, ROWS):
                some = own[:, low : low + ROWS]
                product = scratch[: some.shape[1] * width].view(some.shape[1], width)
                self.products[total, low : low + ROWS] += torch.mm(some.mT, own, out=product)
            self.pulls[total] += torch.mm(own.mT, targets, out=along)
            self.energy[total] += targets.square().sum(dtype=torch.float64)
            self.count[total] += (own != 0).sum(0, dtype=torch.float64)


def fold_of(cluster: Int[np.ndarray, "n"], seed: int) -> Int[np.ndarray, "n"]:
    """The fold of each token, from the document (or block) it belongs to.

    Args: seed: of the split into documents to fit on and held-out ones; another one splits the former into folds
    """
    return Split(0.5, seed ^ 1).chosen(cluster).astype(np.int64)


def check_memory(kind: str, d_sae: int, d_in: int, limit: float) -> None:
    """Raise InputError if the totals and their solution need more than `limit` GB, before anything is read."""
    rows = d_sae + 1
    needed = 8e-9 * rows * (MATRICES * rows + (FOLDS + 4) * d_in)
    if needed > limit:
        raise InputError(
            f"kind {kind} needs {needed:.3g} GB of memory for the products of {d_sae:,} latents with one another, but "
            f"the limit is {limit:g} GB: raise it with --memory, or choose per-latent"
        )


def _finite(feature_acts: Tensor, scale: Tensor, t: Tensor) -> Tensor:
    """Whether each token's numbers are all finite."""
    return feature_acts.isfinite().all(1) & scale.isfinite().all(1) & t.isfinite().all(1)


@compiled
def _list_active(acts, sizes, starts, latents, strengths) -> None:
    """List the active latents of each token with φ_j, and last the row of the shift."""
    n, d_sae = acts.shape
    for i in range(n):
        at = starts[i]
        for start in range(0, d_sae, STRIDE):
            stop = min(start + STRIDE, d_sae)
            on = 0
            for j in range(start, stop):  # no branch: the compiler checks a register of latents at once
                on += acts[i, j] != 0
            if not on:
                continue
            for j in range(start, stop):
                if acts[i, j] != 0:
                    latents[at] = j
                    strengths[at] = acts[i, j] * sizes[i]
                    at += 1
        latents[at] = d_sae
        strengths[at] = sizes[i]


@compiled
def _add_pairs(starts, latents, strengths, left, fold, products, pulls, count, low, high) -> None:
    """Add every token's pairs of active rows whose first is from `low` up to `high`, in float64."""
    n, d = left.shape
    for i in range(n):
        g = fold[i]
        for m in range(starts[i], starts[i + 1]):
            j = latents[m]
            if j < low or j >= high:
                continue
            f = strengths[m]
            count[g, j] += 1
            for other in range(starts[i], starts[i + 1]):
                products[g, j, latents[other]] += f * strengths[other]
            for k in range(d):
                pulls[g, j, k] += f * left[i, k]
