"""Python loops compiled to machine code, for work in which array operations would read memory several times."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from inspect import unwrap
from typing import Any

import numba
from numba.core.caching import FunctionCache


def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Compile `loop`, cached on disk where possible; sums within a row may be reordered for vector instructions."""
    loop = unwrap(loop)  # numba cannot compile the type checker that tests wrap around it
    options: Any = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    code: Any = numba.njit(**options)(loop)
    with suppress(RuntimeError):  # the installation is read-only: each process compiles it again
        code._cache = _OptionalCache(loop)
    return code


class _OptionalCache(FunctionCache):
    """Numba's cache, except that a full disk is no error."""

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)
