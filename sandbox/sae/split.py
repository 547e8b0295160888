"""Which documents a correction is fitted on, and which it is evaluated on: each document decides by its own id."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from sandbox.errors import InputError


class Split:
    """Documents in two parts: one to fit on, the other held out. It counts the documents that it has seen of each.

    A document's part follows from its id and the seed alone, so that it does not depend on the order of the tokens,
    on what other documents there are, or on how the file is cut up.

    Args:
        share: of the documents to fit on, between 0 and 1
        seed:  another one draws another split
    Raises:  InputError for a share outside (0, 1), or a seed that is not from 0 to 2⁶³ − 1

    >>> Split(0.5, seed=0).fitted(np.array([7, 7, 8, 9, 10]))
    array([False, False, False, False,  True])
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


def _mixed(z: np.ndarray) -> np.ndarray:
    """Every bit of the result depends on every bit of z (SplitMix64: Steele, Lea, Flood 2014)."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
