"""`stoppable`: Ctrl-C and SIGTERM end a run after the batch that is being counted, and never lose its report."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds after the first signal from which another breaks off a batch that does not come to its end."""


class Stopping:
    """What became of the signals.

    Attributes:
        by:       the signal that asked for the stop; None while nobody has
        counting: whether batches are being counted: before and after, a signal does what it did outside
    """

    def __init__(self) -> None:
        self.by: int | None = None
        self.counting = False
        self._waiting = False
        self._asked = 0.0

    def each(self, chunks: Generator[T, None, None]) -> Iterator[T]:
        """The chunks, until a stop is asked for. Waiting for one is broken off at once: nothing of it is counted yet.

        Raises: KeyboardInterrupt after the chunk in which the stop was asked for
        """
        self.counting = True
        try:
            while True:
                self._waiting = True
                try:
                    self._refuse_to_go_on()
                    chunk = next(chunks, None)
                finally:
                    self._waiting = False
                if chunk is None:
                    return
                yield chunk
        finally:
            self.counting = False

    def _refuse_to_go_on(self) -> None:
        if self.by is not None:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any, before: dict[int, Any]) -> None:
        if self.by is not None:
            if self.counting and time.monotonic() - self._asked > PATIENCE:
                raise KeyboardInterrupt
            return  # the report is being written, or soon will be
        if self.counting:
            self.by, self._asked = number, time.monotonic()
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
    """While this lasts, the first SIGINT or SIGTERM ends `Stopping.each`, and what comes after it is passed over.

    Within another it is that other one: who prints the report holds the signals back until it is printed.
    """
    global _current
    if _current is not None or current_thread() is not main_thread():  # elsewhere no handler can be set
        yield _current or Stopping()
        return
    stopping = _current = Stopping()
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:
            signal.signal(number, lambda given, frame: stopping._handle(given, frame, before))
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _current = None
