"""Train all SAEs of a sweep: several at a time on a CPU, one after another on an accelerator."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context, parent_process
from pathlib import Path
from queue import Empty
from threading import Lock, Thread
from typing import Any

import torch

from sandbox.errors import InputError
from sandbox.system.interrupts import signals_blocked, stop_requested
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
    """Train and measure every unfinished SAE, each in its own folder below `folder`.

    Workers are processes. On the CPU each SAE is trained on one thread, so that a seed gives the same weights for any
    number of workers.

    Args:
        progress: called with the number of steps just done
        finished: called with the record of each SAE when it is finished
    Returns: the record of each job, as `train` returns it, in the order of the jobs
    Raises:  KeyboardInterrupt on Ctrl-C or SIGTERM, and whatever `train` raises, once all training states are saved
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = (training, data, folder, device)
    if workers == 1 or len(jobs) < 2:
        records = []
        with stop_requested() as stop:
            for job in jobs:
                records.append(_trained(job, settings, progress, stop))
                finished(records[-1])
        return records
    context = get_context("spawn")
    steps, halt = context.Queue(), context.Event()
    pool = ProcessPoolExecutor(workers, context, initializer=_work_for, initargs=(steps, halt))
    try:
        with stop_requested() as stop:
            with signals_blocked():  # workers inherit the blocked signals: `halt` stops them
                futures = [pool.submit(_work, job, settings) for job in jobs]
            waiting = list(futures)
            while waiting:
                if stop():
                    raise KeyboardInterrupt
                for future in [future for future in waiting if future.done()]:
                    finished(future.result())
                    waiting.remove(future)
                with suppress(Empty):
                    progress(steps.get(timeout=0.2))
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise InputError(
            "a training process has died, perhaps because memory ran out: run the same command to resume, if need be "
            "with fewer workers"
        ) from error
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
    """Set up a worker: where it reports steps, and the event that stops it. It ends when its parent does."""
    global _steps, _halt
    _steps, _halt = steps, halt
    Thread(target=_end_with, args=(parent_process(),), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    with _busy:  # waits until the training state is saved
        os._exit(1)


def _work(job: Job, settings: tuple) -> dict[str, Any]:
    parent, unreported, reported_at = parent_process(), 0, time.monotonic()

    def progress(done: int) -> None:
        nonlocal unreported, reported_at
        unreported += done
        if time.monotonic() - reported_at > 0.5:
            _steps.put(unreported)
            unreported, reported_at = 0, time.monotonic()

    def stop() -> bool:
        return _halt.is_set() or (parent is not None and not parent.is_alive())

    with _busy:
        try:
            return _trained(job, settings, progress, stop)
        finally:
            _steps.put(unreported)
