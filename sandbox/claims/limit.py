"""Thinking ends: what is not decided in time is undecided, and so is what SymPy stumbles over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.maths.proof import step

SYMPY_SECONDS = 10.0
"""How long SymPy may think about a claim or an answer."""

PROOF_SECONDS = 4.0
"""How long it may look for steps to show of what is decided."""

SYMPY_FAILURES = (*step.STUMBLES, LookupError, TypeError)
"""What SymPy raises on expressions that it cannot work with."""


class Undecidable(Exception):
    """What stands in the way, in words."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Undecidable after so many seconds in the block; without timers (Windows, threads) it may take longer.

    They are seconds of the processor: a busy machine comes to the same verdict.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise Undecidable(f"SymPy did not decide it within {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
