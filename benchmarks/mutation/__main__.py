"""Try mutants of the core against the tests that should see them: `python -m benchmarks.mutation`.

Exit status 1 if too few are caught, if a mutant listed as equivalent is caught or no longer exists, or if a test fails
without any change.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.mutation.core import CORE, SKIPPED, SLOW
from benchmarks.mutation.equivalent import EQUIVALENT, Equivalent, stale
from benchmarks.mutation.mutants import Mutant, chosen, mutants_of
from benchmarks.mutation.named import named
from benchmarks.mutation.trials import Outcome, Trials

ROOT = Path(__file__).parents[2]
LEAST = 0.95
"""Share of the mutants that are not equivalent, to be caught."""


def main() -> int:
    """Run the mutants that the arguments choose."""
    arguments = _arguments()
    files = [file for file in CORE if not arguments.only or any(part in file for part in arguments.only)]
    if not files:
        print(
            f"no file of the core is called {' or '.join(arguments.only)}; there are {', '.join(CORE)}", file=sys.stderr
        )
        return 2
    every = {file: mutants_of(ROOT, file, SKIPPED.get(file, frozenset())) for file in files}
    old = stale(files, [mutant for mutants in every.values() for mutant in mutants])
    for entry in old:
        print(
            f"STALE     {entry.file}: {entry.line}   [{entry.change}] is no longer a mutant of the source", flush=True
        )
    known = {(entry.file, entry.line, entry.change): entry for entry in EQUIVALENT}
    tried: list[tuple[Mutant, Equivalent | None]] = []
    equal: list[tuple[Mutant, Equivalent | None]] = []
    tried += [(mutant, None) for mutant in named(ROOT, files) if (arguments.line or "") in mutant.name]
    for mutants in () if arguments.named else every.values():
        for mutant in mutants if arguments.line else chosen(mutants):
            if arguments.line and arguments.line not in mutant.name:
                continue
            reason = known.get((mutant.file, mutant.line, mutant.change))
            (equal if reason and not arguments.equivalent else tried).append((mutant, reason))
    if arguments.equivalent:
        tried = [
            (mutant, known[key]) for mutants in every.values() for mutant in mutants if (key := _key(mutant)) in known
        ]
    if arguments.list:
        for mutant, reason in [*tried, *equal]:
            print(f"{mutant.name}{f'   equivalent: {reason.reason}' if reason else ''}")
        print(f"{len(tried) + len(equal)} of {sum(map(len, every.values()))} mutants, {len(equal)} of them equivalent")
        return 1 if old else 0
    return _run(arguments, tried, equal) or (1 if old else 0)


def _key(mutant: Mutant) -> tuple[str, str, str]:
    return mutant.file, mutant.line, mutant.change


Tried = Sequence[tuple[Mutant, Equivalent | None]]


def _run(arguments: argparse.Namespace, tried: Tried, equal: Tried) -> int:
    start = time.perf_counter()
    rows: list[dict[str, Any]] = []
    tests = {test for mutant, _ in tried for test in CORE[mutant.file]}
    with Trials(ROOT, tests, SLOW) as trials:
        for place, (mutant, reason) in enumerate(tried):
            trials.learn(dict.fromkeys((mutant.file, *CORE[mutant.file])))
            outcome = trials.tried(mutant.file, mutant.function, mutant.source(), CORE[mutant.file])
            rows.append({"mutant": mutant.name, "caught": outcome.caught, "by": outcome.by, "seconds": outcome.seconds})
            _tell(place + 1, len(tried), mutant, outcome, bool(reason))
            if arguments.json:
                arguments.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
        failing = trials.failing
    for test, why in failing.items():
        print(f"FAILS     without any change: {test} ({why})")
    wrong = [mutant for (mutant, reason), row in zip(tried, rows, strict=True) if reason and row["caught"]]
    for mutant in wrong:
        print(f"CAUGHT    though it is listed as equivalent: {mutant.name}")
    counted = [row for (_, reason), row in zip(tried, rows, strict=True) if not reason]
    caught = sum(row["caught"] for row in counted)
    share = caught / len(counted) if counted else 1.0
    print(
        f"{len(counted) + len(equal)} mutants: {caught} caught, {len(counted) - caught} not, {len(equal)} equivalent; "
        f"{share:.1%} of those that are not equivalent, in {(time.perf_counter() - start) / 60:.1f} minutes"
    )
    return 0 if share >= LEAST and not wrong and not failing else 1


def _tell(place: int, of: int, mutant: Mutant, outcome: Outcome, equivalent: bool) -> None:
    what = "caught" if outcome.caught else "equal" if equivalent else "SURVIVES"
    by = f"   by {outcome.by}" if outcome.by else ""
    print(f"{what:9} {place}/{of} {outcome.seconds:4.1f} s  {mutant.name}{by}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="files whose name contains this")
    parser.add_argument("--line", metavar="TEXT", help="every mutant whose name contains this, instead of those chosen")
    parser.add_argument("--named", action="store_true", help="only the mutants that are tried in every run")
    parser.add_argument("--equivalent", action="store_true", help="try the mutants listed as equivalent")
    parser.add_argument("--list", action="store_true", help="list the mutants that would be tried, and try none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome of each")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
