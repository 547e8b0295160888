"""Ratios of times measured alternately in one run: machines are noisy, so absolute times say little."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

REPEATS = 9

Run = Callable[[], object]


def seconds(run: Run, device: str = "cpu") -> float:
    """One run's time, with the device's queue empty before and after."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turn(*runs: Run, device: str = "cpu", repeats: int = REPEATS) -> list[tuple[float, ...]]:
    """The time of each, one after the other, as often as that; a first time that warms up is left out."""
    return [tuple(seconds(run, device) for run in runs) for _ in range(repeats + 1)][1:]


def ratio(ours: Run, theirs: Run, device: str = "cpu", repeats: int = REPEATS) -> float:
    """Our time over theirs, taken in turn: the median of the pairs' ratios, since a machine's speed drifts."""
    return median(one / other for one, other in in_turn(ours, theirs, device=device, repeats=repeats))


def claim(what: str, value: float, limit: float, *, at_least: bool = False) -> bool:
    """Print a ratio beside its limit, and whether it holds."""
    holds = value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    print(f"{'holds' if holds else 'FAILS':6} {value:8.2f}  (claim {sign} {limit:g})  {what}", flush=True)
    return holds
