"""Ctrl-C and SIGTERM: the only module that installs signal handlers."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from typing import Any, NoReturn, TypeVar
from weakref import WeakSet

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds after the first signal during which further ones are ignored; then one interrupts a batch that hangs."""


class Stopping:
    """The state of a stoppable run.

    Attributes:
        by:       the signal that requested the stop; None until there is one
        counting: whether batches are being counted; before and after, signals go to the previous handler
    """

    def __init__(self) -> None:
        self.by: int | None = None
        self.counting = False
        self._waiting = False
        self._requested_at = 0.0

    def each(self, chunks: Generator[T, None, None]) -> Iterator[T]:
        """The chunks, until a stop is requested. A wait for a chunk ends at once, because nothing of it is counted yet.

        Raises: KeyboardInterrupt after the chunk during which the stop was requested
        """
        self.counting = True
        try:
            while True:
                self._waiting = True
                try:
                    self._raise_if_requested()
                    chunk = next(chunks, None)
                finally:
                    self._waiting = False
                if chunk is None:
                    return
                yield chunk
        finally:
            self.counting = False

    def _raise_if_requested(self) -> None:
        if self.by is not None:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any, before: dict[int, Any]) -> None:
        if self.by is not None:
            if self.counting and time.monotonic() - self._requested_at > PATIENCE:
                raise KeyboardInterrupt
            return  # the report is being written, or is about to be
        if self.counting:
            self.by, self._requested_at = number, time.monotonic()
            if self._waiting:
                raise KeyboardInterrupt
        elif callable(handler := before[number]):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


_current: Stopping | None = None


@contextmanager
def stoppable() -> Iterator[Stopping]:
    """Within the block, the first SIGINT or SIGTERM ends `Stopping.each` after its batch; later ones are ignored.

    The report is never lost. A nested block is the outer one, so whoever prints the report can hold signals back until
    it is printed.
    """
    global _current
    if _current is not None or current_thread() is not main_thread():  # handlers can only be set there
        yield _current or Stopping()
        return
    stopping = _current = Stopping()
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: Any) -> None:
        stopping._handle(number, frame, before)

    try:
        for number in before:
            signal.signal(number, handle)
        yield stopping
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is handle:  # else `ignore_signals` was called within the block
                signal.signal(number, handler)
        _current = None


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """A function that tells whether SIGINT or SIGTERM has arrived; within the block they do nothing else.

    If either has, its previous handler is called at the end of the block; if it had none, that of SIGINT.
    """
    received: list[int] = []
    if current_thread() is not main_thread():  # handlers can only be set there
        yield lambda: False
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in (*received, signal.SIGINT) if received else ():
            if callable(handler := before[number]):
                handler(number, None)  # the rest of the program learns of it
                break


@contextmanager
def signals_blocked() -> Iterator[None]:
    """SIGINT and SIGTERM wait until the block ends; processes started within it never receive them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def raise_on_signals() -> Callable[[], int]:
    """From now on SIGINT and SIGTERM raise KeyboardInterrupt. Returns a function: the first that came, or 0."""
    received: list[int] = []

    def interrupt(number: int, _: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    return lambda: next(iter(received), 0)


def ignore_signals(*numbers: int) -> None:
    """From now on these signals do nothing, even after a `stoppable` block ends."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


_abandoned: WeakSet[Thread] = WeakSet()


def break_off(thread: Thread) -> None:
    """Raise SystemExit in a thread, at its next line of Python, and wait a second for its end.

    A thread that is then still within a call, such as a blocked read or a large product, is abandoned (`leave`).
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    thread.join(1)
    if thread.is_alive():
        _abandoned.add(thread)


def leave(status: int) -> NoReturn:
    """End the process, whose output has been flushed, with this exit status.

    Before 3.14, Python ends a daemon thread that returns from PyTorch meanwhile by unwinding its C++, which aborts the
    process ("terminate called"). So if a thread was abandoned, the process ends without Python's own shutdown.
    """
    if any(thread.is_alive() for thread in _abandoned):
        os._exit(status)
    sys.exit(status)
