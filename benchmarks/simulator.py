"""Simulated pairs against drawing as many normal numbers, 2·n·d, with torch on the same device."""

from collections.abc import Iterator

import torch

from benchmarks.timing import claim, ratio
from sandbox import simulate

NUMBERS = 2**24


def claims() -> Iterator[bool]:
    """Print and give each claim."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for d in (64, 768):
            n, chunk = NUMBERS // d, 2**20 // d
            generator = torch.Generator(device).manual_seed(0)

            def normals(d=d, n=n, chunk=chunk, generator=generator, device=device):
                for _ in range(0, n, chunk):
                    torch.randn(2, chunk, d, generator=generator, device=device)

            def pairs(d=d, n=n, chunk=chunk, generator=generator, device=device):
                for _ in range(0, n, chunk):
                    simulate.pairs(1.0, 0.9, d, chunk, seed=generator, device=device)

            value = ratio(pairs, normals, device, repeats=5)
            yield claim(f"simulator: pairs in {d} dimensions on {device}, times drawing 2·n·d normals", value, 2)
