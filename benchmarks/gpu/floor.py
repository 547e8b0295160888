"""What the card can do at best: the limits that the other parts are measured against."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.gpu.place import PRECISIONS, Place
from benchmarks.gpu.row import Row


def rows(place: Place) -> Iterator[Row]:
    """Bandwidths and rates of products, as measured."""
    yield Row("floor", "copy within the device", place.bandwidth / 1e12, "TB/s", words="bytes read and written")
    yield Row("floor", "sum of a tensor", place.reading / 1e12, "TB/s", words="bytes read")
    for precision in PRECISIONS:
        rate = place.products(precision)
        yield Row("floor", f"product in {precision}", rate / 1e12, "TFLOP/s", words=f"{place.sized(8192, 512)} cubed")
    if place.gpu:
        host = torch.randn(place.sized(2**27, 2**20)).pin_memory()
        there = torch.empty(len(host), device="cuda")
        rate = host.numel() * 4 / place.time(lambda: there.copy_(host, non_blocking=True))
        yield Row("floor", "copy from pinned memory", rate / 1e9, "GB/s")
