"""Run every benchmark of the CPU and print its ratios; exit status 1 if a claim does not hold in this run.

Those of a GPU are `python -m benchmarks.gpu`.
"""

import sys

from benchmarks import (
    claims,
    coverage,
    drag,
    memory,
    moments,
    proofs,
    real_path,
    scaling,
    simulator,
    stress,
    throughput,
    training,
)

ALL = (moments, stress, coverage, real_path, throughput, scaling, simulator, memory, proofs, claims, training, drag)

if __name__ == "__main__":
    held = [claim for module in ALL for claim in module.claims()]
    sys.exit(0 if all(held) else 1)
