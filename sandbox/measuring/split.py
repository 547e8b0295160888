"""The part of the documents that a correction is fitted on, and the part held out: each document's id decides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sandbox.activations import Source
from sandbox.activations.prefetch import prefetch
from sandbox.errors import InputError
from sandbox.moments.moments import BLOCK, Moments
from sandbox.system.devices import sent

T = TypeVar("T", bound=Any)


class Split:
    """Documents in two parts: one to fit on, the other held out. It counts the documents that it has seen of each.

    A document's part follows from its id and the seed alone, so that it does not depend on the order of the tokens,
    on what other documents there are, or on how the file is cut up.

    Args:
        share: of the documents to fit on, between 0 and 1
        seed:  another one draws another split
    Raises:  InputError for a share outside (0, 1), or a seed that is not from 0 to 2⁶³ − 1

    >>> Split(0.5, seed=0).fitted(np.array([7, 7, 8, 9, 10]))
    array([ True,  True, False, False, False])
    """

    def __init__(self, share: float = 0.5, seed: int = 0):
        if not 0 < share < 1:
            raise InputError(f"share is {share}: the part of the documents to fit on, between 0 and 1, is needed")
        if not 0 <= seed < 2**63:
            raise InputError(f"seed is {seed}: a whole number from 0 to 2⁶³ − 1 is needed")
        self.share, self.seed = share, seed
        self.seen: dict[bool, set[int]] = {True: set(), False: set()}  # the one thing that grows, with the documents

    def fitted(self, ids: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """Whether each token's document is one to fit on."""
        mixed = _mixed(ids.astype(np.int64).view(np.uint64) ^ _mixed(np.array([self.seed], np.uint64)))
        fitted = mixed < np.uint64(int(self.share * 2**64))
        for part, seen in self.seen.items():
            seen.update(np.unique(ids[fitted == part]).tolist())
        return fitted

    def refuse_one_sided(self, what: str) -> None:
        """Raise InputError if what was seen lies all on one side; `what` names it: documents, blocks of tokens."""
        counts = len(self.seen[True]), len(self.seen[False])
        if all(counts):
            return
        if sum(counts) < 2:
            raise InputError(
                f"{what}: only one was found, and a correction is fitted on some and evaluated on others; give more"
            )
        side = "held out" if counts[1] else "fitted on"
        raise InputError(
            f"{what}: all {sum(counts)} would be {side} with share {self.share} and seed {self.seed}; "
            "give more, another share or another seed"
        )


@dataclass
class Parts:
    """The activations, read as often as asked for, one part of the documents at a time."""

    source: Source
    split: Split
    batch_size: int
    device: torch.device
    drop_nonfinite: bool
    progress: Callable[[int], None] | None
    blocks: bool = False  # whether there are no documents, known once it was read
    fingerprint: float | None = None

    def total(self, tally: Callable[[Tensor, np.ndarray], T], *, fitting: bool) -> T:
        """The sum of a tally over the part to fit on, or over the one held out, on the CPU."""
        total, start, seen = None, 0, torch.zeros((), dtype=torch.float32, device=self.device)
        with torch.no_grad(), closing(prefetch(self.source.chunks(self.batch_size), self.device)) as chunks:
            for x, documents in chunks:
                self.blocks = documents is None
                cluster = np.arange(start, start + len(x)) // BLOCK if documents is None else documents
                fitted = self.split.fitted(cluster)
                here = np.flatnonzero(fitted == fitting)
                if len(here):
                    part = tally(x[sent(here, x.device)], cluster[here])
                    total = part if total is None else total + part
                seen += _order(x, start, sent(fitted, x.device))
                start += len(x)
                if self.progress:
                    self.progress(len(x))
        self.split.refuse_one_sided(f"blocks of {BLOCK} tokens" if self.blocks else "documents")
        self._refuse_others(seen.item())
        assert total is not None  # neither part is empty
        return total.to("cpu")

    def _refuse_others(self, fingerprint: float) -> None:
        """The part to fit on is the same in every reading, or tokens would be held out that were fitted on."""
        if self.fingerprint not in (None, fingerprint):
            raise InputError(
                f"{self.source.name} gave other tokens, or another order, when it was read again: "
                "give activations that do not shuffle"
            )
        self.fingerprint = fingerprint

    def checked(self, moments: Moments) -> Moments:
        """The moments, if there are any and no token was left out without leave."""
        if not self.drop_nonfinite:
            moments.refuse_nonfinite()
        if not moments.n:
            raise InputError("every token of a part has a NaN or an infinity in x or x̂; nothing is left to measure")
        moments.refuse_out_of_range()
        return moments


def _order(x: Tensor, start: int, fitted: Tensor) -> Tensor:
    """A number that depends on the tokens to fit on, and on their order."""
    place = torch.arange(start, start + len(x), device=x.device) % 8191 + 1  # a prime: batches seldom have its length
    along = torch.arange(x.shape[1], device=x.device, dtype=torch.float32).cos()
    return ((x.float() @ along).nan_to_num(0, 0, 0) * place * fitted).sum(dtype=torch.float32)


def _mixed(z: np.ndarray) -> np.ndarray:
    """Every bit of the result depends on every bit of z (SplitMix64: Steele, Lea, Flood 2014)."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
