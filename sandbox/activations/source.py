"""What every source of activations gives: chunks of tokens, with a document id for each where there are any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError


class Chunk(NamedTuple):
    """Tokens in their order.

    Attributes:
        x:         Float[Tensor, "n d"], in the dtype that it is stored in, on the CPU unless the source is elsewhere
        documents: Int64[ndarray, "n"], the same number for tokens of one document; None where nothing is known
    """

    x: Tensor
    documents: np.ndarray | None


class Source(Protocol):
    """Activations, wherever they come from. Opening one reads no activations."""

    @property
    def name(self) -> str:
        """What messages call it: the path, or the argument."""
        ...

    @property
    def width(self) -> int:
        """d, the numbers of a token."""
        ...

    @property
    def device(self) -> torch.device:
        """Where they are before anyone moves them."""
        ...

    @property
    def tokens(self) -> int | None:
        """How many there are; None where only reading them all would tell."""
        ...

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop, in order, exactly `size` at a time (the last chunk may be shorter).

        Raises: InputError for ranges that are none, and for what turns out to be wrong with the data on the way.
        """
        ...

    def sample(self, size: int) -> Tensor:
        """At most `size` tokens, (n, d), in order: a look at the data before the long run.

        Evenly spread where any token can be reached; of a stream the first ones, which `chunks` still gives afterwards.
        """
        ...


def check_range(size: int, start: int, stop: int | None) -> None:
    """Refuse what is no range of tokens; a stop past the end is fine, and means the end."""
    if size < 1:
        raise InputError(f"a chunk of {size} tokens: at least one token at a time is needed")
    if start < 0 or (stop is not None and stop < 0):
        raise InputError(f"tokens {start} to {stop}: a range counts from the first token, which is 0")


def check_counts(name: str, ids: int, tokens: int) -> None:
    """Refuse document ids that are not one a token."""
    if ids != tokens:
        raise InputError(f"{name} holds {ids} document ids for {tokens} tokens: one a token is needed")
