"""Two sources side by side, in one row per token: existing x and x̂, or the x and the y of a transcoder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from sandbox.activations.origin import Origin
from sandbox.activations.source import Chunk, Source, Targets
from sandbox.errors import InputError


class SideBySide:
    """Rows of x, each with a row of another source appended. The documents are those of x, or else of the other.

    Args:
        x, other:   the sources
        as_targets: whether `other` holds the targets of a transcoder that reads x, and so may have another dimension
    Raises: InputError if the two differ in number of tokens, dimension or device, and, on reading, in documents
    """

    targets: Targets | None = None

    def __init__(self, x: Source, other: Source, *, as_targets: bool = False):
        if x.tokens != other.tokens or (x.width != other.width and not as_targets):
            raise InputError(f"{_described(x)} and {_described(other)}: they must agree")
        if as_targets:
            self.targets = Targets(x.width, other.name, getattr(other, "origin", None))
        if x.device != other.device:
            raise InputError(f"{x.name} is on {x.device} and {other.name} on {other.device}: move them to one device")
        self.x, self.other, self.device = x, other, x.device
        self.name, self.width = f"{x.name} and {other.name}", x.width + other.width
        self.tokens = x.tokens
        self.documents = getattr(x, "documents", None) or getattr(other, "documents", None)
        self.once = any(getattr(source, "once", False) for source in (x, other))
        self.files = [path for source in (x, other) for path in getattr(source, "files", ())]
        self.origin: Origin | None = getattr(x, "origin", None)

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop of both."""
        for x, other in zip_longest(self.x.chunks(size, start, stop), self.other.chunks(size, start, stop)):
            if x is None or other is None or len(x.x) != len(other.x):
                raise InputError(f"{self.name} hold different numbers of tokens: they must agree")
            ids, others = x.documents, other.documents
            if ids is not None and others is not None and not np.array_equal(ids, others):
                raise InputError(f"{self.name} hold different documents: give the same tokens in the same order")
            yield Chunk(torch.cat((x.x, other.x), 1), other.documents if x.documents is None else x.documents)

    def sample(self, size: int) -> Tensor:
        """The same tokens of both."""
        x, other = self.x.sample(size), self.other.sample(size)
        shared = min(len(x), len(other))
        return torch.cat((x[:shared], other[:shared]), 1)


def _described(source: Source) -> str:
    tokens = "an unknown number of" if source.tokens is None else source.tokens
    return f"{source.name} holds {tokens} tokens of dimension {source.width}"
