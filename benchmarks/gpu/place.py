"""`Place`: where a part runs, how large its cases are there, and what the device can do at best."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TypeVar

import torch

from benchmarks.timing import Run, in_turn, seconds

T = TypeVar("T")

PRECISIONS = {"float32": (torch.float32, False), "TF32": (torch.float32, True), "bfloat16": (torch.bfloat16, False)}
"""What is computed in, and whether products of float32 may use TF32."""


@dataclass(frozen=True)
class Place:
    """A device, and what it can do at best.

    Attributes: device: cuda or cpu; small: whether cases take sizes that a CPU has done with in seconds
    """

    device: str
    small: bool = False

    @property
    def gpu(self) -> bool:
        """Whether it is one; goals are for it."""
        return self.device == "cuda"

    def sized(self, there: T, here: T) -> T:
        """The first, or the second where cases are small."""
        return here if self.small else there

    @cached_property
    def bandwidth(self) -> float:
        """Bytes a second that a copy within the device reads and writes, together."""
        source = torch.randn(self.sized(2**29, 2**22), device=self.device)
        target = torch.empty_like(source)
        return 2 * source.numel() * 4 / self.time(lambda: target.copy_(source))

    @cached_property
    def reading(self) -> float:
        """Bytes a second that a sum over a tensor reads."""
        source = torch.randn(self.sized(2**29, 2**22), device=self.device)
        return source.numel() * 4 / self.time(source.sum)

    def products(self, precision: str) -> float:
        """Floating-point operations a second of a large matrix product; of random numbers, since zeros are quicker."""
        dtype, _ = PRECISIONS[precision]
        size = self.sized(8192, 512)
        one, other = (torch.randn(size, size, device=self.device).to(dtype) for _ in range(2))
        with self.computing_in(precision):
            return 2 * size**3 / self.time(lambda: one @ other)

    @contextmanager
    def computing_in(self, precision: str) -> Iterator[None]:
        """Products of float32 may use TF32, or may not."""
        allowed = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = PRECISIONS[precision][1]
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = allowed

    def time(self, run: Run, repeats: int = 9) -> float:
        """Seconds of one run: the median, after one that warms up."""
        return median(one for (one,) in in_turn(run, device=self.device, repeats=repeats))

    def times(self, *runs: Run, repeats: int = 5) -> list[tuple[float, ...]]:
        """Seconds of each, in turn, so that a card that warms up or slows down does it to all."""
        return in_turn(*runs, device=self.device, repeats=repeats)

    def often(self, run: Run, enough: float) -> int:
        """How often something has to be done to take so many seconds: once at least."""
        run()
        return max(1, round(enough / max(seconds(run, self.device), 1e-6)))

    def peak(self, run: Run) -> float | None:
        """Bytes by which a run raises what is allocated on the GPU; None on the CPU."""
        if not self.gpu:
            run()
            return None
        self.free()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return float(torch.cuda.max_memory_allocated() - before)

    def free(self) -> None:
        """Give back what nobody holds any more."""
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()


def ratio(times: list[tuple[float, ...]], over: Callable[..., float] = lambda mine, theirs: mine / theirs) -> float:
    """The median over runs taken in turn of the first over the second."""
    return median(over(*one) for one in times)
