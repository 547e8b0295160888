"""Run every benchmark and print its ratios; exit status 1 if a claim does not hold in this run."""

import sys

from benchmarks import drag, memory, moments, proofs, real_path, simulator

if __name__ == "__main__":
    held = [claim for module in (moments, real_path, simulator, memory, proofs, drag) for claim in module.claims()]
    sys.exit(0 if all(held) else 1)
