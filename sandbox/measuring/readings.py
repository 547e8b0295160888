"""`Readings`: several passes over the activations, each over one part of the documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from sandbox.activations import Source
from sandbox.activations.split import Split
from sandbox.checkpoints.autoencoder import SAE
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward, Pairs
from sandbox.measuring.one_pass import Progress, stream
from sandbox.measuring.ranks import Ranks, Share
from sandbox.measuring.resume import State
from sandbox.moments.moments import BLOCK, Moments
from sandbox.moments.sums import Sums
from sandbox.system.devices import sent

S = TypeVar("S", bound=Sums)


class Batch(NamedTuple):
    """A batch of tokens with the SAE's latents and reconstructions.

    Attributes:
        x, x_hat:     Float[Tensor, "n d"]
        feature_acts: Float[Tensor, "n d_sae"], before the SAE's normalisation is undone
        scale:        Float[Tensor, "n 1"], factor that undoes each token's normalisation
        t, u:         Float[Tensor, "n d"], x and x̂ minus the decoder bias, in the space of x
    """

    x: Tensor
    x_hat: Tensor
    feature_acts: Tensor
    scale: Tensor
    t: Tensor
    u: Tensor

    @classmethod
    def of(cls, sae: SAE, feature_acts: Tensor, x: Tensor, x_hat: Tensor) -> Batch:
        """From the arguments of `sandbox.measuring.forward.Observe`."""
        _, scale, shift = sae.normalise(x.to(sae.W_dec.dtype))
        wide = torch.promote_types(x_hat.dtype, torch.float32)
        x, x_hat, bias = x.to(wide), x_hat.to(wide), (sae.b_dec * scale + shift).to(wide)
        return cls(x, x_hat, feature_acts, scale.expand(len(x), 1).to(wide), x - bias, x_hat - bias)


@dataclass
class Readings:
    """Passes over the same activations; each counts either the documents to fit on or those held out.

    Attributes: split: which documents to fit on; None: all
    Attributes (set by the first pass):
        blocks:           whether blocks of tokens were split, because there are no documents
        fitted, held_out: number of documents (or blocks) in each part
    """

    source: Source
    split: Split | None
    batch_size: int
    drop_nonfinite: bool
    ranks: Ranks
    share: Share
    progress: Progress | None
    blocks: bool = False
    fitted: int = 0
    held_out: int = 0
    _fingerprint: float | None = None

    def total(self, sae: Forward, count: Callable[[Batch, np.ndarray], S], *, fitting: bool) -> S:
        """Count one part of the documents: the sum over all processes, on the CPU.

        Args:
            count:   computes the totals of a batch, from it and the cluster of each of its tokens
            fitting: whether to count the documents to fit on; otherwise those held out
        Raises: InputError if a part is empty or the tokens differ from those of the previous pass
        """
        return self.total_of_each([sae], count, fitting=fitting)[0]

    def total_of_each(
        self, saes: Sequence[Forward], count: Callable[[Batch, np.ndarray], S], *, fitting: bool
    ) -> tuple[S, ...]:
        """As `total`, for several SAEs in one pass."""

        def count_batches(x: Tensor, cluster: np.ndarray) -> list[S]:
            return [_counted(sae, count, x, cluster) for sae in saes]

        return tuple(total.to("cpu") for total in self.totals(saes, count_batches, fitting=fitting))

    def summed(self, total: S, device: torch.device) -> S:
        """The sum over all processes, on the CPU, of totals that each process has added up in place."""
        return self.ranks.total(State(0, (total,)), device).totals[0].to("cpu")

    def totals(
        self,
        saes: Sequence[Forward | Pairs],
        count: Callable[[Tensor, np.ndarray], list[S]],
        *,
        fitting: bool,
        batch: int = 0,
    ) -> tuple[S, ...]:
        """As `total`, with everything that `count` returns for the x of some tokens and their clusters, on the device.

        Args: batch: tokens to read at a time; 0 for `batch_size`
        """
        start, order = 0, torch.zeros((), dtype=torch.float32, device=saes[0].device)

        def count_part(x: Tensor, cluster: np.ndarray) -> list[S]:
            nonlocal start, order
            to_fit = self._to_fit(cluster)
            rows = np.flatnonzero(to_fit == fitting)
            order += _order(x, start, sent(to_fit, x.device))
            start += len(x)
            return count(x[sent(rows, x.device)], cluster[rows]) if len(rows) else []

        progress = self.progress if self.ranks.first else None
        state = stream(saes, self.source, batch or self.batch_size, count_part, self.share, progress=progress)
        self._refuse_changed(order.item())
        state = self.ranks.total(state, saes[0].device)
        self._count_documents(state.documents, state.position)
        return state.totals

    def _to_fit(self, ids: np.ndarray) -> np.ndarray:
        return np.ones(len(ids), bool) if self.split is None else self.split.chosen(ids)

    def _count_documents(self, documents: set[int], tokens: int) -> None:
        """Raise InputError unless both parts contain documents (or blocks)."""
        self.blocks = not documents
        ids = np.arange(-(-tokens // BLOCK)) if self.blocks else np.array(sorted(documents), np.int64)
        self.fitted = int(self._to_fit(ids).sum())
        self.held_out = len(ids) - self.fitted
        what = f"blocks of {BLOCK} tokens" if self.blocks else "documents"
        if self.split is None:
            return
        if len(ids) < 2:
            raise InputError(
                f"{what}: found fewer than two, but some are to fit on and the others are held out; give more"
            )
        if not (self.fitted and self.held_out):
            side = "fitted on" if self.fitted else "held out"
            raise InputError(
                f"{what}: all {len(ids)} would be {side} with share {self.split.share} and seed {self.split.seed}; "
                "give more, another share or another seed"
            )

    def _refuse_changed(self, fingerprint: float) -> None:
        """Raise InputError if the tokens differ from the last pass: some held-out tokens may have been fitted on."""
        if self._fingerprint not in (None, fingerprint):
            raise InputError(
                f"{self.source.name} gave different tokens, or a different order, when it was read again: "
                "give activations that are not shuffled"
            )
        self._fingerprint = fingerprint

    def checked(self, moments: Moments) -> Moments:
        """The moments. Raises InputError if no tokens are left, or if some are not finite and drop_nonfinite is off."""
        if not self.drop_nonfinite:
            moments.refuse_nonfinite()
        if not moments.n:
            raise InputError(
                "every token of one part of the split has a NaN or an infinity in x or x̂; nothing is left to measure"
            )
        moments.refuse_out_of_range()
        return moments


def _counted(sae: Forward, count: Callable[[Batch, np.ndarray], S], x: Tensor, cluster: np.ndarray) -> S:
    """The totals of some tokens, counted in pieces if memory is short."""
    pieces: list[S] = []

    def observe(feature_acts: Tensor, x: Tensor, x_hat: Tensor, window: slice) -> None:
        pieces.append(count(Batch.of(sae.sae, feature_acts, x, x_hat), cluster[window]))

    sae(x, observe)
    return reduce(add, pieces)


def _order(x: Tensor, start: int, fitted: Tensor) -> Tensor:
    """A checksum of the tokens to fit on, and of their positions."""
    weight = torch.arange(start, start + len(x), device=x.device) % 8191 + 1  # a prime: no usual batch size divides it
    along = torch.arange(x.shape[1], device=x.device, dtype=torch.float32).cos()
    return ((x.float() @ along).nan_to_num(0, 0, 0) * weight * fitted).sum(dtype=torch.float32)
