"""Before any work is done: no output takes the place of an input, or of another output."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from sandbox.errors import InputError
from sandbox.system.files import written_whole

Identity = tuple[int, int] | str


def check_outputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path] = ()) -> None:
    """Refuse, before any work is done, outputs that could not be written or would overwrite an input or each other.

    Files are compared as files, and not by their names: links and mounts are seen through.

    Args:   inputs: files, patterns of files, and folders with whatever they hold
    Raises: InputError that names the file.
    """
    given = [found for path in inputs for found in named_by(path)]
    folders = [path for path in given if os.path.isdir(path)]
    read, written = {identity(path) for path in given}, set()
    held: set[Identity] | None = None
    for path in outputs:
        if str(path) == "-":
            raise InputError("- is no file: only --json writes to standard output")
        if (found := identity(path)) in read | written:
            what = "is one of the files that are read" if found in read else "is written to twice"
            raise InputError(f"{path} {what}, and would be overwritten: name another file to write to")
        if os.path.exists(path):
            held = {identity(inside) for folder in folders for inside in _files(folder)} if held is None else held
            if found in held:
                raise InputError(f"{path} lies in a folder that is read, and would be overwritten: name another file")
        written.add(found)
        with written_whole(path, keep=False):
            pass


def named_by(path: str | Path) -> list[str]:
    """What an input stands for: itself where there is such a file, be its name a pattern; else all that it fits."""
    text = str(path)
    return [text] if os.path.lexists(text) else glob(text, recursive=True) or [text]


def identity(path: str | Path) -> Identity:
    """What two names of one file have in common: its device and number; of a file to come, where it will be."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return os.path.normcase(os.path.realpath(path)) if "\0" not in str(path) else str(path)
    return (found.st_dev, found.st_ino)


def _files(folder: str | Path) -> Iterator[str]:
    """All files in a folder and the folders in it, also through links, each folder once."""
    seen = set()
    for here, inner, files in os.walk(folder, followlinks=True):
        if (found := identity(here)) in seen:
            inner.clear()
            continue
        seen.add(found)
        yield from (os.path.join(here, name) for name in files)
