"""The tests that need a GPU: how many passed, and what each that failed says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row

TESTS = Path(__file__).parents[2] / "tests"
OUTCOME = re.compile(r"(tests/\S+?(?:::.+?)?) (PASSED|FAILED|ERROR|SKIPPED)\b")
FAILURE = re.compile(r"(?:FAILED|ERROR) (tests/.+?) - (.*)")


def rows(place: Place) -> Iterator[Row]:
    """One row for each that fails, as it fails; one for all at the end. Without a GPU all are skipped."""
    if missing := [name for name in ("pytest", "hypothesis") if find_spec(name) is None]:
        words = f"{' and '.join(missing)} not installed: pip install -c constraints.txt '.[test]', or those alone"
        yield Row("tests", "gpu-marked tests", None, goal=0, words=words)
        return
    files = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if "mark.gpu" in path.read_text(encoding="utf-8")]
    # Another version of a library may warn of what the tests' own versions do not: here that is no failure.
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-vv", "-rfE", "-W", "default", "--color=no"]
    child = subprocess.Popen(
        [*command, "--continue-on-collection-errors", *files],
        cwd=TESTS.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    outcomes: Counter[str] = Counter()
    for line in child.stdout:
        if match := OUTCOME.match(line):
            outcomes[match[2]] += 1
            if match[2] in ("FAILED", "ERROR"):
                yield Row("tests", match[1], None, goal=0, words=match[2].lower())
        elif match := FAILURE.match(line):
            yield Row("tests", f"{match[1]}, why", None, words=match[2].strip()[:300])
    status = child.wait()
    words = f"failed; {outcomes['PASSED']} passed, {outcomes['SKIPPED']} skipped, pytest ended with {status}"
    failed = float(outcomes["FAILED"] + outcomes["ERROR"]) if status in (0, 1) and outcomes else None
    yield Row("tests", "gpu-marked tests", failed, goal=0, words=words)
    if not place.small:
        yield Row("tests", "passed", float(outcomes["PASSED"]), goal=1, at_least=True, words="or nothing was tested")
