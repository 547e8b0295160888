"""Simulated pairs and features against drawing as many numbers on the device."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.gpu.place import Place, ratio
from benchmarks.gpu.row import Row
from sandbox.simulate import vectors
from sandbox.simulate.features import features, stream_features


def rows(place: Place) -> Iterator[Row]:
    """Drawn, and drawn and measured, in 64 and in 768 dimensions."""
    numbers = place.sized(vectors.ON_DEVICE, 2**16)
    generator = torch.Generator(place.device).manual_seed(0)
    options = {"seed": generator, "device": place.device}
    goal = 1.5 if place.gpu else None
    for d in (64, 768):
        n = numbers // d

        def normals(d: int = d, n: int = n) -> None:
            for _ in range(2):
                torch.randn(n, d, generator=generator, device=place.device)

        def uniforms(d: int = d, n: int = n) -> None:
            torch.rand(n, d, generator=generator, device=place.device, dtype=torch.float64)

        for case, ours, drawing, words, limit in (
            (f"pairs, d = {d}", lambda d=d, n=n: vectors.pairs(1.0, 0.9, d, n, **options), normals, "normals", goal),
            (f"stream, d = {d}", lambda d=d, n=n: vectors.stream(1.0, 0.9, d, n, **options), normals, "normals", None),
            (f"features, d = {d}", lambda d=d, n=n: features(1.0, "soft", d, n, **options), uniforms, "uniforms", None),
            (
                f"stream_features, d = {d}",
                lambda d=d, n=n: stream_features(1.0, "soft", d, n, **options),
                uniforms,
                "uniforms",
                None,
            ),
        ):
            times = place.times(ours, drawing)
            mine = min(one for one, _ in times)
            more = {"seconds": mine, "numbers_per_second": 2 * n * d / mine}
            yield Row("simulator", case, ratio(times), goal=limit, words=f"times drawing the {words}", more=more)
