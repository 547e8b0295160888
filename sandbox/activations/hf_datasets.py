"""A folder that Hugging Face's `datasets` saved, as SAELens caches activations: rows of contexts, read in place.

`Dataset.save_to_disk` (datasets 5) writes `dataset_info.json`, `state.json`, which lists the data files in their order,
and these files as Arrow streams, uncompressed. SAELens (6, cache_activations_runner.py) has in them, for each context,
a column named after the hook, Array2D of shape (context, d), and `token_ids`.

Every batch of an Arrow file has its numbers in one block. Its address in the mapped file says where it lies, and from
there it is read as any other file is: in the dtype that is stored (the library itself would make float32 of float16),
and with nothing held but the window that is asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.activations.windows import FileRows, Part, Windows
from sandbox.errors import InputError
from sandbox.system.files import Version, readable, version_of
from sandbox.system.text import shown

END = b"\xff\xff\xff\xff\0\0\0\0"
"""The last bytes of an Arrow stream that was closed (Arrow's format, IPC streaming)."""

PADDED = 64
"""Blocks of an Arrow stream are filled up to a multiple of this many bytes, or of fewer."""

INFO, STATE, SPLITS = "dataset_info.json", "state.json", "dataset_dict.json"


@dataclass(frozen=True)
class RowIds:
    """For every token of consecutive rows the number of its row.

    Attributes:
        first: the number of the first row
        ends:  for each row the number of tokens up to its end; or the one length that all rows have
        rows:  how many rows
    """

    first: int
    ends: np.ndarray | int
    rows: int

    def __len__(self) -> int:
        if isinstance(self.ends, int):
            return self.ends * self.rows
        return int(self.ends[-1]) if self.rows else 0

    def __getitem__(self, window: slice) -> Tensor:
        tokens = np.arange(*window.indices(len(self)))
        row = tokens // self.ends if isinstance(self.ends, int) else np.searchsorted(self.ends, tokens, side="right")
        return torch.from_numpy(self.first + row.astype(np.int64)).unsqueeze(1)


def is_dataset(path: Path) -> bool:
    """Whether this is a folder that `datasets` saved, of one split or of several."""
    with readable(path):
        return path.is_dir() and ((path / SPLITS).is_file() or all((path / one).is_file() for one in (INFO, STATE)))


def dataset_rows(folder: Path, column: str | None, name: str) -> tuple[Windows, Windows | None]:
    """The activations of a saved dataset, and the number of the row of each token as its document.

    The column of activations is the only one of lists of floats, or the one that `folder::column` names. A row may be
    a context, (tokens, d), of one length or of different ones, or a token, (d,): then nothing is known of documents.

    Raises: InputError for a folder of splits, no such column or two, files missing or not as `datasets` writes.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise InputError(f"{folder} is a dataset of Hugging Face: reading it needs pip install datasets") from error
    if (folder / SPLITS).is_file():
        splits = ", ".join(sorted(one.name for one in folder.iterdir() if is_dataset(one))) or "nothing"
        raise InputError(f"{folder} holds the splits {splits}: name one of them, as in {folder}/train")
    files, features = _described(folder)
    reader = _Reader(folder, column, features)
    try:
        for file in files:
            reader.read(file)
    except (OSError, KeyError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{folder} cannot be read: {str(error).partition(chr(10))[0]}") from error
    if not reader.parts:
        raise InputError(f"{folder} has no rows: {name} of one token or more are needed")
    rows = Windows(f"{folder}::{column}" if column else str(folder), reader.width, reader.parts, reader.column)
    return rows, Windows(str(folder), 1, reader.ids) if reader.ids else None


def _described(folder: Path) -> tuple[list[Path], dict[str, Any]]:
    """The data files in their order, and what the dataset says of its columns."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        features = json.loads((folder / INFO).read_text(encoding="utf-8")).get("features") or {}
        names = [one["filename"] for one in state["_data_files"]]
        if not isinstance(features, dict) or not all(isinstance(one, str) and one for one in names):
            raise TypeError("names and features of another type")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder}: its {INFO} and {STATE} are not as datasets writes them ({error!r})") from error
    if state.get("_indices_data_files"):
        raise InputError(f"{folder} has its rows in another order than it says: save dataset.flatten_indices() instead")
    files = [folder / one for one in names]
    if missing := [one.name for one in files if not one.is_file()]:
        raise InputError(f"{folder}: {missing[0]} is missing ({len(missing)} of {len(files)} data files)")
    return files, features


def _shape(folder: Path, features: dict[str, Any], column: str) -> list[int | None] | None:
    """What the dataset says of the shape of a row: lengths, the first perhaps unknown; None where it says nothing."""
    found = features.get(column)
    shape = found.get("shape") if isinstance(found, dict) else None
    if shape is None:
        return None
    lengths = shape if isinstance(shape, list) else [shape]
    known = all(type(one) is int and one > 0 for one in lengths[1:] + [one for one in lengths[:1] if one is not None])
    if not lengths or not known:
        raise InputError(f"{folder}: its {INFO} gives {column} the shape {shown(shape)}, which is none")
    return lengths


class _Reader:
    """Goes over the batches of the data files, and notes where their numbers lie; only headers are read."""

    def __init__(self, folder: Path, column: str | None, features: dict[str, Any]) -> None:
        self.folder = folder
        self.asked = column
        self.features = features
        self.column = ""
        self.width = 0
        self.dtype = np.dtype("V")
        self.parts: list[Part] = []
        self.ids: list[Part] = []
        self.rows = 0

    def read(self, file: Path) -> None:
        import pyarrow

        version = version_of(file)
        with file.open("rb") as opened:
            opened.seek(max(version[2] - len(END), 0))
            if opened.read() != END:
                raise InputError(f"{file} is cut short, or damaged: it does not end as an Arrow stream; save it again")
        with pyarrow.memory_map(str(file)) as mapped:
            base = mapped.read_buffer(1).address
            mapped.seek(0)
            with pyarrow.ipc.open_stream(mapped) as stream:
                self.column = self.column or self._chosen(stream.schema)
                for batch in stream:
                    array = batch.column(self.column)
                    array.validate(full=True)  # of lists of numbers it looks at their offsets alone
                    self._note(file, version, base, getattr(array, "storage", array))

    def _chosen(self, schema) -> str:
        """The column of activations."""
        fits = {one.name: one.type for one in schema if _is_floats(one.type)}
        if self.asked is not None:
            if self.asked not in fits:
                there = ", ".join(fits) or "none"
                raise InputError(f"{self.folder} has no column {self.asked!r} of lists of floats; there are: {there}")
            return self.asked
        if len(fits) != 1:
            there = ", ".join(fits or schema.names) or "nothing"
            advice = f"name one, as in {self.folder}::{next(iter(fits))}" if fits else "activations are lists of floats"
            raise InputError(f"{self.folder} has {len(fits)} columns of lists of floats among {there}: {advice}")
        return next(iter(fits))

    def _note(self, file: Path, version: Version, base: int, array) -> None:
        """One batch of the column: lists (of lists) of floats, in one block of the file."""
        lists = []
        inner = array
        while _is_list(inner.type):
            lists.append(inner)
            inner = inner.flatten()
        if any(one.null_count for one in (*lists, inner)):
            raise InputError(f"{file}: {self.column} has rows or numbers that are missing (null)")
        tokens = len(lists[-1])
        if not tokens:
            self.rows += len(array)
            return
        shape = _shape(self.folder, self.features, self.column)
        width = (shape[-1] if shape else _length(lists[-1])) or 0
        context = prod(one or 0 for one in shape[:-1]) if shape and shape[0] is not None else None
        dtype = np.dtype(f"<f{inner.type.bit_width // 8}")
        if not self.parts:
            self.width, self.dtype = width, dtype
        whole = len(inner) == tokens * width and context in (None, tokens / len(array))
        if not width or not whole or (width, dtype) != (self.width, self.dtype):
            raise InputError(f"{file}: {self.column} has rows that differ: (tokens, d), of one d and dtype, is needed")
        block, size, before = inner.buffers()[1], len(inner) * dtype.itemsize, inner.offset * dtype.itemsize
        if not 0 <= block.size - before - size < PADDED:
            raise InputError(f"{file} is damaged: {block.size} bytes of {self.column} for {size}; save it again")
        offset = block.address + before - base
        if not 0 <= offset <= version[2] - size:
            raise InputError(f"{file} is compressed: save the dataset again, with dataset.save_to_disk(...)")
        self.parts.append(FileRows(file, offset, dtype, False, tokens, self.width, version))
        if len(lists) > 1:
            self.ids.append(RowIds(self.rows, _ends(lists) if context is None else context, len(array)))
        self.rows += len(array)


def _is_list(kind) -> bool:
    from pyarrow import types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_floats(kind) -> bool:
    """Lists, at any depth, of float16, float32 or float64 (Arrow has no bfloat16)."""
    from pyarrow import types

    kind = getattr(kind, "storage_type", kind)
    if not _is_list(kind):
        return False
    while _is_list(kind):
        kind = kind.value_type
    return types.is_floating(kind)


def _length(array) -> int | None:
    """The one length of all these lists, None if they differ; read from the offsets, a few bytes a token."""
    from pyarrow import types

    if types.is_fixed_size_list(array.type):
        return array.type.list_size
    lengths = np.diff(array.offsets.to_numpy())
    return int(lengths[0]) if (lengths == lengths[0]).all() else None


def _ends(lists: list) -> np.ndarray:
    """For each row the number of tokens up to its end, through all levels of lists but the last."""
    from pyarrow import types

    ends = np.arange(1, len(lists[0]) + 1)
    for one in lists[:-1]:
        if types.is_fixed_size_list(one.type):
            ends = ends * one.type.list_size
        else:
            offsets = one.offsets.to_numpy()
            ends = offsets[ends].astype(np.int64) - int(offsets[0])
    return ends
