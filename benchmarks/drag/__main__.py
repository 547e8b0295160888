"""`python -m benchmarks.drag`: drag latency alone; exit status 1 if a claim fails, 2 if it cannot be measured."""

import argparse
import sys

from benchmarks import drag
from benchmarks.drag.variants import VARIANTS

if __name__ == "__main__":
    keys = [*(variant.key for variant in VARIANTS), drag.OPENING]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drag", description="Measure drag latency.")
    parser.add_argument("--repeats", type=int, default=drag.REPEATS, help="runs of each variant (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=keys, default=[], metavar="VARIANT", help=", ".join(keys))
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {options.repeats}")
    sys.exit(0 if all([*drag.claims(options.repeats, options.only)]) else 1)
