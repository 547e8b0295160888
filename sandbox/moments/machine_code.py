"""Loops in Python as machine code: where array operations would read memory several times."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
from numba.core.caching import FunctionCache


def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Machine code for `loop`, kept on disk where that can be; sums may be reordered within a row to use vectors."""
    options: Any = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    code: Any = numba.njit(**options)(loop)
    with suppress(RuntimeError):  # an installation that cannot be written to: compiled anew in each process
        code._cache = _KeptIfThereIsRoom(loop)
    return code


class _KeptIfThereIsRoom(FunctionCache):
    """Numba's cache, which a full disk does not keep from computing."""

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)
