"""Windows over files, objects, tensors and arrays: random access to rows that are stored in one part or several."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isqrt
from pathlib import Path
from random import Random
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from sandbox.activations.ahead import read_ahead
from sandbox.activations.origin import Origin
from sandbox.activations.source import Chunk, check_range, rechunked
from sandbox.activations.stores import RANGE, StoredObject
from sandbox.errors import InputError
from sandbox.moments.clusters import numbered
from sandbox.system.files import Version, changed, readable, version_of

ASTRAY = 4
"""Each run of a sample starts at random within this many equal shares of the tokens. Within one share, the runs would
still be almost equally spaced."""


def astray(runs: int) -> list[float]:
    """How far each run of a sample is moved from equal spacing, in distances between runs."""
    draw = Random(1)
    return [ASTRAY * draw.random() for _ in range(runs)]


class Part(Protocol):
    """Rows that are stored together."""

    def __len__(self) -> int: ...

    def __getitem__(self, window: slice, /) -> Tensor: ...


@dataclass(frozen=True)
class FileRows:
    """A contiguous block of numbers in a file, read one window of rows at a time.

    Attributes:
        path, offset: the file, or the object in a store, and the byte at which the block starts
        dtype:        dtype of the stored numbers, with their byte order; unsigned 16-bit integers for bfloat16
        is_bfloat16:  whether to interpret those integers as bfloat16
        rows, width:  shape of the block
        version:      the file's version when it was opened; the file is read repeatedly and must not change. None for
                      an object, which knows its own
    """

    path: Path | StoredObject
    offset: int
    dtype: np.dtype
    is_bfloat16: bool
    rows: int
    width: int
    version: Version | None

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, window: slice) -> Tensor:
        rows = read_rows(self, window).astype(self.dtype.newbyteorder("="), copy=False)
        numbers = torch.from_numpy(rows.reshape(-1, self.width))
        return numbers.view(torch.bfloat16) if self.is_bfloat16 else numbers


@dataclass(frozen=True)
class TextRows:
    """Fixed-width texts in a file (numpy's dtypes U and S), read one window at a time. Each becomes a 64-bit number.

    Attributes:
        path, offset: the file, or the object in a store, and the byte at which the texts start
        dtype:        dtype of the stored texts
        rows:         number of texts
        version:      the file's version when it was opened; the file must not change. None for an object
    """

    path: Path | StoredObject
    offset: int
    dtype: np.dtype
    rows: int
    version: Version | None
    width: ClassVar[int] = 1

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, window: slice) -> Tensor:
        return torch.from_numpy(numbered(read_rows(self, window)).astype(np.int64)).unsqueeze(1)


def read_rows(stored: FileRows | TextRows, window: slice) -> np.ndarray:
    """The entries of the rows in a window, flat. Raises InputError if the file changed since it was opened.

    An object is checked where its last row is read, because the check is a request of its own.
    """
    start, stop, _ = window.indices(stored.rows)
    count = max(stop - start, 0) * stored.width
    offset = stored.offset + start * stored.width * stored.dtype.itemsize
    if isinstance(stored.path, StoredObject):
        entries = stored.path.read(offset, offset + count * stored.dtype.itemsize).view(stored.dtype)
        if count and stop == stored.rows:
            stored.path.check_unchanged()
        return entries
    with readable(stored.path), stored.path.open("rb") as file:
        # Not memory-mapped, because every page touched would count as memory of this process.
        entries = np.fromfile(file, stored.dtype, count, offset=offset)
        if len(entries) != count:
            raise InputError(f"{stored.path} ends before row {stop}: it was truncated while it was being read")
        if version_of(file.fileno()) != stored.version:
            raise changed(stored.path)
    return entries


@dataclass(frozen=True)
class ArrayRows:
    """Rows of an array in memory (or of a numpy memory map). Each window is copied into memory that torch can use."""

    array: np.ndarray

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, window: slice) -> Tensor:
        rows = self.array[window]
        return torch.from_numpy(np.array(rows, rows.dtype.newbyteorder("="), order="C"))


class Windows:
    """Rows of numbers, one per token, across parts of any length.

    Attributes:
        name:   the file, the folder or the argument, for messages
        width:  numbers in a row: d, or 1 for document ids
        column: name of the dataset column that holds them, or ""
    """

    def __init__(self, name: str, width: int, parts: Sequence[Part], column: str = "") -> None:
        self.name = name
        self.width = width
        self.column = column
        self._parts = [part for part in parts if len(part)]
        self._starts = list(accumulate((len(part) for part in self._parts), initial=0))

    @property
    def device(self) -> torch.device:
        """The tensor's device; the CPU for files and arrays."""
        return self._parts[0][0:0].device if self._parts else torch.device("cpu")

    @property
    def files(self) -> list[Path | StoredObject]:
        """The files, or the objects of a store, that hold the rows, each once."""
        parts = (getattr(part, "array", part) for part in self._parts)  # a numpy memory map has a file as well
        paths = (getattr(part, "path", None) or getattr(part, "filename", None) for part in parts)
        return [path if isinstance(path, StoredObject) else Path(path) for path in dict.fromkeys(paths) if path]

    @property
    def span(self) -> int | None:
        """Rows to request at a time from a store; None for what is on this machine."""
        part = self._parts[0] if self._parts else None
        if not isinstance(part, FileRows | TextRows) or not isinstance(part.path, StoredObject):
            return None
        return max(1, RANGE // (part.width * part.dtype.itemsize))

    def each(self, windows: Iterable[slice]) -> Iterator[Tensor]:
        """The rows of each window; those of a store are read ahead."""
        return map(self.__getitem__, windows) if self.span is None else read_ahead(self.__getitem__, windows)

    def in_order(self, size: int, start: int, stop: int) -> Iterator[Tensor]:
        """Rows start to stop, `size` at a time; those of a store are read ahead in requests of RANGE bytes."""
        windows = (slice(at, min(at + (self.span or size), stop)) for at in range(start, stop, self.span or size))
        if self.span is None:
            yield from self.each(windows)
        else:
            yield from (piece.x for piece in rechunked((Chunk(rows, None) for rows in self.each(windows)), size))

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, window: slice) -> Tensor:
        """Rows start to stop, (rows, width): a view of a tensor, a copy of anything else."""
        start, stop, _ = window.indices(len(self))
        pieces = []
        index = bisect_right(self._starts, start) - 1
        while start < stop:
            begin, end = self._starts[index], min(self._starts[index + 1], stop)
            pieces.append(self._parts[index][start - begin : end - begin])
            start, index = end, index + 1
        if not pieces:
            return self._parts[0][0:0]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


@dataclass(frozen=True)
class RandomAccess:
    """A source with random access: files, folders of files, objects in a store, tensors and arrays.

    Only the tokens of a range are read for it, so each rank of a distributed run can take its own range.
    """

    rows: Windows
    documents: Windows | None = None

    @property
    def name(self) -> str:
        """The file, the folder or the argument, for messages."""
        return self.rows.name

    @property
    def width(self) -> int:
        """d, the dimension of the activations."""
        return self.rows.width

    @property
    def device(self) -> torch.device:
        """The device on which chunks arrive."""
        return self.rows.device

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return len(self.rows)

    @property
    def files(self) -> list[Path | StoredObject]:
        """The files, or the objects of a store, that hold the activations; none for a tensor or an array."""
        return self.rows.files

    @property
    def origin(self) -> Origin | None:
        """The hook that a dataset's column is named after, as SAELens does; None without a column."""
        return Origin(f"column {self.rows.column}", self.rows.column) if self.rows.column else None

    def __len__(self) -> int:
        return self.tokens

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop, in order, exactly `size` at a time (the last chunk may be shorter)."""
        check_range(size, start, stop)
        end = self.tokens if stop is None else min(stop, self.tokens)
        ids = None if self.documents is None else self.documents.in_order(size, start, end)
        for x in self.rows.in_order(size, start, end):
            yield Chunk(x, None if ids is None else as_ids(next(ids)))

    def sample(self, size: int) -> Tensor:
        """At most `size` tokens, (n, d), in order: runs spread over the whole source.

        About √size runs of √size tokens, few enough to be cheap on a slow disk. Each starts at random (but the same in
        every call) within several shares of the tokens. Equally spaced runs, or one run per share, could match the
        period of the contexts and contain, say, only first positions, or none.
        """
        check_range(size, 0, None)
        if size >= self.tokens:
            return self.rows[0 : self.tokens]
        runs = isqrt(size)
        spare = self.tokens - size  # tokens left out, as gaps between the runs
        gaps = sorted(int(spare * ((run + by) % runs) / runs) for run, by in enumerate(astray(runs)))
        firsts = [run * size // runs for run in range(runs + 1)]
        windows = [slice(firsts[run] + gap, firsts[run + 1] + gap) for run, gap in enumerate(gaps)]
        return torch.cat(list(self.rows.each(windows)))


def as_ids(rows: Tensor) -> np.ndarray:
    """Document ids in the form that a chunk holds: Int64[ndarray, "n"]."""
    return rows.numpy().astype(np.int64).reshape(-1)
