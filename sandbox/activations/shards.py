"""A folder or a pattern of files, `acts/` or `acts/*.npy`, read as if they were one file."""

from __future__ import annotations

import re
from collections import Counter
from glob import glob, has_magic
from pathlib import Path

from sandbox.activations.files import READERS, Kind, file_rows
from sandbox.activations.windows import FileRows, Windows
from sandbox.errors import InputError

DOCUMENTS = "documents"
"""Files whose names begin so are never taken for activations: they lie beside them, and are read when named."""


def is_pattern(path: Path) -> bool:
    """Whether a path that does not exist has wildcards: *, ? or [...]."""
    return not path.exists() and has_magic(str(path))


def shard_rows(path: Path, name: str, kind: Kind) -> Windows:
    """Every shard of a folder, or every file that a pattern fits, in natural order: shard-2 comes before shard-10.

    Shards have one format and, for activations, one width and one dtype; some may be empty. Hidden files, folders,
    files that are no data (.json, .md) and, for activations, files named documents* are passed over.

    Raises: InputError where nothing is left, and naming the shard that differs.
    """
    found = sorted(glob(str(path), recursive=True) if is_pattern(path) else map(str, path.iterdir()), key=natural)
    files = [Path(one) for one in found]
    shards = [one for one in files if one.suffix in READERS and not one.name.startswith(".") and one.is_file()]
    if not kind.ids:
        shards = [one for one in shards if not one.name.startswith(DOCUMENTS)]
    if not shards:
        names = ", ".join(one.name for one in files[:6]) or "nothing"
        raise InputError(f"{path}: no {name} there in {', '.join(READERS)} files; found {names}")
    formats = Counter(one.suffix for one in shards)
    if len(formats) > 1:
        counts = " and ".join(f"{count} {suffix}" for suffix, count in sorted(formats.items()))
        raise InputError(f"{path} holds {counts} files: shards of one format are needed; name them, as in '*.npy'")
    parts = [file_rows(one, name, kind) for one in shards]
    if not kind.ids:
        _agree(shards, [part for part in parts if isinstance(part, FileRows)])
    return Windows(str(path), parts[0].width, parts)


def natural(path: str) -> list[tuple[int, str]]:
    """The key that sorts numbers within names by their size."""
    pieces = re.split(r"(\d+)", path)
    numbers = [(int(one), one) if at % 2 else (0, one) for at, one in enumerate(pieces)]
    return [*numbers, (0, path)]


def _agree(shards: list[Path], parts: list[FileRows]) -> None:
    first = parts[0]
    for path, part in zip(shards, parts, strict=True):
        for what, one, other in (
            ("width", part.width, first.width),
            ("dtype", _dtype(part), _dtype(first)),
        ):
            if one != other:
                raise InputError(f"{path} has {what} {one}, but {shards[0]} has {other}: shards must agree")


def _dtype(part: FileRows) -> str:
    return "bfloat16" if part.is_bfloat16 else part.dtype.newbyteorder("=").name
