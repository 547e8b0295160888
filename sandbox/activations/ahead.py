"""Reading ahead from a store, several requests at once: they share the latency and keep the network busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

AT_ONCE = 8
"""Items that are being read, or wait to be used, at any time. They bound the memory."""


def read_ahead(read: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """`read` of each item (a window of rows, an object's key), in order, up to AT_ONCE of them at the same time.

    A failure is raised in place of its item. Closing the iterator cancels what has not begun.
    """
    jobs: SimpleQueue[tuple[Future[T], S] | None] = SimpleQueue()
    pending: deque[Future[T]] = deque()
    # Daemon threads, unlike those of an executor: a program that is stopped does not wait for a store's answer.
    for _ in range(AT_ONCE):
        Thread(target=_work, args=(read, jobs), name="read ahead", daemon=True).start()
    try:
        for item in items:
            pending.append(Future())
            jobs.put((pending[-1], item))
            if len(pending) == AT_ONCE:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for _ in range(AT_ONCE):
            jobs.put(None)


def _work(read: Callable[[S], T], jobs: SimpleQueue[tuple[Future[T], S] | None]) -> None:
    while (job := jobs.get()) is not None:
        future, item = job
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(read(item))
        except BaseException as error:  # raised again by the consumer
            future.set_exception(error)
        del future, job  # else the last item's numbers would stay until the next job
