"""One file of activations or of document ids: where its numbers lie, from its header alone. No code in it is run."""

from __future__ import annotations

import os
import warnings
import zipfile
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from tokenize import TokenError
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sandbox.activations.text_ids import TextRows
from sandbox.activations.windows import FileRows
from sandbox.errors import InputError
from sandbox.system.devices import ANY_FLOAT
from sandbox.system.files import readable, version_of


class Kind(NamedTuple):
    """What a source may hold: activations or document ids.

    Attributes:
        dtypes: names of the dtypes, and how numpy reads them
        needed: the same in words
        ids:    whether it is document ids, where every axis counts tokens
    """

    dtypes: dict[str, str]
    needed: str
    ids: bool


FLOATS = Kind({"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}, ANY_FLOAT, False)
INTEGERS = Kind(
    {"I8": "|i1", "U8": "|u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8"},
    "whole numbers, or texts in a .npy file (numpy's dtypes U and S),",
    True,
)

TORCH_NAMES = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.int16: "I16",
    torch.uint16: "U16",
    torch.int32: "I32",
    torch.uint32: "U32",
    torch.int64: "I64",
}
"""safetensors' names of torch's dtypes."""


class Layout(NamedTuple):
    """Where the numbers of a file lie: the name of their dtype, the dtype with its byte order, shape and offset."""

    named: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int


def file_rows(path: Path, name: str, kind: Kind) -> FileRows | TextRows:
    """The rows of one file, of which there may be none; nothing but its header is read.

    Raises: InputError for another kind of file, more than one tensor, another dtype, or a file that is cut short.
    """
    if path.suffix not in READERS:
        known = ", ".join(READERS)
        raise InputError(f"{path}: {name} are read from {known} files, not {path.suffix or 'this'}")
    with readable(path):
        version = version_of(path)
        layout = READERS[path.suffix](path)
    if kind.ids and layout.dtype.kind in "US" and layout.dtype.itemsize:
        return TextRows(path, layout.offset, layout.dtype, prod(layout.shape), version)
    if layout.named not in kind.dtypes:
        raise InputError(f"{path}: {name} have dtype {layout.named}: {kind.needed} needed")
    width = width_of(str(path), layout.shape, kind)
    rows = prod(layout.shape) // width
    return FileRows(path, layout.offset, layout.dtype, layout.named == "BF16", rows, width, version)


def width_of(name: str, shape: tuple[int, ...], kind: Kind) -> int:
    """Numbers in a row of this shape: d, or 1 for ids. Tokens are all axes but the last, or all axes for ids."""
    if kind.ids:
        return 1
    if len(shape) < 2 or not shape[-1]:
        raise InputError(f"{name} has shape {shape}: (..., d), with one token or more, is needed")
    return shape[-1]


def _npy(path: Path) -> Layout:
    """A .npy file; pickled objects are never read."""
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            if version not in ((1, 0), (2, 0), (3, 0)):  # 3.0 is 2.0 with other letters in the names of columns
                raise ValueError(f"its version is {version[0]}.{version[1]}, of which nothing is known here")
            shape, fortran, dtype = read(file)
        except (ValueError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
            raise InputError(f"{path} is not a .npy file: {error or type(error).__name__}") from error
        offset, size = file.tell(), os.fstat(file.fileno()).st_size
    if any(length < 0 for length in shape):
        raise InputError(f"{path} is not a .npy file: its header gives the shape {shape}")
    if fortran and len(shape) > 1:
        raise InputError(f"{path} is stored in Fortran order: save np.ascontiguousarray(x) instead")
    if dtype.hasobject:  # a pickle, of any length
        return Layout(str(dtype), dtype, shape, offset)
    needed = offset + prod(shape) * dtype.itemsize
    if size < needed:
        raise InputError(f"{path} is cut short: {size} bytes of {needed}; copy it again")
    if size > needed:
        raise InputError(
            f"{path} is longer than its header says: shape {shape} takes {needed} bytes of {size}; save it again"
        )
    letters = {"f": "F", "i": "I", "u": "U"}
    named = f"{letters[dtype.kind]}{dtype.itemsize * 8}" if dtype.kind in letters else str(dtype)
    return Layout(named, dtype, shape, offset)


def _safetensors(path: Path) -> Layout:
    """The one tensor of a .safetensors file, which therefore begins where the header ends."""
    try:
        with safe_open(path, "pt") as file:  # the library checks the whole layout
            names = list(file.keys())
            first = file.get_slice(names[0]) if names else None
            named, shape = (first.get_dtype(), tuple(first.get_shape())) if first else ("", ())
        with path.open("rb") as file:
            offset = 8 + int.from_bytes(file.read(8), "little")
    except SafetensorError as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from error
    if len(names) != 1:
        raise InputError(f"{path} holds {len(names)} tensors ({', '.join(names[:6])}): save the one to measure alone")
    return Layout(named, _dtype(named), shape, offset)


def _torch(path: Path) -> Layout:
    """The one tensor of a file of `torch.save`: itself, or the one tensor of a dict.

    The file is a zip archive whose records are not compressed, one for each storage of numbers (torch.save, since 1.6):
    where the one record begins, the zip format says (PKWARE APPNOTE 4.3.7), so that it can be read a window at a time.
    """
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
            warnings.simplefilter("ignore")  # of an older torch, whose tensors are read all the same
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            records = [one for one in archive.infolist() if one.filename.rpartition("/")[0].endswith("/data")]
            # Read here, for their checksums: torch does not look at them, and a bit in the pickle is another shape.
            told = {one.filename: archive.read(one) for one in archive.infolist() if one not in records}
            offsets = [_begin(archive, one) for one in records]
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path} is not a file of torch.save (as torch writes it since 1.6), or it is damaged: {error}"
        ) from error
    except UnpicklingError as error:
        raise InputError(f"{path} holds a whole pickled object, or is damaged: save the tensor alone") from error
    except OSError:
        raise
    except Exception as error:  # the pickle in it may be anything, and so what reading it raises
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"{path} cannot be read as weights alone: {reason}") from error
    tensor = _one_tensor(path, held)
    if len(records) != 1:
        raise InputError(f"{path} holds the numbers of {len(records)} tensors: save the one to measure alone")
    if tensor.layout is not torch.strided or not tensor.is_contiguous() or tensor.is_quantized:
        raise InputError(f"{path} holds a tensor that does not lie in order: save x.contiguous() instead")
    if tensor.is_neg() or tensor.is_conj():  # numbers that lie there with the other sign
        raise InputError(f"{path} holds a view that negates its numbers: save x.resolve_neg().resolve_conj() instead")
    record, stored = records[0], tensor.untyped_storage().nbytes()
    if record.compress_type != zipfile.ZIP_STORED or record.file_size != stored:
        raise InputError(f"{path} is not as torch.save writes it: {record.file_size} bytes for {stored}; save it again")
    order = next((text for name, text in told.items() if name.endswith("/byteorder")), b"little")
    offset = offsets[0] + int(tensor.storage_offset()) * tensor.element_size()
    named = TORCH_NAMES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    return Layout(named, _dtype(named).newbyteorder("<" if order == b"little" else ">"), tuple(tensor.shape), offset)


def _begin(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> int:
    """Where the numbers of a record begin. Raises zipfile.BadZipFile if they do not end where they should."""
    with archive.open(record):  # holds the record's own header against that of the directory
        pass
    file = archive.fp
    assert file is not None  # it is open
    file.seek(record.header_offset + 26)
    lengths = [int.from_bytes(file.read(2), "little") for _ in range(2)]  # of the name and of the extra field
    begin = record.header_offset + 30 + sum(lengths)
    file.seek(begin + record.file_size)
    if file.read(4) not in ((b"PK\x07\x08",) if record.flag_bits & 8 else (b"PK\x01\x02", b"PK\x03\x04")):
        raise zipfile.BadZipFile(f"{record.filename} does not end where its header says")
    return begin


def _one_tensor(path: Path, held: object) -> Tensor:
    if isinstance(held, dict):
        tensors = {name: one for name, one in held.items() if isinstance(one, Tensor)}
        if len(tensors) == 1:
            return next(iter(tensors.values())).detach()
        found = ", ".join(map(str, list(held)[:6])) or "nothing"
        if not tensors:
            raise InputError(f"{path} holds no tensor: {found}")
        raise InputError(f"{path} holds several entries ({found}): save the one tensor to measure alone")
    if not isinstance(held, Tensor):
        raise InputError(f"{path} holds a {type(held).__name__}: a tensor, or a dict with exactly one, is needed")
    return held.detach()


def _dtype(named: str) -> np.dtype:
    return np.dtype({**FLOATS.dtypes, **INTEGERS.dtypes}.get(named, "V1"))


READERS = {".npy": _npy, ".safetensors": _safetensors, ".pt": _torch, ".pth": _torch}
"""The formats of one file, by its ending."""
