"""Activations that arrive in sequence: from an iterable, a generator or a DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

from sandbox.activations.source import Chunk, check_counts, check_range, check_same, rechunked
from sandbox.activations.windows import Windows, as_ids
from sandbox.errors import InputError
from sandbox.moments.clusters import numbered
from sandbox.moments.dense import check_dense
from sandbox.system.dtypes import ANY_FLOAT, FLOATS

SHUFFLED = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


class Stream:
    """Tokens from an iterable that yields pieces of any length, regrouped into chunks of the requested size.

    A piece is x of shape (..., d), a tensor or an array; or (x, documents); or a dict with "activations" and,
    optionally, "documents". Documents are whole numbers or texts, one per token. Pieces agree in d, dtype, device and
    in whether they have documents. Tokens are copied, so the iterable may reuse its memory.

    A source that can be restarted (a list, a DataLoader, a function that returns an iterator) can be read repeatedly,
    and from any token by skipping those before it. An iterator, such as a generator, can be read once.
    """

    def __init__(
        self, source: Iterable[Any] | Callable[[], Iterable[Any]], documents: Windows | None, name: str
    ) -> None:
        self.name = name
        self._source = source
        self.documents = documents
        self._begun = False
        self._ahead: list[Chunk] = []  # pieces read ahead, not yet yielded
        self._rest: Iterator[Chunk] | None = None  # the pass that they belong to
        self._first: Chunk | None = None

    @property
    def tokens(self) -> None:
        """Unknown: only a full pass would tell."""
        return

    @property
    def once(self) -> bool:
        """Whether it can be read only once."""
        return isinstance(self._source, Iterator)

    @property
    def width(self) -> int:
        """d, from the first piece, which is read if necessary and kept."""
        return self._template.shape[-1]

    @property
    def device(self) -> torch.device:
        """The device of the first piece, which is read if necessary and kept."""
        return self._template.device

    @property
    def _template(self) -> Tensor:
        """The first piece without its rows: its width, dtype and device are those of all pieces."""
        if self._first is None:
            self._read_ahead(1)
        if self._first is None:
            raise self._empty()
        return self._first.x

    def _empty(self) -> InputError:
        return InputError(f"{self.name} yielded no activations: at least one token is needed")

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Tokens start to stop, in order, exactly `size` at a time (the last chunk may be shorter)."""
        check_range(size, start, stop)
        if start:
            self._check_skips(start)
        yield from rechunked(self._pieces(), size, start, stop, reused=True)

    def sample(self, size: int) -> Tensor:
        """The first tokens, at most `size`, (n, d); `chunks` yields them too."""
        check_range(size, 0, None)
        self._read_ahead(size)
        width = self.width
        pieces = [piece.x for piece in self._ahead]
        return torch.cat(pieces)[:size] if pieces else torch.empty(0, width)

    def _read_ahead(self, size: int) -> None:
        """Read pieces ahead until they hold `size` tokens, or the source ends."""
        if self._rest is None:
            self._rest = self._read()
        tokens = sum(len(piece.x) for piece in self._ahead)
        try:
            while tokens < size and (piece := next(self._rest, None)) is not None:
                self._ahead.append(piece.copy())
                tokens += len(piece.x)
        except BaseException:
            self._ahead, self._rest = [], None  # else the next pass would end here, as if complete
            raise

    def _pieces(self) -> Iterator[Chunk]:
        """All pieces: those read ahead, then the rest of the same pass."""
        ahead, rest = self._ahead, self._rest or self._read()
        self._ahead, self._rest = [], None
        yield from ahead
        yield from rest

    def _read(self) -> Iterator[Chunk]:
        """A new pass. Its pieces are checked against the first one and against the document ids."""
        if self._begun and self.once:
            raise InputError(
                f"{self.name} is a {type(self._source).__name__}, which can be read only once: "
                "pass a function that returns a new one, or a list or DataLoader"
            )
        self._begun = True
        return self._checked(self._source if isinstance(self._source, Iterable) else self._source())

    def _checked(self, items: Any) -> Iterator[Chunk]:
        if not isinstance(items, Iterable):
            raise InputError(f"{self.name} returned a {type(items).__name__}: an iterable of activations is needed")
        tokens = 0
        for number, item in enumerate(items, 1):
            name = f"{self.name}, piece {number}"
            piece = _piece(item, name)
            self._first = self._first or piece.part(0, 0)
            check_same(name, _properties(piece), "the first piece", _properties(self._first))
            if (ids := self.documents) is not None:
                if piece.documents is not None:
                    raise InputError(f"{self.name} yields its own documents, but {ids.name} was passed too: omit one")
                if tokens + len(piece.x) > len(ids):
                    raise InputError(
                        f"{ids.name} holds {len(ids)} document ids, but {self.name} has at least "
                        f"{tokens + len(piece.x)} tokens: one per token is needed"
                    )
                piece = Chunk(piece.x, as_ids(ids[tokens : tokens + len(piece.x)]))
            tokens += len(piece.x)
            yield piece
        if not tokens:
            raise self._empty()
        if self.documents is not None:
            check_counts(self.documents.name, len(self.documents), tokens)

    def _check_skips(self, start: int) -> None:
        source = self._source
        if isinstance(source, Iterator):
            raise InputError(
                f"{self.name} is a {type(source).__name__}, which cannot be read from token {start}, only from its "
                "first: pass a function that returns a new one, or a list or DataLoader"
            )
        if isinstance(source, DataLoader):
            batches = getattr(source.batch_sampler, "sampler", None)
            if isinstance(source.sampler, SHUFFLED) or isinstance(batches, SHUFFLED):
                raise InputError(
                    f"{self.name} is a DataLoader that shuffles, so its tokens from {start} on differ every time: "
                    "use shuffle=False"
                )


def _properties(piece: Chunk) -> dict[str, object]:
    """What all pieces must have in common."""
    x = piece.x
    return {"width": x.shape[-1], "dtype": x.dtype, "device": x.device, "documents": piece.documents is not None}


def _piece(item: Any, name: str) -> Chunk:
    """An item of the iterable as a chunk: tokens, (n, d), and their document ids if it has any."""
    x, documents = item, None
    if isinstance(item, Mapping):
        if "activations" not in item:
            keys = ", ".join(map(str, item)) or "nothing"
            raise InputError(f'{name} is a dict with the keys {keys}: the key "activations" is needed')
        x, documents = item["activations"], item.get("documents")
    elif isinstance(item, tuple | list):
        if len(item) not in (1, 2):
            raise InputError(f"{name} is a {type(item).__name__} of length {len(item)}: x or (x, documents) is needed")
        x, documents = item[0], item[1] if len(item) == 2 else None
    check_dense(x, name)
    if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.dtype.itemsize <= 8:
        x = torch.from_numpy(np.array(x, x.dtype.newbyteorder("="), order="C"))
    if not isinstance(x, Tensor) or x.dtype not in FLOATS:
        actual = f"has dtype {x.dtype}" if isinstance(x, Tensor | np.ndarray) else f"is a {type(x).__name__}"
        raise InputError(f"{name} {actual}: activations must be {ANY_FLOAT}")
    if x.ndim < 1 or not x.shape[-1]:
        raise InputError(f"{name} has shape {tuple(x.shape)}: (..., d) is needed")
    x = x.detach().reshape(-1, x.shape[-1])
    return Chunk(x, None if documents is None else _ids(documents, len(x), f"{name}: documents"))


def _ids(documents: Any, tokens: int, name: str) -> np.ndarray:
    check_dense(documents, name)
    try:
        array = numbered(np.asarray(documents.cpu() if isinstance(documents, Tensor) else documents))
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{name} is a {type(documents).__name__} and cannot be converted to an array: {error}"
        ) from error
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(f"{name} has dtype {array.dtype}: whole numbers or texts are needed, one per token")
    check_counts(name, array.size, tokens)
    return array.reshape(-1).astype(np.int64)
