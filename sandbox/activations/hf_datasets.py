"""A folder saved by Hugging Face's `datasets`, as SAELens caches activations: one context per row, read in place.

`Dataset.save_to_disk` (datasets 5) writes `dataset_info.json`, `state.json`, which lists the data files in order, and
the data files themselves: uncompressed Arrow streams. SAELens (6, cache_activations_runner.py) stores two columns, with
one row per context: one named after the hook, an Array2D of shape (context, d), and `token_ids`.

Each batch of an Arrow file has its numbers in one block, and the block's address in the mapped file gives its offset.
The block is then read like any other file: in its stored dtype (the library would convert float16 to float32), one
window at a time.
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
"""The last bytes of a complete Arrow stream (Arrow's format, IPC streaming)."""

PADDED = 64
"""Blocks of an Arrow stream are padded to a multiple of this many bytes, or of fewer."""

INFO, STATE, SPLITS = "dataset_info.json", "state.json", "dataset_dict.json"


@dataclass(frozen=True)
class RowIds:
    """The row number of every token in consecutive rows.

    Attributes:
        first: number of the first row
        ends:  for each row, the number of tokens up to its end; or the length that all rows share
        rows:  number of rows
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
    """Whether a folder was saved by `datasets`, with one split or several."""
    with readable(path):
        return path.is_dir() and ((path / SPLITS).is_file() or all((path / name).is_file() for name in (INFO, STATE)))


def dataset_rows(folder: Path, column: str | None, name: str) -> tuple[Windows, Windows | None]:
    """The activations of a saved dataset, and each token's row number as its document.

    The activations are the only column with lists of floats, or the one that `folder::column` names. A row is a
    context, (tokens, d), of any length, or a single token, (d,); in the latter case documents are unknown.

    Raises: InputError for a folder of splits, no such column or several, and missing or invalid files
    """
    try:
        import pyarrow
    except ImportError as error:
        raise InputError(
            f"{folder} is a Hugging Face dataset, and the package datasets is not installed: pip install datasets"
        ) from error
    if (folder / SPLITS).is_file():
        splits = ", ".join(sorted(split.name for split in folder.iterdir() if is_dataset(split))) or "nothing"
        raise InputError(f"{folder} holds the splits {splits}: name one of them, as in {folder}/train")
    files, features = _described(folder)
    reader = _Reader(folder, column, features)
    try:
        for file in files:
            reader.read(file)
    except (OSError, KeyError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{folder} cannot be read: {str(error).partition(chr(10))[0]}") from error
    if not reader.parts:
        raise InputError(f"{folder} has no rows of {name}: at least one token is needed")
    rows = Windows(f"{folder}::{column}" if column else str(folder), reader.width, reader.parts, reader.column)
    return rows, Windows(str(folder), 1, reader.ids) if reader.ids else None


def _described(folder: Path) -> tuple[list[Path], dict[str, Any]]:
    """The data files in order, and the dataset's description of its columns."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        features = json.loads((folder / INFO).read_text(encoding="utf-8")).get("features") or {}
        names = [file["filename"] for file in state["_data_files"]]
        if not isinstance(features, dict) or not all(isinstance(name, str) and name for name in names):
            raise TypeError("file names or features have the wrong type")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder}: {INFO} and {STATE} are not as datasets writes them ({error!r})") from error
    if state.get("_indices_data_files"):
        raise InputError(f"{folder} has its rows reordered by an index table: save dataset.flatten_indices() instead")
    files = [folder / name for name in names]
    if missing := [file.name for file in files if not file.is_file()]:
        raise InputError(f"{folder}: {missing[0]} is missing ({len(missing)} of {len(files)} data files)")
    return files, features


def _shape(folder: Path, features: dict[str, Any], column: str) -> list[int | None] | None:
    """The shape of a row in the dataset's description, where the first length may be None; None if it has no shape."""
    feature = features.get(column)
    shape = feature.get("shape") if isinstance(feature, dict) else None
    if shape is None:
        return None
    lengths = shape if isinstance(shape, list) else [shape]
    known = lengths[1:] if lengths[:1] == [None] else lengths
    if not lengths or not all(type(length) is int and length > 0 for length in known):
        raise InputError(f"{folder}: {INFO} gives {column} the shape {shown(shape)}, which is invalid")
    return lengths


class _Reader:
    """Collects the offsets of the numbers in the data files, batch by batch. Only headers are read."""

    def __init__(self, folder: Path, column: str | None, features: dict[str, Any]) -> None:
        self.folder = folder
        self.requested = column
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
                raise InputError(
                    f"{file} is truncated or damaged: the end of its Arrow stream is missing; save it again"
                )
        with pyarrow.memory_map(str(file)) as mapped:
            base = mapped.read_buffer(1).address
            mapped.seek(0)
            with pyarrow.ipc.open_stream(mapped) as stream:
                self.column = self.column or self._chosen(stream.schema)
                for batch in stream:
                    array = batch.column(self.column)
                    array.validate(full=True)  # reads only the offsets of lists of numbers
                    self._add(file, version, base, getattr(array, "storage", array))

    def _chosen(self, schema) -> str:
        """The column of activations."""
        columns = [field.name for field in schema if _is_floats(field.type)]
        if self.requested is not None:
            if self.requested not in columns:
                names = ", ".join(columns) or "none"
                raise InputError(
                    f"{self.folder} has no column {self.requested!r} with lists of floats; it has: {names}"
                )
            return self.requested
        if len(columns) != 1:
            names = ", ".join(columns or schema.names) or "nothing"
            advice = f"name one, as in {self.folder}::{columns[0]}" if columns else "activations are lists of floats"
            raise InputError(f"{self.folder} has {len(columns)} columns with lists of floats among {names}: {advice}")
        return columns[0]

    def _add(self, file: Path, version: Version, base: int, array) -> None:
        """Add one batch of the column: lists (of lists) of floats, in one block of the file."""
        lists = []
        inner = array
        while _is_list(inner.type):
            lists.append(inner)
            inner = inner.flatten()
        if any(level.null_count for level in (*lists, inner)):
            raise InputError(f"{file}: {self.column} has missing rows or numbers (null)")
        tokens = len(lists[-1])
        if not tokens:
            self.rows += len(array)
            return
        shape = _shape(self.folder, self.features, self.column)
        width = (shape[-1] if shape else _length(lists[-1])) or 0
        context = prod(length or 0 for length in shape[:-1]) if shape and shape[0] is not None else None
        dtype = np.dtype(f"<f{inner.type.bit_width // 8}")
        if not self.parts:
            self.width, self.dtype = width, dtype
        whole = len(inner) == tokens * width and context in (None, tokens / len(array))
        if not width or not whole or (width, dtype) != (self.width, self.dtype):
            raise InputError(
                f"{file}: rows of {self.column} differ: all must be (tokens, d), with the same d and dtype"
            )
        block, size, before = inner.buffers()[1], len(inner) * dtype.itemsize, inner.offset * dtype.itemsize
        if not 0 <= block.size - before - size < PADDED:
            raise InputError(f"{file} is damaged: {self.column} takes {block.size} bytes, not {size}; save it again")
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
    """Whether a column holds lists, nested or not, of float16, float32 or float64 (Arrow has no bfloat16)."""
    from pyarrow import types

    kind = getattr(kind, "storage_type", kind)
    if not _is_list(kind):
        return False
    while _is_list(kind):
        kind = kind.value_type
    return types.is_floating(kind)


def _length(array) -> int | None:
    """The length that all the lists share, or None. Read from their offsets, a few bytes per token."""
    from pyarrow import types

    if types.is_fixed_size_list(array.type):
        return array.type.list_size
    lengths = np.diff(array.offsets.to_numpy())
    return int(lengths[0]) if (lengths == lengths[0]).all() else None


def _ends(lists: list) -> np.ndarray:
    """For each row, the number of tokens up to its end, from all levels of lists except the innermost."""
    from pyarrow import types

    ends = np.arange(1, len(lists[0]) + 1)
    for level in lists[:-1]:
        if types.is_fixed_size_list(level.type):
            ends = ends * level.type.list_size
        else:
            offsets = level.offsets.to_numpy()
            ends = offsets[ends].astype(np.int64) - int(offsets[0])
    return ends
