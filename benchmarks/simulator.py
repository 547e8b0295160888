"""Simulating pairs, against drawing the same 2·n·d normal numbers with torch."""

from collections.abc import Iterator

import torch

from benchmarks.timing import claim, ratio
from sandbox.simulate import vectors

NUMBERS = 2**24


def claims() -> Iterator[bool]:
    """Print and yield each claim."""
    for d in (64, 768):
        n, chunk = NUMBERS // d, vectors.ON_HOST // d
        generator = torch.Generator().manual_seed(0)

        def normals(d=d, n=n, chunk=chunk, generator=generator):
            for _ in range(0, n, chunk):
                torch.randn(2, chunk, d, generator=generator)

        def pairs(d=d, n=n, chunk=chunk, generator=generator):
            for _ in range(0, n, chunk):
                vectors.pairs(1.0, 0.9, d, chunk, seed=generator)

        yield claim(f"simulator: pairs in {d} dimensions, times drawing 2·n·d normals", ratio(pairs, normals), 2)
