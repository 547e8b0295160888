"""Rows that can be reached in any order, in one part or in many: windows over files, tensors and arrays."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isqrt
from pathlib import Path
from random import Random
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sandbox.activations.origin import Origin
from sandbox.activations.source import Chunk, check_range
from sandbox.errors import InputError
from sandbox.system.files import Version, changed, readable, version_of

ASTRAY = 4
"""Shares of the tokens by which a run of a sample may begin late: within one, it would never cross into the next."""


class Part(Protocol):
    """So many rows that lie together."""

    def __len__(self) -> int: ...

    def __getitem__(self, window: slice, /) -> Tensor: ...


@dataclass(frozen=True)
class FileRows:
    """Rows of one contiguous block of numbers in a file, read a window at a time.

    Attributes:
        path, offset: where the block starts, in bytes
        dtype:        of the stored numbers, with their byte order; bfloat16 is held as its 16 bits
        is_bfloat16:  whether it is
        rows, width:  the shape of the block
        version:      of the file, when it was opened: it is read again and again, and has to stay the same
    """

    path: Path
    offset: int
    dtype: np.dtype
    is_bfloat16: bool
    rows: int
    width: int
    version: Version

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, window: slice) -> Tensor:
        start, stop, _ = window.indices(self.rows)
        count = max(stop - start, 0) * self.width
        at = self.offset + start * self.width * self.dtype.itemsize
        with readable(self.path), self.path.open("rb") as file:
            # Read, not mapped: every page of a map that was touched would count against our memory.
            numbers = np.fromfile(file, self.dtype, count, offset=at)
            if len(numbers) != count:
                raise InputError(f"{self.path} ends before row {stop}: it was cut short while it was read")
            if version_of(file.fileno()) != self.version:
                raise changed(self.path)
        block = numbers.astype(self.dtype.newbyteorder("="), copy=False).reshape(-1, self.width)
        rows = torch.from_numpy(block)
        return rows.view(torch.bfloat16) if self.is_bfloat16 else rows


@dataclass(frozen=True)
class ArrayRows:
    """Rows of an array in memory (or of a numpy memory map), copied a window at a time to what torch can hold."""

    array: np.ndarray

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, window: slice) -> Tensor:
        part = self.array[window]
        return torch.from_numpy(np.array(part, part.dtype.newbyteorder("="), order="C"))


class Windows:
    """Rows of numbers, one for each token, through parts of any lengths.

    Attributes:
        name:  the file, the folder or the argument, for messages
        width: numbers in a row: d, or 1 for document ids
        column: of a dataset, where they are; "" for what has no columns
    """

    def __init__(self, name: str, width: int, parts: Sequence[Part], column: str = "") -> None:
        self.name = name
        self.width = width
        self.column = column
        self._parts = [part for part in parts if len(part)]
        self._starts = list(accumulate((len(part) for part in self._parts), initial=0))

    @property
    def device(self) -> torch.device:
        """Where the rows are: that of the tensor that was given, else the CPU."""
        return self._parts[0][0:0].device if self._parts else torch.device("cpu")

    @property
    def files(self) -> list[Path]:
        """The files that the rows lie in, each once."""
        parts = (getattr(part, "array", part) for part in self._parts)  # a numpy memory map knows its file, too
        paths = (getattr(part, "path", None) or getattr(part, "filename", None) for part in parts)
        return [Path(path) for path in dict.fromkeys(paths) if path is not None]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, window: slice) -> Tensor:
        """Rows start to stop, (rows, width): a view of a tensor, a copy of anything else."""
        start, stop, _ = window.indices(len(self))
        pieces = []
        at = bisect_right(self._starts, start) - 1
        while start < stop:
            begin, end = self._starts[at], min(self._starts[at + 1], stop)
            pieces.append(self._parts[at][start - begin : end - begin])
            start, at = end, at + 1
        if not pieces:
            return self._parts[0][0:0]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


@dataclass(frozen=True)
class RandomAccess:
    """A source whose tokens can be reached in any order: files, folders of them, tensors and arrays.

    Disjoint ranges cost what they hold, so that each rank of a distributed run can take its own.
    """

    rows: Windows
    documents: Windows | None = None

    @property
    def name(self) -> str:
        """The file, the folder or the argument, for messages."""
        return self.rows.name

    @property
    def width(self) -> int:
        """d, the numbers of a token."""
        return self.rows.width

    @property
    def device(self) -> torch.device:
        """Where they are before anyone moves them."""
        return self.rows.device

    @property
    def tokens(self) -> int:
        """How many there are."""
        return len(self.rows)

    @property
    def files(self) -> list[Path]:
        """The files that they lie in; none of a tensor or an array."""
        return self.rows.files

    @property
    def origin(self) -> Origin | None:
        """The place in a model that a dataset's column is named after, as SAELens does; None where nothing is."""
        return Origin(f"column {self.rows.column}", self.rows.column) if self.rows.column else None

    def __len__(self) -> int:
        return self.tokens

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop, in order, exactly `size` at a time (the last chunk may be shorter)."""
        check_range(size, start, stop)
        end = self.tokens if stop is None else min(stop, self.tokens)
        for at in range(start, end, size):
            window = slice(at, min(at + size, end))
            yield Chunk(self.rows[window], None if self.documents is None else as_ids(self.documents[window]))

    def sample(self, size: int) -> Tensor:
        """At most `size` tokens, (n, d), in order: runs spread over all of them.

        About √size runs of √size tokens: few enough to be cheap on a slow disk. Where each begins is drawn (the same
        way each time), over several shares of the tokens. In equal steps, or each within a share of its own, they could
        be in step with contexts, and then see nothing but, say, first positions, or none.
        """
        check_range(size, 0, None)
        if size >= self.tokens:
            return self.rows[0 : self.tokens]
        runs = isqrt(size)
        spare = self.tokens - size  # the tokens left out: they are dealt out between the runs
        draw = Random(1)
        gaps = sorted(int(spare * ((run + ASTRAY * draw.random()) % runs) / runs) for run in range(runs))
        pieces = []
        for run, gap in enumerate(gaps):
            first, last = run * size // runs, (run + 1) * size // runs
            pieces.append(self.rows[first + gap : last + gap])
        return torch.cat(pieces)


def as_ids(rows: Tensor) -> np.ndarray:
    """Document ids as they are handed out: Int64[ndarray, "n"]."""
    return rows.numpy().astype(np.int64).reshape(-1)
