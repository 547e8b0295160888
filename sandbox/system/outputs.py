"""Checks, before any work is done, that no output overwrites an input or another output."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from sandbox.errors import InputError
from sandbox.system.files import written_whole

Identity = tuple[int, int] | str


def check_outputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path] = ()) -> None:
    """Refuse, before any work is done, outputs that cannot be written or would overwrite an input or each other.

    Files are compared by identity, not by name, so links and mounts are recognised.

    Args:   inputs: files, patterns of files, and folders, including everything in them
    Raises: InputError that names the file
    """
    sources = [source for path in inputs for source in named_by(path)]
    folders = [path for path in sources if os.path.isdir(path)]
    read, written = {identity(path) for path in sources}, set()
    in_folders: set[Identity] | None = None
    for path in outputs:
        if str(path) == "-":
            raise InputError("- is not a file: only --json can write to standard output")
        if (output := identity(path)) in read:
            raise InputError(f"{path} is an input and would be overwritten: name another file to write to")
        if output in written:
            raise InputError(f"{path} is named for two outputs, and one would be overwritten: name another file")
        if os.path.exists(path):
            if in_folders is None:
                in_folders = {identity(file) for folder in folders for file in _files(folder)}
            if output in in_folders:
                raise InputError(f"{path} is in an input folder and would be overwritten: name another file")
        written.add(output)
        with written_whole(path, keep=False):
            pass


def named_by(path: str | Path) -> list[str]:
    """The paths that an input names: itself if it exists, even if its name looks like a pattern; else all matches."""
    text = str(path)
    return [text] if os.path.lexists(text) else glob(text, recursive=True) or [text]


def identity(path: str | Path) -> Identity:
    """The same for every name of a file: its device and inode; its resolved path if it does not exist yet."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.normcase(os.path.realpath(path)) if "\0" not in str(path) else str(path)
    return (status.st_dev, status.st_ino)


def _files(folder: str | Path) -> Iterator[str]:
    """All files in a folder and its subfolders, following links but visiting each folder once."""
    visited = set()
    for current, subfolders, files in os.walk(folder, followlinks=True):
        if (current_identity := identity(current)) in visited:
            subfolders.clear()
            continue
        visited.add(current_identity)
        yield from (os.path.join(current, name) for name in files)
