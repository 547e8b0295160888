"""`Split`: documents in two parts. Only a document's id matters, not the order, the batches or the processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from sandbox.errors import InputError

GOLDEN = 0x9E3779B97F4A7C15
"""The golden ratio's fraction in 64 bits: its multiples, modulo 2⁶⁴, are evenly spread."""

EVEN = int(0.5 * (5**0.5 - 1) * 2**53) << 11 | 1
"""The same fraction with the 53 bits of a float, which the published sweeps (results/) were split by."""


@dataclass(frozen=True)
class Split:
    """A chosen share of the documents.

    Whether a document is chosen depends only on its id, the share and the seed: not on other documents, the order of
    the tokens, or how files are cut up. A larger share contains every smaller one.

    Attributes:
        share: fraction of the documents to choose, between 0 and 1
        seed:  of the random choice (SplitMix64); None chooses evenly among consecutive ids instead
    Raises:  InputError for a share outside (0, 1), or a seed outside 0 … 2⁶³ − 1

    >>> Split(0.5, seed=0).chosen(np.array([7, 7, 8, 9, 10]))
    array([ True,  True, False, False, False])
    >>> Split(0.25, seed=None).chosen(np.arange(12)).nonzero()[0].tolist()
    [0, 2, 5, 10]
    """

    share: float = 0.5
    seed: int | None = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"share is {self.share}: a fraction between 0 and 1 is needed")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}: a whole number from 0 to 2⁶³ − 1 is needed")

    def chosen(self, ids: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """Whether each id belongs to a chosen document. Ids may be any 64-bit integers, hashes included."""
        keys = np.asarray(ids).astype(np.int64).view(np.uint64)
        if self.seed is None:
            spread = keys * np.uint64(EVEN)  # wraps around
        else:
            spread = _mixed(keys ^ _mixed(np.array([self.seed], np.uint64)))
        return spread < np.uint64(int(self.share * 2**64))


def _mixed(z: np.ndarray) -> np.ndarray:
    """Make every bit of the result depend on every bit of z (SplitMix64: Steele, Lea, Flood 2014)."""
    z = z + np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
