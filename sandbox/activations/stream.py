"""Activations that come one after the other: any iterable of Python, a generator, a DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

from sandbox.activations.source import Chunk, check_counts, check_range
from sandbox.activations.windows import Windows, as_ids
from sandbox.errors import InputError
from sandbox.moments.clusters import numbered
from sandbox.moments.dense import check_dense
from sandbox.system.devices import ANY_FLOAT, FLOATS

SHUFFLED = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


class Stream:
    """Tokens from an iterable of pieces of any length, cut anew into chunks of the size that is asked for.

    A piece is x of shape (..., d), a tensor or an array; or (x, documents); or a dict with "activations" and perhaps
    "documents". Documents are whole numbers or texts, one a token. Pieces agree in d, dtype, device and in having
    documents.
    What is kept is copied, so that an iterable may give the same memory again with other numbers in it.

    What can be begun anew (a list, a DataLoader, a function that returns an iterator) is read as often as it is asked
    for, and from a later token on by passing over the ones before. An iterator, such as a generator, is read once.
    """

    def __init__(
        self, source: Iterable[Any] | Callable[[], Iterable[Any]], documents: Windows | None, name: str
    ) -> None:
        self.name = name
        self._source = source
        self.documents = documents
        self._begun = False
        self._ahead: list[Chunk] = []  # pieces that were looked at and not yet given
        self._rest: Iterator[Chunk] | None = None  # the reading that they are from
        self._first: Chunk | None = None

    @property
    def tokens(self) -> None:
        """Unknown: only reading them all would tell."""
        return

    @property
    def width(self) -> int:
        """d, from the first piece, which is read for it and kept."""
        return self._shown.shape[-1]

    @property
    def device(self) -> torch.device:
        """That of the first piece, likewise."""
        return self._shown.device

    @property
    def _shown(self) -> Tensor:
        """No row of the first piece, which says what all are like."""
        if self._first is None:
            self._look(1)
        if self._first is None:
            raise InputError(f"{self.name} gave nothing: activations of one token or more are needed")
        return self._first.x

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop, in order, exactly `size` at a time (the last chunk may be shorter)."""
        check_range(size, start, stop)
        if start:
            self._check_skips(start)
        yield from _cut(self._pieces(), size, start, stop)

    def sample(self, size: int) -> Tensor:
        """The first tokens, at most `size`, (n, d); `chunks` gives them too."""
        check_range(size, 0, None)
        self._look(size)
        width = self.width
        pieces = [piece.x for piece in self._ahead]
        return torch.cat(pieces)[:size] if pieces else torch.empty(0, width)

    def _look(self, size: int) -> None:
        """Hold pieces of at least `size` tokens, and one at least, if there are so many."""
        if self._rest is None:
            self._rest = self._read()
        held = sum(len(piece.x) for piece in self._ahead)
        try:
            while held < size and (piece := next(self._rest, None)) is not None:
                self._ahead.append(_copied(piece))
                held += len(piece.x)
        except BaseException:
            self._ahead, self._rest = [], None  # or the next reading would end here, as if all had been read
            raise

    def _pieces(self) -> Iterator[Chunk]:
        """All pieces from the first: those that were looked at, then the rest of the same reading."""
        ahead, rest = self._ahead, self._rest or self._read()
        self._ahead, self._rest = [], None
        yield from ahead
        yield from rest

    def _read(self) -> Iterator[Chunk]:
        """Every piece of one reading, checked against the first and against the document ids."""
        if self._begun and isinstance(self._source, Iterator):
            raise InputError(
                f"{self.name} can be read once only, being a {type(self._source).__name__}: "
                "give a function that returns a new one, or a list or DataLoader"
            )
        self._begun = True
        return self._checked(self._source if isinstance(self._source, Iterable) else self._source())

    def _checked(self, items: Any) -> Iterator[Chunk]:
        if not isinstance(items, Iterable):
            raise InputError(f"{self.name} gave a {type(items).__name__}: an iterable of activations is needed")
        tokens = 0
        for at, item in enumerate(items, 1):
            piece = _piece(item, f"{self.name}, piece {at}")
            self._first = self._first or Chunk(piece.x[:0], None if piece.documents is None else piece.documents[:0])
            _agree(piece, self._first, f"{self.name}, piece {at}")
            if (ids := self.documents) is not None:
                if piece.documents is not None:
                    raise InputError(f"{self.name} has documents of its own, and {ids.name} too: give one of them")
                if tokens + len(piece.x) > len(ids):
                    raise InputError(
                        f"{ids.name} holds {len(ids)} document ids, but {self.name} has {tokens + len(piece.x)} "
                        "tokens or more: one a token is needed"
                    )
                piece = Chunk(piece.x, as_ids(ids[tokens : tokens + len(piece.x)]))
            tokens += len(piece.x)
            yield piece
        if not tokens:
            raise InputError(f"{self.name} gave nothing: activations of one token or more are needed")
        if self.documents is not None:
            check_counts(self.documents.name, len(self.documents), tokens)

    def _check_skips(self, start: int) -> None:
        source = self._source
        if isinstance(source, Iterator):
            raise InputError(
                f"{self.name} is a {type(source).__name__}, which is read from its first token on and not from token "
                f"{start}: give a function that returns a new one, or a list or DataLoader"
            )
        if isinstance(source, DataLoader):
            batches = getattr(source.batch_sampler, "sampler", None)
            if isinstance(source.sampler, SHUFFLED) or isinstance(batches, SHUFFLED):
                raise InputError(
                    f"{self.name} is a DataLoader that shuffles: what comes from token {start} on is never the same; "
                    "use shuffle=False"
                )


def _cut(pieces: Iterator[Chunk], size: int, start: int, stop: int | None) -> Iterator[Chunk]:
    """Pieces of any length ► chunks of exactly `size` tokens, from token start to token stop."""
    held: list[Chunk] = []
    missing = size
    at = 0
    for whole in pieces:
        begin = min(max(start - at, 0), len(whole.x))
        end = len(whole.x) if stop is None else min(max(stop - at, 0), len(whole.x))
        at += len(whole.x)
        while begin < end:
            next_begin = min(begin + missing, end)
            held.append(_copied(_part(whole, begin, next_begin)))
            missing -= next_begin - begin
            begin = next_begin
            if not missing:
                yield _joined(held)
                held, missing = [], size
        if stop is not None and at >= stop:
            break
    if held:
        yield _joined(held)


def _part(piece: Chunk, start: int, stop: int) -> Chunk:
    return Chunk(piece.x[start:stop], None if piece.documents is None else piece.documents[start:stop])


def _copied(piece: Chunk) -> Chunk:
    return Chunk(piece.x.clone(), None if piece.documents is None else piece.documents.copy())


def _joined(pieces: list[Chunk]) -> Chunk:
    if len(pieces) == 1:
        return pieces[0]
    ids = [piece.documents for piece in pieces if piece.documents is not None]
    return Chunk(torch.cat([piece.x for piece in pieces]), np.concatenate(ids) if ids else None)


def _piece(item: Any, name: str) -> Chunk:
    """What an iterable gave, as tokens: (n, d), with one id each if it has any."""
    x, documents = item, None
    if isinstance(item, Mapping):
        if "activations" not in item:
            raise InputError(f'{name} is a dict of {", ".join(map(str, item)) or "nothing"}: "activations" is needed')
        x, documents = item["activations"], item.get("documents")
    elif isinstance(item, tuple | list):
        if len(item) not in (1, 2):
            raise InputError(f"{name} is a {type(item).__name__} of {len(item)}: x, or (x, documents), is needed")
        x, documents = item[0], item[1] if len(item) == 2 else None
    check_dense(x, name)
    if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.dtype.itemsize <= 8:
        x = torch.from_numpy(np.array(x, x.dtype.newbyteorder("="), order="C"))
    if not isinstance(x, Tensor) or x.dtype not in FLOATS:
        found = f"dtype {x.dtype}" if isinstance(x, Tensor | np.ndarray) else f"a {type(x).__name__}"
        raise InputError(f"{name} has {found}: activations in {ANY_FLOAT} needed")
    if x.ndim < 1 or not x.shape[-1]:
        raise InputError(f"{name} has shape {tuple(x.shape)}: (..., d) is needed")
    x = x.detach().reshape(-1, x.shape[-1])
    return Chunk(x, None if documents is None else _ids(documents, len(x), f"the documents of {name}"))


def _ids(documents: Any, tokens: int, name: str) -> np.ndarray:
    check_dense(documents, name)
    try:
        array = numbered(np.asarray(documents.cpu() if isinstance(documents, Tensor) else documents))
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} are a {type(documents).__name__} that is no array: {error}") from error
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(f"{name} have dtype {array.dtype}: whole numbers or texts are needed, one a token")
    check_counts(name, array.size, tokens)
    return array.reshape(-1).astype(np.int64)


def _agree(piece: Chunk, first: Chunk, name: str) -> None:
    for what, one, other in (
        ("width", piece.x.shape[-1], first.x.shape[-1]),
        ("dtype", piece.x.dtype, first.x.dtype),
        ("device", piece.x.device, first.x.device),
        ("documents", piece.documents is not None, first.documents is not None),
    ):
        if one != other:
            raise InputError(f"{name} has {what} {one}, but the first piece has {other}: pieces must agree")
