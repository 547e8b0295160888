"""torchrun on the cores of one machine: tokens per second of two processes against one.

Each process uses one thread. The clock starts once every process has run once, and stops at the report.
`python -m torch.distributed.run --nproc-per-node K -m benchmarks.scaling FILE` prints the times of its runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.timing import claim, seconds
from sandbox.activations import activations
from sandbox.data import embedded
from sandbox.measuring.measure import measure
from sandbox.measuring.ranks import Ranks

COPIES = 12  # of the embedded activations: 85 476 tokens, a few seconds on one core
ROUNDS, RUNS = 3, 3


def times(processes: int, path: Path) -> list[float]:
    """Seconds that each of RUNS runs takes on so many processes."""
    launcher = ["torch.distributed.run", "--nproc-per-node", str(processes), "--rdzv-backend", "c10d"]
    command = [*launcher, "--rdzv-endpoint", "localhost:0", "-m", "benchmarks.scaling", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def claims() -> Iterator[bool]:
    """Print and yield the claim, where there are two cores."""
    if (os.cpu_count() or 1) < 2:
        print("left out: scaling: it needs two cores", flush=True)
        return
    rows = activations(embedded("activations")).sample(10_000).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, np.tile(rows, (COPIES, 1)))
        rounds = [(min(times(1, path)), min(times(2, path))) for _ in range(ROUNDS)]
    value = median(one / two for one, two in rounds)
    yield claim("scaling: tokens per second of 2 processes on 2 cores over those of 1", value, 1.6, at_least=True)


if __name__ == "__main__":

    def ours() -> None:
        measure(str(embedded("minilm-relu")), sys.argv[1], device="cpu", look=False)

    runs = [seconds(ours) for _ in range(RUNS + 1)][1:]
    if Ranks.here().first:
        print(json.dumps(runs))
