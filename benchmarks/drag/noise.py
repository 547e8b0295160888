"""What everything else on the machine did meanwhile: a drag measured beside other work says nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil


@dataclass
class Noise:
    """CPU time of the processes that are not ours, as a share of one core."""

    share: float = 0.0


@contextmanager
def others() -> Iterator[Noise]:
    """Log the others' CPU time while the block runs; also what the host took from this machine ("steal")."""
    noise, start = Noise(), time.perf_counter()
    before, stolen = _seconds(), _stolen()
    yield noise
    after, wall = _seconds(), time.perf_counter() - start
    spent = sum(used - before.get(process, 0.0) for process, used in after.items())
    noise.share = (spent + _stolen() - stolen) / wall


def _seconds() -> dict[tuple[int, float], float]:
    """CPU seconds of each process outside our tree: this Python, its browser, its Jupyter server and kernels."""
    here = psutil.Process()
    ours = {here.pid, *(child.pid for child in here.children(recursive=True))}
    found = {}
    for process in psutil.process_iter():
        try:
            if process.pid not in ours:
                used = process.cpu_times()
                found[process.pid, process.create_time()] = used.user + used.system
        except psutil.Error:  # it ended meanwhile
            continue
    return found


def _stolen() -> float:
    return getattr(psutil.cpu_times(), "steal", 0.0)
