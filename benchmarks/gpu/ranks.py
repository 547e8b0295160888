"""Beyond one card: what the one all-reduce at the end costs 8, 64 and 512 ranks, from the sizes that are really sent.

Each rank counts its own tokens and then sends its totals once (`sandbox.measuring.ranks`). A ring of k ranks moves
2 (k − 1)/k times the totals' bytes over each link, in 2 (k − 1) steps:

    seconds = 2 (k − 1) · (latency + bytes / (k · bandwidth)).

The figure is how many tokens a rank must count for that to be a hundredth of its time, at the rate of one card here.
Ids of documents are told to every rank besides, some 10 bytes each when pickled.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.gpu.forward import BATCH, random_sae
from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row
from sandbox.activations import activations
from sandbox.measuring.forward import Forward
from sandbox.measuring.one_pass import counted_at_once, stream
from sandbox.measuring.totals import Counting, counter

LINKS = {8: (450e9, 5e-6), 64: (50e9, 15e-6), 512: (50e9, 15e-6)}
"""Ranks ► bytes a second over a link one way, and seconds of latency a step: NVLink within a machine of 8 cards, one
400 Gb/s adapter a card between machines. Nominal figures, not measured."""

D_IN, D_SAE = 768, 24576
SMALL = 32, 256


def seconds_of_all_reduce(size: float, ranks: int, bandwidth: float, latency: float) -> float:
    """Of a ring, for so many bytes.

    >>> seconds_of_all_reduce(8e9, 8, 450e9, 5e-6)
    0.03118...
    """
    return 2 * (ranks - 1) * (latency + size / (ranks * bandwidth))


def rows(place: Place) -> Iterator[Row]:
    """For each number of ranks, with and without the tally of each latent."""
    (d_in, d_sae), batch = place.sized((D_IN, D_SAE), SMALL), place.sized(BATCH, 64)
    for latents in (False, True):
        case = f"an SAE of {d_in} × {d_sae}{', each latent counted' if latents else ''}"
        sae = Forward(random_sae(d_in, d_sae, "ReLU", place.device), place.device, "float32", tokens=batch)
        source = activations(torch.randn(4 * batch, d_in, device=place.device))
        sae.try_on(source.sample(64).to(place.device))
        count = counter([sae], Counting(latents=latents))
        size = counted_at_once(batch, d_in, sae.device)
        state = stream([sae], source, size, count)
        sent = sum(tensor.nbytes for tensor in state.totals[0].tensors().values())
        run = partial(stream, [sae], source, size, count)
        rate = 4 * batch / place.time(run, repeats=5)
        for ranks, (bandwidth, latency) in LINKS.items():
            spent = seconds_of_all_reduce(sent, ranks, bandwidth, latency)
            more = {"bytes": float(sent), "seconds": spent, "tokens_per_second": rate}
            link = f"{bandwidth / 1e9:.0f} GB/s and {latency * 1e6:.0f} µs a step"
            words = f"for each GPU, from which on the final all-reduce takes less than 1 % of the time, over {link}"
            yield Row(
                "ranks", f"{case} on {ranks} GPUs, calculated", 100 * spent * rate, "tokens", words=words, more=more
            )
