"""All SAEs of a sweep: several at a time on the cores of a CPU, one after the other on an accelerator."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from pathlib import Path
from queue import Empty
from threading import Lock, Thread, current_thread, main_thread
from typing import Any

import torch

from sandbox.errors import InputError
from sandbox.training.sweep_data import SweepData
from sandbox.training.trainer import Job, Training, train


def train_all(
    jobs: Sequence[Job],
    training: Training,
    data: SweepData,
    folder: Path,
    *,
    device: str = "cpu",
    workers: int = 1,
    progress: Callable[[int], None] = lambda steps: None,
    finished: Callable[[dict[str, Any]], None] = lambda record: None,
) -> list[dict[str, Any]]:
    """Train and measure every SAE that is not finished yet, each in its own folder below `folder`.

    On the CPU each SAE is trained on one thread, so that the same seed gives the same weights whatever the number of
    workers; they are processes.

    Args:    progress: called with the steps that are done; finished: with what `train` gives, as each SAE is finished
    Returns: what `train` gives for each job, in their order
    Raises:  KeyboardInterrupt at Ctrl-C and SIGTERM, when the state of all that is in training has been saved;
             what `train` raises, when the others have been stopped likewise
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = (training, data, folder, device)
    if workers == 1 or len(jobs) < 2:
        records = []
        with _told_to_stop() as stop:
            for job in jobs:
                records.append(_trained(job, settings, progress, stop))
                finished(records[-1])
        return records
    context = get_context("spawn")
    steps, halt = context.Queue(), context.Event()
    pool = ProcessPoolExecutor(workers, context, initializer=_work_for, initargs=(steps, halt))
    try:
        with _told_to_stop() as stop:
            with _signals_held():  # and by the workers for good: they are told by `halt`
                futures = [pool.submit(_work, job, settings) for job in jobs]
            waiting = list(futures)
            while waiting:
                if stop():
                    raise KeyboardInterrupt
                for future in [one for one in waiting if one.done()]:
                    finished(future.result())
                    waiting.remove(future)
                with suppress(Empty):
                    progress(steps.get(timeout=0.2))
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        died = "a process that trained an SAE has died, perhaps for want of memory"
        raise InputError(f"{died}: the same command goes on; with fewer workers it needs less") from error
    finally:
        halt.set()
        pool.shutdown(cancel_futures=True)


def _trained(job: Job, settings: tuple, progress: Callable[[int], None], stop: Callable[[], bool]) -> dict[str, Any]:
    training, data, folder, device = settings
    threads = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        return train(job, training, data, folder / job.name, device=device, progress=progress, stop=stop)
    finally:
        torch.set_num_threads(threads)


_steps: Any = None
_halt: Any = None
_busy = Lock()


def _work_for(steps: Any, halt: Any) -> None:
    """Of a worker: where to say how it goes, and what tells it to stop; without a parent it ends."""
    global _steps, _halt
    _steps, _halt = steps, halt
    Thread(target=_end_with, args=(parent_process(),), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    with _busy:  # until the state of what is in training has been saved
        os._exit(1)


def _work(job: Job, settings: tuple) -> dict[str, Any]:
    parent, held, said = parent_process(), 0, time.monotonic()

    def progress(done: int) -> None:
        nonlocal held, said
        held += done
        if time.monotonic() - said > 0.5:
            _steps.put(held)
            held, said = 0, time.monotonic()

    def stop() -> bool:
        return _halt.is_set() or (parent is not None and not parent.is_alive())

    with _busy:
        try:
            return _trained(job, settings, progress, stop)
        finally:
            _steps.put(held)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait while this lasts; processes that are born meanwhile never get them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _told_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came, which while this lasts break nothing off by themselves."""
    came: list[int] = []
    if current_thread() is not main_thread():  # where no handler can be set
        yield lambda: False
        return
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came and callable(handler := before[signal.SIGINT]):
            handler(signal.SIGINT, None)  # as if it came now, that the program knows of it
