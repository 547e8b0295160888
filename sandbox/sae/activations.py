"""Activations from files, a window at a time: memory stays flat however long the file is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tokenize import TokenError

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sandbox.data import resolve
from sandbox.errors import InputError

FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
INTEGERS = {"I8": "|i1", "U8": "|u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8"}


@dataclass(frozen=True)
class Rows:
    """Rows of numbers, in a file or in memory: one for each token.

    Attributes:
        name:   the file, or the argument, for messages
        shape:  as stored; tokens are all axes but the last (all axes, for document ids)
        width:  numbers in a row: d, or 1 for document ids
        source: a tensor or an array of shape (rows, width), or the file with its offset and dtype
    """

    name: str
    shape: tuple[int, ...]
    width: int
    source: Tensor | np.ndarray | tuple[Path, int, np.dtype, bool]

    def __len__(self) -> int:
        return prod(self.shape) // self.width if self.width else 0

    def __getitem__(self, window: slice) -> Tensor:
        """Rows start to stop, (rows, width), on the CPU if from a file."""
        if isinstance(self.source, Tensor):
            return self.source[window]
        if isinstance(self.source, np.ndarray):
            part = self.source[window]
            return torch.from_numpy(np.array(part, part.dtype.newbyteorder("="), order="C"))
        path, offset, dtype, is_bfloat16 = self.source
        start, stop, _ = window.indices(len(self))
        # A map of just these rows: one map of the whole file would count every page read against our memory.
        at = offset + start * self.width * dtype.itemsize
        held = np.memmap(path, dtype, "r", at, (stop - start, self.width))
        rows = torch.from_numpy(np.array(held, dtype.newbyteorder("=")))
        return rows.view(torch.bfloat16) if is_bfloat16 else rows

    def batches(self, size: int) -> Iterator[Tensor]:
        """All rows in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


def activations(source: str | Path | np.ndarray | Tensor, name: str = "activations") -> Rows:
    """Activations of shape (..., d): a `.npy` or `.safetensors` file, an array or a tensor.

    Raises: InputError for another kind of file, more than one tensor, a dtype that is not a float, no tokens.
    """
    return _rows(source, name, FLOATS, "f", "float16, float32, float64, or bfloat16 in .safetensors")


def document_ids(source: str | Path | np.ndarray | Tensor, tokens: int) -> Rows:
    """One whole number a token, the same for tokens of the same document: a file, an array or a tensor.

    Raises: InputError for anything else, or another number of tokens.
    """
    rows = _rows(source, "documents", INTEGERS, "iu", "whole numbers")
    if len(rows) != tokens:
        raise InputError(f"{rows.name} holds {len(rows)} document ids for {tokens} tokens: one a token is needed")
    return rows


def _rows(source, name: str, dtypes: dict[str, str], kinds: str, expected: str) -> Rows:
    ids = dtypes is INTEGERS
    if isinstance(source, str | Path):
        return _file_rows(resolve(source), name, dtypes, expected)
    if isinstance(source, np.ndarray):
        fits = source.dtype.kind in kinds and source.dtype.itemsize <= 8
    elif isinstance(source, Tensor):
        fits = source.is_floating_point() is not ids and not source.is_complex()
        source = source.detach()
    else:
        raise InputError(f"{name} is a {type(source).__name__}: a file's path, an array or a tensor is needed")
    if not fits:
        raise InputError(f"{name} has dtype {source.dtype}: {expected} needed")
    shape = tuple(source.shape)
    width = _width(name, shape, ids)
    return Rows(name, shape, width, source.reshape(-1, width))


def _file_rows(path: Path, name: str, dtypes: dict[str, str], expected: str) -> Rows:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file (for {name})")
    readers = {".npy": _npy, ".safetensors": _safetensors}
    if path.suffix not in readers:
        raise InputError(f"{path}: {name} are read from .npy and .safetensors files, not {path.suffix or 'this'}")
    kind, dtype, shape, offset = readers[path.suffix](path)
    if kind not in dtypes:
        raise InputError(f"{path}: {name} have dtype {kind}: {expected} needed")
    width = _width(str(path), shape, dtypes is INTEGERS)
    return Rows(str(path), shape, width, (path, offset, dtype, kind == "BF16"))


def _width(name: str, shape: tuple[int, ...], ids: bool) -> int:
    if ids:
        return 1
    if len(shape) < 2 or not prod(shape):
        raise InputError(f"{name} has shape {shape}: (..., d), with one token or more, is needed")
    return shape[-1]


def _npy(path: Path) -> tuple[str, np.dtype, tuple[int, ...], int]:
    """Kind, dtype, shape and offset of a .npy file, from its header alone; pickled objects are never read."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            offset = file.tell()
    except (ValueError, OSError, SyntaxError, TokenError) as error:
        raise InputError(f"{path} is not a .npy file: {error}") from error
    if any(size < 0 for size in shape):
        raise InputError(f"{path} is not a .npy file: its header gives the shape {shape}")
    if fortran and len(shape) > 1:
        raise InputError(f"{path} is stored in Fortran order: save np.ascontiguousarray(x) instead")
    _check_size(path, offset + prod(shape) * dtype.itemsize)
    kinds = {"f": "F", "i": "I", "u": "U"}
    kind = f"{kinds[dtype.kind]}{dtype.itemsize * 8}" if dtype.kind in kinds else str(dtype)
    return kind, dtype, shape, offset


def _safetensors(path: Path) -> tuple[str, np.dtype, tuple[int, ...], int]:
    """Kind, dtype, shape and offset of the one tensor of a .safetensors file."""
    try:
        with safe_open(path, "pt") as file:  # the library checks the whole layout
            names = list(file.keys())
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from error
    if len(names) != 1:
        raise InputError(f"{path} holds {len(names)} tensors ({', '.join(names[:6])}): save the one to measure alone")
    entry = header[names[0]]
    kind = entry["dtype"]
    dtype = np.dtype({**FLOATS, **INTEGERS}.get(kind, "V1"))
    return kind, dtype, tuple(entry["shape"]), 8 + length + entry["data_offsets"][0]


def _check_size(path: Path, needed: int) -> None:
    if (size := path.stat().st_size) < needed:
        raise InputError(f"{path} is cut short: {size} bytes of {needed}; copy it again")
