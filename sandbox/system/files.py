"""Complete files or none: output goes to a temporary file next to its destination, which is renamed at the end."""

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

DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))

Version = tuple[int, int, int, int]
"""Changes when a file is replaced or written to: its device, inode, size and modification time."""


def version_of(file: str | Path | int) -> Version:
    """The version of a file, given its path or its descriptor. Raises: OSError"""
    status = os.stat(file)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def read_unchanged(path: str | Path) -> Iterator[None]:
    """Check that the file does not change while the block reads it.

    Raises: InputError if the file cannot be read, or changed between the start and the end of the block
    """
    with readable(path):
        before = version_of(path)
        yield
        if version_of(path) != before:
            raise changed(path)


CHANGED = "{path} was replaced or modified while it was being read: start again once nothing writes to it"


def changed(path: str | Path) -> InputError:
    """The error for a file that is no longer the one that was opened."""
    return InputError(CHANGED.format(path=path))


@contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Within the block, a failure to read raises InputError with one line, in place of OSError."""
    try:
        yield
    except OSError as error:
        unreadable = path if error.filename is None else os.fsdecode(error.filename)
        raise InputError(f"{unreadable} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        if "embedded null" not in str(error):
            raise
        raise InputError(f"{path} cannot be read: its name contains a null byte") from error


@contextmanager
def written_whole(path: str | Path, keep: bool = True) -> Iterator[Path]:
    """A temporary file next to `path`, renamed to `path` when the block ends.

    It is deleted instead if the block fails, or if `keep` is False.

    Raises: InputError if the folder does not exist, cannot be written to, or is full
    """
    requested, path = path, _target(path)
    if path.exists() and not path.is_file():
        actual = "a folder" if path.is_dir() else "not a regular file"
        raise InputError(f"{requested} is {actual}: name a file to write to")
    with _temporary(requested, path, folder=False) as beside:
        yield beside
        if keep:
            beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())  # mkstemp makes it 0o600
            beside.replace(path)


@contextmanager
def folder_written_whole(path: str | Path, keep: bool = True) -> Iterator[Path]:
    """A temporary folder next to `path`, renamed to `path` when the block ends.

    It is deleted instead if the block fails, or if `keep` is False.

    Raises: InputError if `path` already exists (unless it is an empty folder, neither current nor a mount), cannot be
            created, or the disk is full
    """
    requested, path = path, _target(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{requested} already exists: name a new folder to write to")
    if path.exists() and (path == Path(os.path.realpath(os.curdir)) or path.is_mount()):
        kept = "a mounted disk" if path.is_mount() else "the current folder"
        raise InputError(f"{requested} is {kept}, which cannot be replaced: name a new folder in it")
    with _temporary(requested, path, folder=True) as beside:
        yield beside
        if keep:
            beside.chmod(0o777 & ~_umask())
            if path.exists():
                path.rmdir()
            beside.rename(path)


def check_new_folder(path: str | Path) -> None:
    """Refuse, before any work is done, a folder that already exists or cannot be created. Raises: InputError"""
    with folder_written_whole(path, keep=False):
        pass


def write_text(path: str | Path, text: str) -> None:
    r"""Write `text` to `path`, completely or not at all. Lone surrogates are written as escapes, such as \udcff."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_all(*writers: Callable[[], object]) -> None:
    """Run every writer even if an earlier one fails, then raise the first failure: a full disk costs one output.

    Raises: the first InputError or OSError; a BrokenPipeError (the reader has gone) only if nothing else failed
    """
    failures: list[Exception] = []
    for write in writers:
        try:
            write()
        except (InputError, OSError) as error:
            failures.append(error)
    for error in sorted(failures, key=lambda error: isinstance(error, BrokenPipeError)):
        raise error


def _target(path: str | Path) -> Path:
    """The path with its links resolved. Raises InputError for an invalid path."""
    if not str(path):
        raise InputError("the path is empty: name a file to write to (is a variable unset?)")
    try:
        target = Path(os.path.realpath(path))
        target.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # too long, a link to itself, a null byte
        raise InputError(f"cannot write {path}: {_reason(error)}; name another file") from error
    return target


@contextmanager
def _temporary(requested: str | Path, path: Path, folder: bool) -> Iterator[Path]:
    try:
        # With the requested suffix: libraries choose the format by it, and a link's target may have another.
        beside, lock = temporary(path, Path(requested).suffix, folder)
    except OSError as error:
        reason = f"{error.strerror} (create the folder first, or name another)"
        raise InputError(f"cannot write {requested}: {reason}") from error
    try:
        yield beside
    except Exception as error:
        if isinstance(error, InputError) or (reason := _reason(error)) is None:
            raise
        raise InputError(f"cannot write {requested}: {reason}; nothing was kept: name another path") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True) if folder else beside.unlink(missing_ok=True)
        release(lock)


def _reason(error: BaseException) -> str | None:
    """Why the file could not be written, from an OSError or a library's error around it; None for any other error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (cause.strerror or str(cause)):
            words = cause.strerror or str(cause)
            words = words.rpartition("[errno ")[2].partition("] ")[2] or words  # Arrow prefixes its own words
            # shutil's error names the source file even if it is the output's disk that is full.
            about_output = cause.errno in DISK_FULL or cause.filename is None or MARK in str(cause.filename)
            return words if about_output else f"{cause.filename}: {words}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return "its name contains a null byte"
    if rust := re.search(r"([^:]+) \(os error \d+\)", str(error)):  # from safetensors
        return rust[1].strip()
    return "the disk is full, or a size limit is reached" if "PytorchStreamWriter failed" in str(error) else None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
