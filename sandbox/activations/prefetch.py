"""Reading ahead: while one batch is computed, a thread reads the next one and copies it to the device."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from queue import Full, Queue
from threading import Event, Thread
from typing import Any

import torch

from sandbox.activations import Chunk
from sandbox.system.devices import sent
from sandbox.system.interrupts import break_off

DEPTH = 2  # batches in the queue: one hides the reading, a second one evens out a slow disk


def prefetch(chunks: Iterable[Chunk], device: torch.device) -> Generator[Chunk, None, None]:
    """The same chunks in the same order, on the device.

    On CUDA a batch goes through pinned memory and is copied on a separate stream; the computing stream waits for the
    copy, the program does not. A read error is raised in place of its chunk. Closing the iterator, or leaving its loop
    by an exception, ends the thread.
    """
    waiting: Queue[Any] = Queue(DEPTH)
    over = Event()
    copying = torch.cuda.Stream(device) if device.type == "cuda" else None

    def put(item: Any) -> bool:
        while not over.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for chunk in chunks:
                if not put(_sent(chunk, device, copying)):
                    return
            put(None)
        except BaseException as error:  # raised again by the consumer
            put(error)

    reader = Thread(target=read, name="prefetch", daemon=True)
    reader.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            chunk, copied = item
            if copied is not None:
                computing = torch.cuda.current_stream(device)
                computing.wait_event(copied)
                chunk.x.record_stream(computing)  # its memory may be used again only after the computation
            yield chunk
    finally:
        over.set()
        reader.join(0.2)  # long enough for `put`
        if reader.is_alive():
            break_off(reader)


def _sent(
    chunk: Chunk, device: torch.device, copying: torch.cuda.Stream | None
) -> tuple[Chunk, torch.cuda.Event | None]:
    if chunk.x.device == device or copying is None:
        return chunk._replace(x=chunk.x.to(device)), None
    with torch.cuda.stream(copying):
        x = sent(chunk.x, device)
        copied = torch.cuda.Event()
        copied.record(copying)
    return chunk._replace(x=x), copied
