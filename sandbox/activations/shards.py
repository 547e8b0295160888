"""A folder or a pattern of files, `acts/` or `acts/*.npy`, read like one file. In a store, of objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from sandbox.activations.ahead import read_ahead
from sandbox.activations.files import READERS, Kind, file_rows
from sandbox.activations.source import check_same
from sandbox.activations.stores import StoredObject
from sandbox.activations.windows import FileRows, TextRows, Windows
from sandbox.errors import InputError

DOCUMENTS = "documents"
"""Files next to activations whose names start with this are not activations: they are read only when named."""


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern: it does not exist and has wildcards (*, ? or [...])."""
    return not path.exists() and has_magic(str(path))


def shard_rows(path: Path, name: str, kind: Kind) -> Windows:
    """The shards of a folder, or the files that match a pattern, in natural order: shard-2 comes before shard-10.

    All shards have one format and, for activations, one width and one dtype; some may be empty. Hidden files, folders,
    other kinds of files (.json, .md) and, for activations, files named documents* are skipped.

    Raises: InputError if there are no shards, or if one differs from the first (the message names it)
    """
    paths = glob(str(path), recursive=True) if is_pattern(path) else map(str, path.iterdir())
    files = [Path(name) for name in sorted(paths, key=natural)]
    return joined(str(path), files, name, kind)


def joined(path: str, files: Sequence[Path | StoredObject], name: str, kind: Kind) -> Windows:
    """The same for the files of a folder or pattern, in order, or for the objects of a store."""
    shards = [file for file in files if file.suffix in READERS and not file.name.startswith(".")]
    shards = [shard for shard in shards if isinstance(shard, StoredObject) or shard.is_file()]
    if not kind.ids:
        shards = [shard for shard in shards if not shard.name.startswith(DOCUMENTS)]
    if not shards:
        names = ", ".join(file.name for file in files[:6]) or "nothing"
        raise InputError(f"{path}: no {name} in {', '.join(READERS)} files; found {names}")
    formats = Counter(shard.suffix for shard in shards)
    if len(formats) > 1:
        counts = " and ".join(f"{count} {suffix}" for suffix, count in sorted(formats.items()))
        raise InputError(f"{path} holds {counts} files: name the shards of one format, as in '*.npy'")
    each = read_ahead if isinstance(shards[0], StoredObject) else map
    parts = list(each(lambda shard: file_rows(shard, name, kind), shards))
    if not kind.ids:
        expected = _properties(parts[0])
        for shard, part in zip(shards, parts, strict=True):
            check_same(str(shard), _properties(part), str(shards[0]), expected)
    return Windows(path, parts[0].width, parts)


def natural(path: str) -> list[tuple[int, str]]:
    """The sort key that compares numbers within names by value."""
    texts = re.split(r"(\d+)", path)  # every second one is a number
    return [*((int(text), text) if index % 2 else (0, text) for index, text in enumerate(texts)), (0, path)]


def _properties(part: FileRows | TextRows) -> dict[str, object]:
    """What all shards must have in common."""
    is_bfloat16 = isinstance(part, FileRows) and part.is_bfloat16
    return {"width": part.width, "dtype": "bfloat16" if is_bfloat16 else part.dtype.newbyteorder("=").name}
