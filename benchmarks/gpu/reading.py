"""From a file: the share that measuring reaches of the slower of reading the file and the forward pass."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.gpu.forward import BATCH, random_sae
from benchmarks.gpu.place import PRECISIONS, Place, ratio
from benchmarks.gpu.row import Row
from sandbox.activations import activations
from sandbox.measuring.forward import FEW, Forward
from sandbox.measuring.one_pass import counted_at_once, stream
from sandbox.measuring.totals import Counting, counter


def rows(place: Place) -> Iterator[Row]:
    """In each precision, from a file that is in the page cache: a disk is slower, and then it is what limits."""
    d_in, d_sae, batch, batches = place.sized((768, 24576, BATCH, 64), (32, 256, 64, 8))
    for precision, (dtype, _) in PRECISIONS.items():
        sae = random_sae(d_in, d_sae, "ReLU", place.device).to(dtype=dtype)
        with tempfile.TemporaryDirectory() as folder, place.computing_in(precision):
            path = Path(folder) / "x.safetensors"
            save_file({"x": torch.randn(batches * batch, d_in).to(dtype)}, path)
            source = activations(path)
            held = [chunk.x.to(place.device) for chunk in source.chunks(batch)]

            measured = Forward(sae, place.device, "float32", tokens=batch)
            measured.try_on(source.sample(FEW).to(place.device))
            size = counted_at_once(batch, d_in, measured.device)
            ours = partial(stream, [measured], source, size, counter([measured], Counting()))

            def forward(sae: torch.nn.Module = sae, held: list[torch.Tensor] = held) -> None:
                with torch.inference_mode():
                    for one in held:
                        sae(one)

            def reading(path: Path = path) -> None:
                for _ in activations(path).chunks(batch):
                    pass

            times = place.times(ours, forward, reading)
        share = ratio(times, lambda mine, passed, read: max(passed, read) / mine)
        mine, passed, read = (min(each) for each in zip(*times, strict=True))
        more = {"seconds": mine, "forward_seconds": passed, "reading_seconds": read}
        case, goal = f"ReLU {d_in} × {d_sae} in {precision}", 0.9 if place.gpu else None
        words = "of the slower of reading and the forward pass"
        yield Row("reading", case, share, goal=goal, at_least=True, words=words, more=more)
