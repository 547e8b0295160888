"""Where memory is short: the report is the same, and the batch is halved as often as it has to be."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path

import torch

from benchmarks.gpu.forward import random_sae
from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row
from sandbox.checkpoints.autoencoder import SAE
from sandbox.measuring.measure import measure
from sandbox.report import Report

FILLED = (0.0, 0.5, 0.8, 0.9, 0.95)
"""Shares of what one run takes that are taken from it beforehand."""

BIAS = "relative_reconstruction_bias"


def rows(place: Place) -> Iterator[Row]:
    """At several fill levels, γ is the same as with memory to spare."""
    d_in, d_sae, tokens = place.sized((768, 65536, 16384), (64, 16384, 8192))
    sae = random_sae(d_in, d_sae, "ReLU", place.device)
    x = torch.randn(tokens, d_in, device=place.device)
    needed = 3 * 4 * tokens * d_sae
    expected, _ = _measured(sae, x)
    halved = 0
    for share in FILLED:
        case = f"{1 - share:.0%} of three batches of latents left"
        try:
            with _left(place, int(needed * (1 - share))):
                gamma, stderr = _measured(sae, x)
        except (RuntimeError, MemoryError) as error:
            yield Row("memory", case, None, goal=1e-6, words=f"not survived: {error}"[:200])
            continue
        halved = stderr.count("out of memory")
        words = f"difference of γ; halved {halved} times"
        value = None if gamma is None or expected is None else abs(gamma - expected)
        yield Row("memory", case, value, goal=1e-6, words=words)
    yield Row(
        "memory", "halvings at the last of these", float(halved), goal=1, at_least=True, words="or it tests nothing"
    )


def _measured(sae: SAE, x: torch.Tensor) -> tuple[float | None, str]:
    stderr = StringIO()
    with redirect_stderr(stderr):
        report: Report = measure(sae, x, batch_size=len(x), look=False)
    return report.raw[BIAS].value, stderr.getvalue()


@contextmanager
def _left(place: Place, room: int) -> Iterator[None]:
    """Within the block, only `room` bytes can be allocated: the rest is filled, or the process is limited."""
    if place.gpu:
        place.free()
        free, _ = torch.cuda.mem_get_info()
        filler = torch.empty(max(free - room, 0), dtype=torch.uint8, device="cuda")
        try:
            yield
        finally:
            del filler
            place.free()
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room + 2**28, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
