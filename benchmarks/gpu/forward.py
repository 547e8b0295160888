"""Measuring against the SAE's forward pass alone over the same batches, all on the device.

Timed is the pass over the tokens; what a run costs once, however long it is (the first look, the report), is given
beside it as `more_seconds_once`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from benchmarks.gpu.place import PRECISIONS, Place, ratio
from benchmarks.gpu.row import Row
from sandbox.activations import activations
from sandbox.checkpoints.activation_functions import Gate, JumpReLU, ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.measuring.forward import FEW, Forward
from sandbox.measuring.measure import measure
from sandbox.measuring.one_pass import counted_at_once, stream
from sandbox.measuring.totals import Counting, counter

BATCH = 4096
SIZES = ((768, 24576), (2304, 16384), (4096, 65536))
SMALL = ((32, 256),)
ENOUGH = 0.25  # seconds of the forward pass: batches are repeated until it takes so long

THRESHOLD = 2.5
"""Standard deviations of a pre-activation: fewer than one latent in a hundred is on, as in SAEs that are in use."""


def _gate(d_sae: int) -> Gate:
    off = torch.full((d_sae,), -THRESHOLD)
    return Gate(off, off, torch.zeros(d_sae))


ACTIVATIONS: dict[str, Callable[[int], torch.nn.Module]] = {
    "ReLU": lambda d_sae: ReLU(),
    "JumpReLU": lambda d_sae: JumpReLU(torch.full((d_sae,), THRESHOLD)),
    "TopK": lambda d_sae: TopK(64),
    "Gated": _gate,
}


def random_sae(d_in: int, d_sae: int, activation: str = "ReLU", device: str = "cpu") -> SAE:
    """An SAE of that size and kind, as sparse as a trained one; drawn on the device."""
    generator = torch.Generator(device).manual_seed(0)
    W_enc = torch.randn(d_in, d_sae, device=device, generator=generator) / d_in**0.5
    b_enc = torch.full((d_sae,), -THRESHOLD if activation == "ReLU" else 0.0, device=device)
    made = ACTIVATIONS[activation](d_sae).to(device)
    b_dec = torch.zeros(d_in, device=device)
    return SAE(W_enc, W_enc.T.contiguous(), b_dec, b_enc, activation=made, subtract_b_dec=False)


def rows(place: Place) -> Iterator[Row]:
    """By size, architecture and precision."""
    for d_in, d_sae in place.sized(SIZES, SMALL):
        for activation in ACTIVATIONS:
            for precision in PRECISIONS:
                with place.computing_in(precision):
                    yield _row(place, d_in, d_sae, activation, precision)
                place.free()


def _row(place: Place, d_in: int, d_sae: int, activation: str, precision: str) -> Row:
    dtype, _ = PRECISIONS[precision]
    batch = place.sized(BATCH, 64)
    sae = random_sae(d_in, d_sae, activation, place.device).to(dtype=dtype)
    one = torch.randn(batch, d_in, device=place.device).to(dtype)
    with torch.inference_mode():
        batches = min(max(place.often(lambda: sae(one), ENOUGH), 4), place.sized(512, 4))
    x = torch.randn(batches * batch, d_in, device=place.device).to(dtype)

    def forward() -> None:
        with torch.inference_mode():
            for part in x.split(batch):
                sae(part)

    measured, source = Forward(sae, place.device, "float32", tokens=batch), activations(x)
    measured.try_on(source.sample(FEW))
    size = counted_at_once(batch, d_in, measured.device)
    ours = partial(stream, [measured], source, size, counter([measured], Counting()))
    times = place.times(ours, forward, repeats=2)
    peak = place.peak(ours)
    whole = place.time(lambda: measure(sae, x, batch_size=batch, look=False).raw, repeats=1)
    # two products, and nothing smaller: the latents need not leave the chip, in principle
    floor = 4 * len(x) * d_in * d_sae / place.products(precision)
    mine, theirs = (min(each) for each in zip(*times, strict=True))
    more = {
        "tokens_per_second": len(x) / mine,
        "seconds": mine,
        "floor_seconds": floor,
        "over_floor": mine / floor,
        "forward_over_floor": theirs / floor,
        "more_seconds_once": max(whole - mine, 0),
    }
    if peak is not None:
        more["peak_in_batches_of_latents"] = peak / (batch * d_sae * one.element_size())
    case = f"{activation} {d_in} × {d_sae} in {precision}"
    goal = 1.05 if place.gpu else None
    return Row("forward", case, ratio(times), goal=goal, words="times the forward pass alone", more=more)
