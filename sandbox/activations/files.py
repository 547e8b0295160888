"""One file of activations or document ids: its header says where the numbers are. No code in a file is executed."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from tokenize import TokenError
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sandbox.activations.stores import StoredObject
from sandbox.activations.windows import FileRows, TextRows
from sandbox.errors import InputError
from sandbox.system.dtypes import ANY_FLOAT, FLOATS, NAMES, TORCH, numpy_dtype
from sandbox.system.files import readable, version_of


class Kind(NamedTuple):
    """What a source holds: activations or document ids.

    Attributes:
        dtypes: the permitted dtypes, by their safetensors names
        needed: the permitted dtypes in words
        ids:    whether it holds document ids, where every axis counts tokens
    """

    dtypes: frozenset[str]
    needed: str
    ids: bool


ACTIVATIONS = Kind(frozenset(NAMES[dtype] for dtype in FLOATS), ANY_FLOAT, False)
IDS = Kind(
    frozenset(TORCH) - ACTIVATIONS.dtypes, "whole numbers, or texts in a .npy file (numpy's dtypes U and S),", True
)


class ArrayHeader(NamedTuple):
    """Where the numbers of a file are.

    Attributes:
        dtype_name: the safetensors name of their dtype; the file's own name for a dtype that safetensors lacks
        dtype:      the numpy dtype, with the file's byte order
        shape:      of the array
        offset:     of the first number, in bytes
    """

    dtype_name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int


def file_rows(path: Path | StoredObject, name: str, kind: Kind) -> FileRows | TextRows:
    """The rows of one file, or of one object in a store, possibly none. Only the header is read.

    Raises: InputError for another kind of file, several tensors, another dtype, or a truncated file
    """
    if path.suffix not in READERS:
        known = ", ".join(READERS)
        raise InputError(f"{path}: {name} are read from {known} files, not {path.suffix or 'files without a suffix'}")
    if isinstance(path, StoredObject):
        version, header = None, _stored_header(path)
    else:
        with readable(path):
            version = version_of(path)
            header = READERS[path.suffix](path)
    if kind.ids and header.dtype.kind in "US" and header.dtype.itemsize:
        return TextRows(path, header.offset, header.dtype, prod(header.shape), version)
    if header.dtype_name not in kind.dtypes:
        raise InputError(f"{path}: {name} have dtype {header.dtype_name}: {kind.needed} are needed")
    width = width_of(str(path), header.shape, kind)
    rows = prod(header.shape) // width
    return FileRows(path, header.offset, header.dtype, header.dtype_name == "BF16", rows, width, version)


def width_of(name: str, shape: tuple[int, ...], kind: Kind) -> int:
    """Numbers in a row of this shape: d, or 1 for ids. Tokens are all axes but the last, or all axes for ids."""
    if kind.ids:
        return 1
    if len(shape) < 2 or not shape[-1]:
        raise InputError(f"{name} has shape {shape}: two or more axes, (..., d), with d at least 1, are needed")
    return shape[-1]


def _npy(path: Path) -> ArrayHeader:
    """A .npy file."""
    with path.open("rb") as file:
        return _npy_header(path, file, os.fstat(file.fileno()).st_size)


def _npy_header(path: Path | StoredObject, file: BinaryIO, size: int) -> ArrayHeader:
    """The header of a .npy file of this size in bytes. Pickled objects are never read."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if version not in ((1, 0), (2, 0), (3, 0)):  # 3.0 is 2.0 with UTF-8 column names
            raise ValueError(f"its format version, {version[0]}.{version[1]}, is unknown")
        shape, fortran, dtype = read(file)
    except (ValueError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise InputError(f"{path} is not a .npy file: {error or type(error).__name__}") from error
    offset = file.tell()
    if any(length < 0 for length in shape):
        raise InputError(f"{path} is not a .npy file: its header has the shape {shape}")
    if fortran and len(shape) > 1:
        raise InputError(f"{path} is stored in Fortran order: save np.ascontiguousarray(x) instead")
    if dtype.hasobject:  # a pickle, of any length
        return ArrayHeader(str(dtype), dtype, shape, offset)
    needed = offset + prod(shape) * dtype.itemsize
    if size < needed:
        raise InputError(f"{path} is cut short: {size} bytes of {needed}; copy it again")
    if size > needed:
        raise InputError(
            f"{path} is longer than its header says: {size} bytes, but shape {shape} takes {needed}; save it again"
        )
    name = f"{dtype.kind.upper()}{dtype.itemsize * 8}" if dtype.kind in "fiu" else str(dtype)
    return ArrayHeader(name, dtype, shape, offset)


def _safetensors(path: Path) -> ArrayHeader:
    """The only tensor of a .safetensors file, which therefore starts where the header ends."""
    try:
        with safe_open(path, "pt") as file:  # the library checks the whole layout
            names = list(file.keys())
            first = file.get_slice(names[0]) if names else None
            dtype_name, shape = (first.get_dtype(), tuple(first.get_shape())) if first else ("", ())
        with path.open("rb") as file:
            offset = 8 + int.from_bytes(file.read(8), "little")
    except SafetensorError as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from error
    _check_single(path, names)
    return ArrayHeader(dtype_name, numpy_dtype(dtype_name), shape, offset)


def _check_single(path: Path | StoredObject, names: list[str]) -> None:
    if len(names) != 1:
        raise InputError(
            f"{path} holds {len(names)} tensors ({', '.join(names[:6])}): save the one to measure by itself"
        )


def _stored_header(stored: StoredObject) -> ArrayHeader:
    """The header of an object in a store, from its first bytes."""
    if stored.suffix not in STORED:
        raise InputError(
            f"{stored}: {stored.suffix} files are read from this machine only: download it, or store "
            f"{' or '.join(STORED)} instead"
        )
    stored.check_ranges()
    if stored.suffix == ".npy":
        return _npy_header(stored, io.BytesIO(stored.read(0, min(stored.size, NPY_HEADER)).tobytes()), stored.size)
    return _stored_safetensors(stored)


def _stored_safetensors(stored: StoredObject) -> ArrayHeader:
    """The only tensor of a .safetensors object. The library reads files only, so its checks are repeated here."""
    length = int.from_bytes(stored.read(0, min(stored.size, 8)).tobytes(), "little")
    offset = 8 + length
    try:
        if stored.size < 8 or length > SAFETENSORS_HEADER or offset > stored.size:
            raise ValueError(f"a header of {length:,} bytes in {stored.size:,}")
        header = json.loads(stored.read(8, offset).tobytes())
        names = [name for name in header if name != "__metadata__"]
        tensor = header[names[0]] if len(names) == 1 else {"dtype": "", "shape": [], "data_offsets": [0, 0]}
        dtype_name, shape, (begin, end) = str(tensor["dtype"]), tuple(tensor["shape"]), tensor["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
            raise ValueError("a shape or an offset that is no whole number")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{stored} cannot be read as safetensors: {error or type(error).__name__}") from error
    _check_single(stored, names)
    dtype = numpy_dtype(dtype_name)
    if begin or (end != prod(shape) * dtype.itemsize and dtype_name in TORCH):
        raise InputError(f"{stored} cannot be read as safetensors: bytes {begin:,} to {end:,} for shape {shape}")
    if stored.size != offset + end:
        raise InputError(f"{stored} has {stored.size:,} bytes instead of {offset + end:,}: copy it again")
    return ArrayHeader(dtype_name, dtype, shape, offset)


def _torch(path: Path) -> ArrayHeader:
    """The only tensor of a file written by `torch.save`: the tensor itself, or the only tensor of a dict.

    The file is a zip archive of uncompressed records, one for each storage of numbers (torch.save, since 1.6). The zip
    format says where a record starts (PKWARE APPNOTE 4.3.7), so it can be read a window at a time.
    """
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
            warnings.simplefilter("ignore")  # about tensors from older versions of torch, which are supported
            contents = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            entries = archive.infolist()
            records = [entry for entry in entries if entry.filename.rpartition("/")[0].endswith("/data")]
            # Reading verifies the checksums; torch does not, and one flipped bit in the pickle can change the shape.
            others = {entry.filename: archive.read(entry) for entry in entries if entry not in records}
            offsets = [_begin(archive, record) for record in records]
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path} was not written by torch.save (of torch 1.6 or later), or is damaged: {error}"
        ) from error
    except UnpicklingError as error:
        raise InputError(f"{path} holds a pickled object, or is damaged: save the tensor by itself") from error
    except OSError:
        raise
    except Exception as error:  # a pickle may hold anything, and reading it may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"{path} cannot be read as weights only: {reason}") from error
    tensor = _only_tensor(path, contents)
    if len(records) != 1:
        raise InputError(f"{path} holds the numbers of {len(records)} tensors: save the one to measure by itself")
    if tensor.layout is not torch.strided or not tensor.is_contiguous() or tensor.is_quantized:
        raise InputError(f"{path} holds a tensor that is not contiguous: save x.contiguous() instead")
    if tensor.is_neg() or tensor.is_conj():  # its numbers are stored with the opposite sign
        raise InputError(f"{path} holds a view that negates its numbers: save x.resolve_neg().resolve_conj() instead")
    record, stored = records[0], tensor.untyped_storage().nbytes()
    if record.compress_type != zipfile.ZIP_STORED or record.file_size != stored:
        raise InputError(
            f"{path} was not written by torch.save: {record.file_size} bytes instead of {stored}; save it again"
        )
    order = next((content for name, content in others.items() if name.endswith("/byteorder")), b"little")
    offset = offsets[0] + int(tensor.storage_offset()) * tensor.element_size()
    name = NAMES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    dtype = numpy_dtype(name).newbyteorder("<" if order == b"little" else ">")
    return ArrayHeader(name, dtype, tuple(tensor.shape), offset)


def _begin(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> int:
    """Where a record's numbers start. Raises zipfile.BadZipFile if they do not end where they should."""
    with archive.open(record):  # compares the record's own header with that in the directory
        pass
    file = archive.fp
    assert file is not None  # the archive is open
    file.seek(record.header_offset + 26)
    lengths = [int.from_bytes(file.read(2), "little") for _ in range(2)]  # of the name and of the extra field
    begin = record.header_offset + 30 + sum(lengths)
    file.seek(begin + record.file_size)
    if file.read(4) not in ((b"PK\x07\x08",) if record.flag_bits & 8 else (b"PK\x01\x02", b"PK\x03\x04")):
        raise zipfile.BadZipFile(f"{record.filename} does not end where its header says")
    return begin


def _only_tensor(path: Path, contents: object) -> Tensor:
    if isinstance(contents, dict):
        tensors = [value for value in contents.values() if isinstance(value, Tensor)]
        if len(tensors) == 1:
            return tensors[0].detach()
        names = ", ".join(map(str, list(contents)[:6])) or "nothing"
        if not tensors:
            raise InputError(f"{path} holds no tensor: {names}")
        raise InputError(f"{path} holds several entries ({names}): save the tensor to measure by itself")
    if not isinstance(contents, Tensor):
        raise InputError(f"{path} holds a {type(contents).__name__}: a tensor, or a dict with exactly one, is needed")
    return contents.detach()


READERS = {".npy": _npy, ".safetensors": _safetensors, ".pt": _torch, ".pth": _torch}
"""The readers of a file's header, by suffix."""

STORED = (".npy", ".safetensors")
"""What is read from a store; a zip archive, as torch.save writes, is not read in ranges."""

NPY_HEADER = 2**14
"""Bytes to request for the header of a .npy file: numpy refuses a longer one (its max_header_size is 10,000)."""

SAFETENSORS_HEADER = 100_000_000
"""The longest header that the safetensors library accepts, in bytes (its tensor.rs, MAX_HEADER_SIZE)."""
