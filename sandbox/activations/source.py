"""What every source of activations provides: chunks of tokens, each token with its document id if it has one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sandbox.activations.origin import Origin
from sandbox.errors import InputError


class Targets(NamedTuple):
    """What a source's rows hold beside the x that a transcoder reads: the y that it reconstructs.

    Attributes:
        start:  column at which they begin, so that x is the columns before it
        name:   what messages and reports call them
        origin: the model and hook that they come from, if known
    """

    start: int
    name: str
    origin: Origin | None = None


class Chunk(NamedTuple):
    """Consecutive tokens.

    Attributes:
        x:         Float[Tensor, "n d"], in its stored dtype, on the CPU unless the source is on another device
        documents: Int64[ndarray, "n"], equal for tokens of the same document; None if documents are unknown
    """

    x: Tensor
    documents: np.ndarray | None

    def part(self, start: int, stop: int) -> Chunk:
        """Tokens start to stop, as views."""
        return Chunk(self.x[start:stop], None if self.documents is None else self.documents[start:stop])

    def copy(self) -> Chunk:
        """The same tokens in memory of their own."""
        return Chunk(self.x.clone(), None if self.documents is None else self.documents.copy())


@runtime_checkable
class Source(Protocol):
    """Activations, wherever they come from. Opening a source reads no activations.

    A source for transcoders also has an attribute `targets` (`Targets`): each of its rows holds x, then y.
    """

    @property
    def name(self) -> str:
        """What messages call it: the path, or the argument."""
        ...

    @property
    def width(self) -> int:
        """d, the dimension of the activations."""
        ...

    @property
    def device(self) -> torch.device:
        """The device on which chunks arrive."""
        ...

    @property
    def tokens(self) -> int | None:
        """Number of tokens; None if only a full pass would tell."""
        ...

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop, in order, exactly `size` at a time (the last chunk may be shorter).

        Raises: InputError for an invalid range, and for invalid data when the pass reaches it
        """
        ...

    def sample(self, size: int) -> Tensor:
        """At most `size` tokens, (n, d), in order, to check the data before a long run.

        Spread over the whole source if it has random access, else its first tokens, which `chunks` still yields.
        """
        ...


def rechunked(
    pieces: Iterable[Chunk], size: int, start: int = 0, stop: int | None = None, *, reused: bool = False
) -> Iterator[Chunk]:
    """Pieces of any length ► chunks of exactly `size` tokens, from token start to token stop.

    Args: reused: whether the memory of a piece may be overwritten once the next piece is requested
    """
    parts: list[Chunk] = []
    missing = size
    position = 0  # of the piece's first token
    for piece in pieces:
        length = len(piece.x)
        begin = min(max(start - position, 0), length)
        end = length if stop is None else min(max(stop - position, 0), length)
        position += length
        while begin < end:
            part = piece.part(begin, min(begin + missing, end))
            begin += len(part.x)
            missing -= len(part.x)
            joined_now = not missing and parts  # which copies the part
            # A kept view of a part would keep the memory of its whole piece.
            if not joined_now and (reused or len(part.x) < length):
                part = part.copy()
            parts.append(part)
            if not missing:
                yield _joined(parts)
                parts, missing = [], size
        if stop is not None and position >= stop:
            break
    if parts:
        yield _joined(parts)


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    documents = [chunk.documents for chunk in chunks if chunk.documents is not None]
    return Chunk(torch.cat([chunk.x for chunk in chunks]), np.concatenate(documents) if documents else None)


def check_range(size: int, start: int, stop: int | None) -> None:
    """Refuse an invalid range of tokens. A stop past the end is valid and means the end."""
    if size < 1:
        raise InputError(f"chunk size is {size}: it must be at least 1 token")
    if start < 0 or (stop is not None and stop < 0):
        raise InputError(f"tokens {start} to {stop}: token numbers start at 0")


def check_counts(name: str, ids: int, tokens: int) -> None:
    """Refuse document ids that are not one per token."""
    if ids != tokens:
        raise InputError(f"{name} holds {ids} document ids for {tokens} tokens: one per token is needed")


def check_same(name: str, properties: Mapping[str, object], first: str, expected: Mapping[str, object]) -> None:
    """Refuse a shard or a piece that differs from the first one, for instance in width or dtype."""
    for key, value in properties.items():
        if value != expected[key]:
            raise InputError(f"{name} has {key} {value}, but {first} has {expected[key]}: they must agree")
