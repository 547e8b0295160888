"""Try mutants of the core against the tests that should see them: `python -m benchmarks.mutation`.

Exit status 1 if too few are caught, if one that is said to be equivalent is caught or no mutant any more, or if a test
fails without any change.
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
    """Run as told."""
    given = _arguments()
    files = [file for file in CORE if not given.only or any(part in file for part in given.only)]
    if not files:
        print(f"no file of the core is called {' or '.join(given.only)}; there are {', '.join(CORE)}", file=sys.stderr)
        return 2
    every = {file: mutants_of(ROOT, file, SKIPPED.get(file, frozenset())) for file in files}
    old = stale(files, [one for those in every.values() for one in those])
    for one in old:
        print(f"STALE     {one.file}: {one.line}   [{one.change}] is no mutant of the source any more", flush=True)
    known = {(one.file, one.line, one.change): one for one in EQUIVALENT}
    tried: list[tuple[Mutant, Equivalent | None]] = []
    equal: list[tuple[Mutant, Equivalent | None]] = []
    tried += [(one, None) for one in named(ROOT, files) if (given.line or "") in one.name]
    for those in () if given.named else every.values():
        for one in those if given.line else chosen(those):
            if given.line and given.line not in one.name:
                continue
            reason = known.get((one.file, one.line, one.change))
            (equal if reason and not given.equivalent else tried).append((one, reason))
    if given.equivalent:
        tried = [(one, known[key]) for those in every.values() for one in those if (key := _key(one)) in known]
    if given.list:
        for one, reason in [*tried, *equal]:
            print(f"{one.name}{f'   equivalent: {reason.reason}' if reason else ''}")
        print(f"{len(tried) + len(equal)} of {sum(map(len, every.values()))} mutants, {len(equal)} of them equivalent")
        return 1 if old else 0
    return _run(given, tried, equal) or (1 if old else 0)


def _key(one: Mutant) -> tuple[str, str, str]:
    return one.file, one.line, one.change


Tried = Sequence[tuple[Mutant, Equivalent | None]]


def _run(given: argparse.Namespace, tried: Tried, equal: Tried) -> int:
    start = time.perf_counter()
    rows: list[dict[str, Any]] = []
    tests = {test for one, _ in tried for test in CORE[one.file]}
    with Trials(ROOT, tests, SLOW) as trials:
        for place, (one, reason) in enumerate(tried):
            trials.learn(dict.fromkeys((one.file, *CORE[one.file])))
            outcome = trials.tried(one.file, one.function, one.source(), CORE[one.file])
            rows.append({"mutant": one.name, "caught": outcome.caught, "by": outcome.by, "seconds": outcome.seconds})
            _tell(place + 1, len(tried), one, outcome, bool(reason))
            if given.json:
                given.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
        failing = trials.failing
    for test, why in failing.items():
        print(f"FAILS     without any change: {test} ({why})")
    wrong = [one for (one, reason), row in zip(tried, rows, strict=True) if reason and row["caught"]]
    for one in wrong:
        print(f"CAUGHT    though it is said to be equivalent: {one.name}")
    counted = [row for (_, reason), row in zip(tried, rows, strict=True) if not reason]
    caught = sum(row["caught"] for row in counted)
    share = caught / len(counted) if counted else 1.0
    print(
        f"{len(counted) + len(equal)} mutants: {caught} caught, {len(counted) - caught} not, {len(equal)} equivalent; "
        f"{share:.1%} of those that are not equivalent, in {(time.perf_counter() - start) / 60:.1f} minutes"
    )
    return 0 if share >= LEAST and not wrong and not failing else 1


def _tell(place: int, of: int, one: Mutant, outcome: Outcome, equivalent: bool) -> None:
    what = "caught" if outcome.caught else "equal" if equivalent else "SURVIVES"
    by = f"   by {outcome.by}" if outcome.by else ""
    print(f"{what:9} {place}/{of} {outcome.seconds:4.1f} s  {one.name}{by}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="files with this in their name")
    parser.add_argument("--line", metavar="TEXT", help="every mutant with this in its name, and not those chosen")
    parser.add_argument("--named", action="store_true", help="only those that are tried in every run")
    parser.add_argument("--equivalent", action="store_true", help="try those that are said to be equivalent")
    parser.add_argument("--list", action="store_true", help="say which would be tried, and try none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what became of each")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
