"""Limits on SymPy: what it does not decide in time, or cannot work with, is undecided."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.maths.proof import step

SYMPY_SECONDS = 10.0
"""CPU seconds that SymPy may spend on a claim or an answer."""

PROOF_SECONDS = 4.0
"""CPU seconds that it may spend on finding steps to show for a claim that is already decided."""

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

    def stop(*_):
        raise Undecidable(f"SymPy did not decide it within {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
