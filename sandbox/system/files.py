"""Whole files or none: output is written beside its place and renamed when it is complete."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import InputError
from sandbox.system.temporaries import MARK, release, temporary

FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))

Version = tuple[int, int, int, int]
"""What changes when a file is replaced or written to: its device, number, size and time of change."""


def version_of(file: str | Path | int) -> Version:
    """That of a file, by its path or its handle. Raises: OSError"""
    found = os.stat(file)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@contextmanager
def read_unchanged(path: str | Path) -> Iterator[None]:
    """What the block reads is one file and not parts of two.

    Raises: InputError where the file cannot be read, or is another one at the end of the block than at its beginning.
    """
    with readable(path):
        before = version_of(path)
        yield
        if version_of(path) != before:
            raise changed(path)


def changed(path: str | Path) -> InputError:
    """What to say of a file that is not the one any more that was opened."""
    return InputError(f"{path} was replaced or written to while it was read: start again when nothing writes to it")


@contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """What the system does not let the block read is said in one line: InputError in place of OSError."""
    try:
        yield
    except OSError as error:
        where = path if error.filename is None else os.fsdecode(error.filename)
        raise InputError(f"{where} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        if "embedded null" not in str(error):
            raise
        raise InputError(f"{path} cannot be read: its name holds a byte 0") from error


@contextmanager
def written_whole(path: str | Path, keep: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends, and vanishes if the block fails (or
    nothing is to be kept).

    Raises: InputError when the folder does not exist, cannot be written to, or is full.
    """
    given, path = path, _place(path)
    if path.exists() and not path.is_file():
        raise InputError(f"{given} is {'a folder' if path.is_dir() else 'no ordinary file'}: name a file to write to")
    with _beside(given, path, folder=False) as beside:
        yield beside
        if keep:
            beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())  # mkstemp's are private
            beside.replace(path)


@contextmanager
def folder_written_whole(path: str | Path, keep: bool = True) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends, and vanishes if the block fails (or
    nothing is to be kept).

    Raises: InputError when `path` is already there (unless it is an empty folder), cannot be made, or is full.
    """
    given, path = path, _place(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{given} is already there: name a new folder to write to")
    with _beside(given, path, folder=True) as beside:
        yield beside
        if keep:
            beside.chmod(0o777 & ~_umask())
            if path.exists():
                path.rmdir()
            beside.rename(path)


def check_new_folder(path: str | Path) -> None:
    """Refuse, before any work is done, a folder that is already there or could not be made. Raises: InputError."""
    with folder_written_whole(path, keep=False):
        pass


def write_text(path: str | Path, text: str) -> None:
    r"""Write `text` to `path`, whole or not at all; what is no text (half a surrogate pair) is written as \udcff."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_all(*writers: Callable[[], object]) -> None:
    """Run each, though one before it failed, and raise the first failure at the end: a full disk costs one output.

    Raises: the first InputError; else the BrokenPipeError of a reader that has gone.
    """
    failed: list[Exception] = []
    for write in writers:
        try:
            write()
        except (InputError, OSError) as error:
            failed.append(error)
    for error in sorted(failed, key=lambda one: isinstance(one, BrokenPipeError)):
        raise error


def _place(path: str | Path) -> Path:
    """Through a link, to what it names. Raises InputError for a name that there cannot be."""
    if not str(path):
        raise InputError("an empty path: name a file to write to (is a variable unset?)")
    try:
        place = Path(os.path.realpath(path))
        place.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # too long, a link to itself, a byte 0
        raise InputError(f"cannot write {path}: {_reason(error)}; name another file") from error
    return place


@contextmanager
def _beside(given: str | Path, path: Path, folder: bool) -> Iterator[Path]:
    try:
        beside, held = temporary(path, Path(given).suffix, folder)  # the ending as asked, whatever a link leads to
    except OSError as error:
        raise InputError(f"cannot write {given}: {error.strerror} (make the folder first, or name another)") from error
    try:
        yield beside
    except Exception as error:
        if isinstance(error, InputError) or (reason := _reason(error)) is None:
            raise
        raise InputError(f"cannot write {given}: {reason}; nothing is left of it: name another place") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True) if folder else beside.unlink(missing_ok=True)
        release(held)


def _reason(error: BaseException) -> str | None:
    """What the system said, in an OSError or behind what a library made of it; None where it is no matter of files."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, OSError) and (one.strerror or str(one)):
            words = one.strerror or str(one)
            words = words.rpartition("[errno ")[2].partition("] ")[2] or words  # Arrow puts words of its own before
            # An error in copying names the file that is copied, full as the other disk may be.
            full = one.errno in FULL or one.filename is None or MARK in str(one.filename)
            return words if full else f"{one.filename}: {words}"
        one = one.__cause__ or one.__context__
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return "its name holds a byte 0"
    if told := re.search(r"([^:]+) \(os error \d+\)", str(error)):  # Rust's, as safetensors has them
        return told[1].strip()
    return "the disk is full, or a limit is reached" if "PytorchStreamWriter failed" in str(error) else None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
