"""Whole files or none: output is written beside its place and renamed when it is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

from sandbox.errors import InputError


def check_outputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path] = ()) -> None:
    """Refuse, before any work is done, outputs that could not be written or would overwrite an input or each other.

    Args:   inputs: files, patterns of files, and folders with whatever they hold
    Raises: InputError that names the file.
    """
    given = [Path(found).resolve() for path in inputs for found in glob(str(path)) or [str(path)]]
    taken, folders = set(given), [path for path in given if path.is_dir()]
    for path in map(Path, outputs):
        if str(path) == "-":
            raise InputError("- is no file: only --json writes to standard output")
        if path.resolve() in taken:
            raise InputError(f"{path} is named twice, and would be overwritten: name another file to write to")
        if path.exists() and any(path.resolve().is_relative_to(folder) for folder in folders):
            raise InputError(f"{path} lies in a folder that is read, and would be overwritten: name another file")
        taken.add(path.resolve())
        with written_whole(path, keep=False):
            pass


def check_new_folder(path: str | Path) -> None:
    """Refuse, before any work is done, a folder that is already there or could not be made. Raises: InputError."""
    with folder_written_whole(path, keep=False):
        pass


@contextmanager
def written_whole(path: str | Path, keep: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends, and vanishes if the block fails (or
    nothing is to be kept).

    Raises: InputError when the folder does not exist or cannot be written to.
    """
    given, path = path, Path(path).resolve()  # through a link, to the file that it names
    if path.exists() and not path.is_file():
        raise InputError(f"{given} is {'a folder' if path.is_dir() else 'no ordinary file'}: name a file to write to")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise InputError(f"cannot write {given}: {error.strerror} (make the folder first, or name another)") from error
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        if keep:
            beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())  # mkstemp's are private
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: str | Path, keep: bool = True) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends, and vanishes if the block fails (or
    nothing is to be kept).

    Raises: InputError when `path` is already there (unless it is an empty folder), or cannot be made.
    """
    given, path = path, Path(path).resolve()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{given} is already there: name a new folder to write to")
    try:
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    except OSError as error:
        raise InputError(f"cannot write {given}: {error.strerror} (make the folder first, or name another)") from error
    try:
        yield beside
        if keep:
            beside.chmod(0o777 & ~_umask())
            if path.exists():
                path.rmdir()
            beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")
