"""Temporary files and folders beside an output: locked by whoever writes them, so that what a kill left can be told.

A lock ends with its process, however that ends. So a temporary file that can be locked is nobody's, and the next one
for the same output removes it.
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
except ImportError:  # Windows: nothing is locked, and nothing removed
    fcntl = None

MARK = ".part-"
KEPT = 40
"""Characters of the output's name in that of the temporary one, which must not become too long itself."""


def temporary(path: Path, ending: str = "", folder: bool = False) -> tuple[Path, int | None]:
    """A new file or folder beside `path`, and the handle that holds its lock until it is closed.

    Args:   ending: of a file's name, from which libraries tell what to write
    Raises: OSError
    """
    _remove_stale(path)
    while True:
        if folder:
            made = tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path))
        else:
            opened, made = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=ending[:KEPT])
            os.close(opened)
        held = _locked(made)
        if os.path.exists(made):  # else it was taken for a stale one before it was locked
            return Path(made), held
        release(held)


def release(held: int | None) -> None:
    """End the lock."""
    if held is not None:
        os.close(held)


def _prefix(path: Path) -> str:
    return f".{path.stem[:KEPT]}{MARK}"


def _locked(path: str, wait: bool = True) -> int | None:
    """A handle that holds the lock of a file or folder; None where it is held, gone, or nothing can be locked."""
    if fcntl is None:
        return None
    try:
        held = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(held)
        return None
    return held


def _remove_stale(path: Path) -> None:
    """Remove what killed processes left of earlier writings of this output."""
    for left in path.parent.glob(f"{escape(_prefix(path))}*"):
        held = None if left.is_symlink() else _locked(str(left), wait=False)
        if held is None:
            continue
        with suppress(OSError):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        release(held)
