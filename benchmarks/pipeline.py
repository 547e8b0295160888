"""From a file through a GPU: measuring against the SAE's forward pass alone over batches that are there already.

The target is 90 % of that pass's throughput or, where reading is what limits, 80 % of what reading the file gives by
itself. Claims are times the target, so that 1 reaches it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import save_file

from benchmarks.real_path import BATCH, random_sae
from benchmarks.timing import claim, in_turn
from sandbox.sae.activations import activations
from sandbox.sae.autoencoder import SAE
from sandbox.sae.measure import measure

D_IN, D_SAE = 768, 24576
BATCHES = 128
OF_FORWARD, OF_READING = 0.9, 0.8

KINDS = {
    "float32": (torch.float32, False),
    "TF32": (torch.float32, True),
    "bf16": (torch.bfloat16, False),
}
"""In what the SAE computes and the file is stored, and whether products of float32 may use TF32."""


def times_target(sae: SAE, path: Path) -> float:
    """Throughput of measuring, over the lower of the two targets, from runs taken in turn."""
    source = activations(path)
    held = [chunk.x.cuda() for chunk in source.chunks(BATCH)]

    def ours() -> None:
        measure(sae, path, batch_size=BATCH, device="cuda", look=False)

    def forward() -> None:
        with torch.inference_mode():
            for batch in held:
                sae(batch)

    def reading() -> None:
        for _ in source.chunks(BATCH):
            pass

    times = in_turn(ours, forward, reading, device="cuda", repeats=5)
    return median(max(passed / OF_FORWARD, read / OF_READING) / mine for mine, passed, read in times)


def claims() -> Iterator[bool]:
    """Print and give each claim, where there is a GPU."""
    if not torch.cuda.is_available():
        print("left out: pipeline: it needs an NVIDIA GPU", flush=True)
        return
    allowed = torch.backends.cuda.matmul.allow_tf32
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, (dtype, tf32) in KINDS.items():
                torch.backends.cuda.matmul.allow_tf32 = tf32
                path = Path(folder) / f"{name}.safetensors"
                noise = torch.randn(BATCHES * BATCH, D_IN, generator=torch.Generator().manual_seed(0))
                save_file({"x": noise.to(dtype)}, path)
                value = times_target(random_sae(D_IN, D_SAE).to("cuda", dtype), path)
                what = f"pipeline: {D_IN} × {D_SAE} from a file through CUDA in {name}, times the target"
                yield claim(what, value, 1, at_least=True)
                path.unlink()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
