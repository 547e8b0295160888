"""Peak memory: constant in the number of tokens, a few batches of latents, and less than SAELens' own evaluation.

Each figure comes from its own process. `python -m benchmarks.memory ours|SAELens D_SAE BATCHES [latents]` prints how
many bytes a run adds to the peak of a process that already holds its imports, the weights and the activations.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.forward import BATCH, random_sae
from benchmarks.timing import claim
from sandbox.activations import activations
from sandbox.data import embedded
from sandbox.measuring.measure import measure

D_IN = 256
NARROW, WIDE = 4096, 16384  # latents
OF_A_FILE = """
import sys
from benchmarks.memory import peak
from sandbox.measuring.measure import measure
measure(sys.argv[1], sys.argv[2], documents=sys.argv[3], device="cpu")
print(peak())
"""


def peak() -> int:
    """The most memory that this process has had, in bytes.

    Linux says it in /proc: its `ru_maxrss` begins with the peak of the parent, if that is greater.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def of_a_file(folder: Path, copies: int) -> int:
    """The peak of a process that measures the embedded activations `copies` times over, from one file."""
    rows = activations(embedded("activations")).sample(10_000).numpy()
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", rows.dtype, (copies * len(rows), rows.shape[1]))
    for copy in range(copies):
        x[copy * len(rows) : (copy + 1) * len(rows)] = rows
    x.flush()
    np.save(folder / "ids.npy", np.arange(len(x)) // 70)
    return _printed("-c", OF_A_FILE, str(embedded("minilm-gated")), str(folder / "x.npy"), str(folder / "ids.npy"))


def growth(who: str, d_sae: int, batches: int, *latents: str) -> int:
    """By how much measuring raises the peak of a process of its own, in bytes."""
    return _printed("-m", "benchmarks.memory", who, str(d_sae), str(batches), *latents)


def _printed(*command: str) -> int:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def _grown(who: str, d_sae: int, batches: int, latents: bool) -> int:
    """`growth`, in this process. A first batch of a few tokens brings in all that is loaded late."""
    sae = random_sae(D_IN, d_sae)
    x = torch.randn(batches * BATCH, D_IN, generator=torch.Generator().manual_seed(0))
    if who == "ours":

        def run(x: torch.Tensor, batch: int) -> object:
            return measure(sae, x, batch_size=batch, latents=latents)

    else:
        from benchmarks.peer import as_saelens, saelens_evaluation

        theirs = as_saelens(sae)

        def run(x: torch.Tensor, batch: int) -> object:
            return saelens_evaluation(theirs, x, batch)

    run(x[:128], 128)
    before = peak()
    run(x, BATCH)
    return peak() - before


def claims() -> Iterator[bool]:
    """Print and yield each claim."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (of_a_file(Path(folder), copies) for copies in (5, 50))
    yield claim("memory: peak at 356,150 tokens over peak at 35,615, from a file", many / few, 1.10)
    for how in ((), ("latents",)):
        label = f"memory{', each latent counted' if how else ''}: tensors of batch × d_sae in float32"
        narrow, wide, long = (growth("ours", *sizes, *how) for sizes in ((NARROW, 2), (WIDE, 2), (WIDE, 8)))
        yield claim(f"{label}, from {NARROW} to {WIDE} latents", (wide - narrow) / (4 * BATCH * (WIDE - NARROW)), 3)
        yield claim(f"{label}, for 8 batches at {WIDE} latents", long / (4 * BATCH * WIDE), 3)
    theirs, mine = (growth(who, WIDE, 2) for who in ("SAELens", "ours"))
    yield claim(
        f"memory: what SAELens' evaluation takes, {WIDE} latents, over what ours takes", theirs / mine, 1, at_least=True
    )


if __name__ == "__main__":
    print(_grown(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), "latents" in sys.argv))
