"""Moments of a million pairs against reading both tensors once: today's fused pass, and the plain one beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from unittest import mock

import torch

from benchmarks.gpu.place import Place, ratio
from benchmarks.gpu.row import Row
from sandbox.moments import totalling
from sandbox.moments.moments import Moments

D = 768


def rows(place: Place) -> Iterator[Row]:
    """In float32 and bfloat16, by blocks and by documents; and whether both ways agree."""
    n = place.sized(1_000_000, 4000)
    documents = torch.arange(n) // 100
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(n, D, device=place.device).to(dtype)
        x_hat = (0.9 * x + 0.3 * torch.randn(n, D, device=place.device)).to(dtype)
        floor = 2 * x.numel() * x.element_size() / place.bandwidth

        def reading(x: torch.Tensor = x, x_hat: torch.Tensor = x_hat) -> None:
            x.sum()
            x_hat.sum()

        def ours(x: torch.Tensor = x, x_hat: torch.Tensor = x_hat) -> Moments:
            return Moments.from_pairs(x, x_hat, drop_nonfinite=True)

        def by_document(x: torch.Tensor = x, x_hat: torch.Tensor = x_hat) -> Moments:
            return Moments.from_pairs(x, x_hat, documents, drop_nonfinite=True)

        name = f"2 × ({n:,}, {D}) in {str(dtype).removeprefix('torch.')}"
        for case, run in ((name, ours), (f"{name}, by document", by_document)):
            times = place.times(run, reading, repeats=9)
            best = min(mine for mine, _ in times)
            more = {"seconds": best, "floor_seconds": floor, "over_floor": best / floor}
            goal = 2 if place.gpu else None
            yield Row("moments", case, ratio(times), goal=goal, words="times a sum over both tensors", more=more)
        if not place.gpu:
            continue
        taken = float(totalling.supported(x, x_hat))
        goal = 1 if not place.small else None  # no pretended device has Triton
        words = "1 where Triton's one pass is taken; what follows means nothing where it is not"
        yield Row("moments", f"{name}, fused", taken, goal=goal, at_least=True, words=words)
        x, x_hat = x[: n // 4], x_hat[: n // 4]  # float64 copies of all would not fit on every card

        def fewer(x: torch.Tensor = x, x_hat: torch.Tensor = x_hat) -> Moments:
            return Moments.from_pairs(x, x_hat, drop_nonfinite=True)

        fused = fewer()
        with mock.patch.object(totalling, "supported", return_value=False):
            times = place.times(fewer, lambda x=x, x_hat=x_hat: reading(x, x_hat), repeats=3)
            plain = fewer()
        yield Row("moments", f"{name}, unfused", ratio(times), words="times a sum over both tensors")
        apart = max(_apart(one, other) for one, other in zip(fused, plain, strict=True))
        yield Row("moments", f"{name}, fused and not", apart, goal=1e-12, words="greatest relative difference")
        again = all(torch.equal(one, other) for one, other in zip(fused, fewer(), strict=True))
        yield Row("moments", f"{name}, twice", float(not again), goal=0, words="1 where two runs differ in any bit")


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The greatest difference, in times the greatest entry; infinite where either is not finite."""
    if not (one.isfinite().all() and other.isfinite().all()):
        return math.inf
    return ((one - other).abs().max() / other.abs().max().clamp(min=1e-300)).item()
