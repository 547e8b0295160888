"""Temporary files and folders next to an output, locked by their writer, so that stale ones can be recognised.

A lock ends with its process, however the process ends. A temporary file that can be locked is therefore left from a
process that was killed, and the next writer of the same output deletes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from glob import escape
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no locks, and stale files stay
    fcntl = None

MARK = ".part-"
STEM = 40
"""Most characters of the output's name that a temporary name repeats, so that it does not become too long itself."""


def temporary(path: Path, suffix: str = "", folder: bool = False) -> tuple[Path, int | None]:
    """A new file or folder next to `path`, and the descriptor that holds its lock (None without locks).

    Args:   suffix: of the file's name, by which libraries choose the format
    Raises: OSError
    """
    _remove_stale(path)
    while True:
        if folder:
            name = tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path))
        else:
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=suffix[:STEM])
            os.close(descriptor)
        lock = _lock(name)
        if os.path.exists(name):  # else another process deleted it as stale before it was locked
            return Path(name), lock
        release(lock)


def release(lock: int | None) -> None:
    """Release a lock."""
    if lock is not None:
        os.close(lock)


def _prefix(path: Path) -> str:
    return f".{path.stem[:STEM]}{MARK}"


def _lock(path: str, wait: bool = True) -> int | None:
    """Lock a file or folder. Returns the descriptor; None if it is locked already or gone, or if there are no locks."""
    if fcntl is None:
        return None
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(lock)
        return None
    return lock


def _remove_stale(path: Path) -> None:
    """Delete the temporary files that killed writers of this output left."""
    for stale in path.parent.glob(f"{escape(_prefix(path))}*"):
        lock = None if stale.is_symlink() else _lock(str(stale), wait=False)
        if lock is None:
            continue
        with suppress(OSError):
            if stale.is_dir():
                shutil.rmtree(stale)
            else:
                stale.unlink()
        release(lock)
