"""Run every benchmark and print its ratios; exit status 1 if a claim does not hold in this run."""

import sys

from benchmarks import (
    drag,
    memory,
    moments,
    pipeline,
    proofs,
    real_path,
    scaling,
    simulator,
    stress,
    throughput,
    training,
)

ALL = (moments, stress, real_path, throughput, pipeline, scaling, simulator, memory, proofs, training, drag)

if __name__ == "__main__":
    held = [claim for module in ALL for claim in module.claims()]
    sys.exit(0 if all(held) else 1)
