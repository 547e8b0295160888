"""Ratios of times taken in turn, in one run: machines are noisy, so absolute times say little."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

REPEATS = 9


def seconds(run: Callable[[], object], device: str = "cpu") -> float:
    """One run's time, with the device's queue empty before and after."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ratio(
    ours: Callable[[], object], theirs: Callable[[], object], device: str = "cpu", repeats: int = REPEATS
) -> float:
    """Our time over theirs, taken in turn: the median of the pairs' ratios, since a machine's speed drifts."""
    pairs = [(seconds(ours, device), seconds(theirs, device)) for _ in range(repeats + 1)][1:]  # the first warms up
    return median(one / other for one, other in pairs)


def claim(what: str, value: float, limit: float, *, at_least: bool = False) -> bool:
    """Print a ratio beside its limit, and whether it holds."""
    holds = value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    print(f"{'holds' if holds else 'FAILS':6} {value:8.2f}  (claim {sign} {limit:g})  {what}", flush=True)
    return holds
