"""Run the CPU benchmarks, or those that are named, and print their ratios; exit with 1 if a claim fails in this run.

The GPU benchmarks are `python -m benchmarks.gpu`.
"""

import argparse
import sys
from importlib import import_module

ALL = (
    "moments",
    "stress",
    "coverage",
    "real_path",
    "throughput",
    "scaling",
    "simulator",
    "memory",
    "proofs",
    "claims",
    "training",
    "drag",
)


def _named() -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(ALL)}; default: all")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in ALL]:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(ALL)}")
    return names or list(ALL)


if __name__ == "__main__":
    kept = [claim for name in _named() for claim in import_module(f"benchmarks.{name}").claims()]
    sys.exit(0 if all(kept) else 1)
