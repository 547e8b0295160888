"""Activations from anywhere, a chunk at a time, in constant memory.

| source | random access | its own documents |
| --- | --- | --- |
| a .npy, .safetensors, .pt or .pth file | yes | |
| a folder of such files, or a pattern, `acts/*.npy` | yes | |
| the same in a store: `s3://bucket/acts/*.npy`, any URL of fsspec; no .pt, .pth | yes | |
| a folder saved by Hugging Face's datasets, as SAELens caches activations; `folder::column` | yes | its rows |
| an array or a tensor | yes | |
| an iterable or a DataLoader of tensors, or a function that returns an iterator | no | (x, documents), or a dict |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from sandbox.activations import hf_datasets
from sandbox.activations.files import ACTIVATIONS, IDS, READERS, Kind, file_rows, width_of
from sandbox.activations.pairs import SideBySide
from sandbox.activations.shards import is_pattern, joined, natural, shard_rows
from sandbox.activations.source import Chunk, Source, Targets, check_counts
from sandbox.activations.stores import found, is_url
from sandbox.activations.stream import Stream
from sandbox.activations.windows import ArrayRows, RandomAccess, Windows
from sandbox.data import resolve
from sandbox.errors import InputError
from sandbox.moments.clusters import numbered
from sandbox.moments.dense import check_dense
from sandbox.system.dtypes import NAMES
from sandbox.system.files import readable

__all__ = [
    "Chunk",
    "PathOrArray",
    "RandomAccess",
    "SideBySide",
    "Source",
    "SourceLike",
    "Stream",
    "Targets",
    "Windows",
    "activations",
    "document_ids",
    "with_targets",
]

PathOrArray = str | Path | np.ndarray | Tensor
"""Sources with random access: a path or a URL, an array, a tensor."""

SourceLike = PathOrArray | Iterable[Any] | Callable[[], Iterable[Any]] | Source
"""What `activations` opens."""


def activations(source: SourceLike, documents: PathOrArray | None = None, name: str = "activations") -> Source:
    """Open activations of shape (..., d) in float16, bfloat16, float32 or float64: all axes but the last count tokens.

    Args:
        source:    any row of the table at the top of this module; a `Source` is returned unchanged
        documents: one whole number (or text) per token, equal for tokens of the same document: a file, a folder or
                   pattern of files, an array or a tensor. Replaces a dataset's own documents
        name:      what messages call activations that are not in a file
    Raises: InputError for another kind of source or dtype, no tokens, or a number of documents other than one per
            token (for a stream, whose length is unknown, at its end)

    >>> opened = activations(torch.arange(6.0).reshape(3, 2), documents=np.array([7, 7, 8]))
    >>> for chunk in opened.chunks(2):
    ...     print(chunk.x.tolist(), chunk.documents)
    [[0.0, 1.0], [2.0, 3.0]] [7 7]
    [[4.0, 5.0]] [8]
    """
    if callable(getattr(source, "chunks", None)) and callable(getattr(source, "sample", None)):
        if documents is not None:
            raise InputError(f"{name} is already open: pass its documents when opening it")
        return cast("Source", source)
    if isinstance(source, str | Path | np.ndarray | Tensor):
        rows, own = _opened(source, name, ACTIVATIONS)
        if not len(rows):
            raise InputError(f"{rows.name} holds no tokens: shape (..., d), with at least one token, is needed")
        return RandomAccess(rows, own if documents is None else document_ids(documents, len(rows)))
    if isinstance(source, bytes | dict | torch.nn.Module) or not (callable(source) or isinstance(source, Iterable)):
        kind = type(source).__name__
        raise InputError(f"{name} is a {kind}: a file path, an array, a tensor or an iterable is needed")
    return Stream(source, None if documents is None else document_ids(documents), name)


def with_targets(source: Source, targets: SourceLike | None) -> Source:
    """The source, with a transcoder's targets beside it if there are any.

    Args:   targets: any source of the same tokens in the same order, of any width
    Raises: InputError if both have targets, or differ in number of tokens or, on reading, in documents
    """
    if targets is None:
        return source
    if getattr(source, "targets", None) is not None:
        raise InputError(f"{source.name} already has targets: leave out the others")
    return SideBySide(source, activations(targets, name="targets"), as_targets=True)


def document_ids(source: PathOrArray, tokens: int | None = None) -> Windows:
    """One whole number (or text) per token, equal for tokens of the same document: files, an array or a tensor.

    Raises: InputError for anything else, and if the number of tokens is known and differs
    """
    if not isinstance(source, str | Path | np.ndarray | Tensor):
        raise InputError(f"documents is a {type(source).__name__}: a file path, an array or a tensor is needed")
    rows, _ = _opened(numbered(source) if isinstance(source, np.ndarray) else source, "documents", IDS)
    if tokens is not None:
        check_counts(rows.name, len(rows), tokens)
    return rows


def _opened(source: PathOrArray, name: str, kind: Kind) -> tuple[Windows, Windows | None]:
    """The source's rows, and its own documents."""
    if isinstance(source, str) and is_url(source):
        return _opened_url(source, name, kind), None
    if isinstance(source, str | Path):
        with readable(source):
            return _opened_path(resolve(source), name, kind)
    check_dense(source, name)
    if isinstance(source, Tensor):
        # Document ids are counted on the CPU. Moving them batch by batch would wait for the device every time.
        fits, source = NAMES.get(source.dtype) in kind.dtypes, source.detach().to("cpu" if kind.ids else None)
    else:
        fits = source.dtype.kind in ("iu" if kind.ids else "f") and source.dtype.itemsize <= 8
    if not fits:
        raise InputError(f"{name} has dtype {source.dtype}: {kind.needed} are needed")
    width = width_of(name, tuple(source.shape), kind)
    # An explicit length: -1 is ambiguous when there are no tokens.
    flat = source.reshape(prod(source.shape) // width, width)
    return Windows(name, width, [flat if isinstance(flat, Tensor) else ArrayRows(flat)]), None


def _opened_url(url: str, name: str, kind: Kind) -> Windows:
    shown, objects = found(url, name)
    if isinstance(objects, list):
        in_order = sorted(objects, key=lambda stored: natural(stored.url))
        return joined(shown, in_order, name, kind)
    part = file_rows(objects, name, kind)
    return Windows(shown, part.width, [part])


def _opened_path(path: Path, name: str, kind: Kind) -> tuple[Windows, Windows | None]:
    folder, _, column = str(path).rpartition("::")
    if hf_datasets.is_dataset(path) or (folder and hf_datasets.is_dataset(Path(folder))):
        if kind.ids:
            raise InputError(f"{path} is a dataset: {name} are read from {', '.join(READERS)} files")
        return hf_datasets.dataset_rows(*((path, None) if path.exists() else (Path(folder), column)), name)
    if path.is_dir() or is_pattern(path):
        return shard_rows(path, name, kind), None
    if not path.is_file():
        raise InputError(f"{path}: there is no such file (for {name})")
    part = file_rows(path, name, kind)
    return Windows(str(path), part.width, [part]), None
