"""Two sources side by side: existing x and x̂, in one row per token."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import torch
from torch import Tensor

from sandbox.activations.source import Chunk, Source
from sandbox.errors import InputError


class SideBySide:
    """Rows of x, each with its x̂ appended. The documents are those of x.

    Raises: InputError if the two differ in number of tokens, dimension or device
    """

    def __init__(self, x: Source, x_hat: Source):
        if (x.tokens, x.width) != (x_hat.tokens, x_hat.width):
            raise InputError(
                f"{x.name} holds {x.tokens} tokens of dimension {x.width} and {x_hat.name} {x_hat.tokens} of dimension "
                f"{x_hat.width}: they must agree"
            )
        if x.device != x_hat.device:
            raise InputError(f"{x.name} is on {x.device} and {x_hat.name} on {x_hat.device}: move them to one device")
        self.x, self.x_hat, self.device = x, x_hat, x.device
        self.name, self.width, self.tokens = f"{x.name} and {x_hat.name}", 2 * x.width, x.tokens
        self.documents = getattr(x, "documents", None)
        self.once = any(getattr(source, "once", False) for source in (x, x_hat))
        self.files = [path for source in (x, x_hat) for path in getattr(source, "files", ())]

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop of both."""
        for x, x_hat in zip_longest(self.x.chunks(size, start, stop), self.x_hat.chunks(size, start, stop)):
            if x is None or x_hat is None or len(x.x) != len(x_hat.x):
                raise InputError(f"{self.name} hold different numbers of tokens: they must agree")
            yield Chunk(torch.cat((x.x, x_hat.x), 1), x.documents)

    def sample(self, size: int) -> Tensor:
        """The same tokens of both."""
        x, x_hat = self.x.sample(size), self.x_hat.sample(size)
        shared = min(len(x), len(x_hat))
        return torch.cat((x[:shared], x_hat[:shared]), 1)
