"""Limits on SymPy: a claim that it does not decide in time, or cannot work with, is undecided."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sandbox.maths.proof import step

SYMPY_SECONDS = 10.0
"""CPU seconds that SymPy may spend on a claim or an answer."""

PROOF_SECONDS = 4.0
"""CPU seconds that it may spend on finding steps to show for a claim that is already decided."""

TICK = 0.05
"""CPU seconds after which the limit is enforced again, where it could not be the first time."""

COMPUTING = ("sympy", "mpmath", "sandbox")
"""Packages whose code the limit may interrupt. In a garbage collector's callback, say, the exception would be lost."""

SYMPY_FAILURES = (*step.STUMBLES, LookupError, TypeError)
"""What SymPy raises on expressions that it cannot work with."""


class Undecidable(Exception):
    """SymPy cannot decide; the message says why."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Undecidable once the block has used that much CPU time, so a busy machine reaches the same verdict.

    There is no limit where there is no timer: on Windows, and outside the main thread.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, frame: FrameType | None) -> None:
        module = frame.f_globals.get("__name__", "") if frame else ""
        if module.partition(".")[0] in COMPUTING and module != __name__:  # there, the limit is being lifted
            raise Undecidable(f"SymPy did not decide it within {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, TICK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
