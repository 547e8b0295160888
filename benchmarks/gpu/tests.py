"""The tests that need a GPU: how many passed, and the last line of each that failed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row

TESTS = Path(__file__).parents[2] / "tests"


def rows(place: Place) -> Iterator[Row]:
    """One row for all, and one for each that failed; on the CPU all are skipped."""
    files = [str(path) for path in sorted(TESTS.glob("test_*.py")) if "mark.gpu" in path.read_text(encoding="utf-8")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "--continue-on-collection-errors", f"--junitxml={path}"]
        done = subprocess.run([*command, *files], cwd=TESTS.parent, capture_output=True, text=True, check=False)
        if not path.exists():
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            yield Row("tests", "gpu-marked tests", None, goal=0, words=f"pytest could not run: {' '.join(last)}")
            return
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    passed = len(cases) - len(failed) - len(skipped)
    words = f"failed; {passed} passed, {len(skipped)} skipped"
    yield Row("tests", "gpu-marked tests", float(len(failed)), goal=0, words=words, more={"passed": float(passed)})
    for case in failed:
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        message = (problem.get("message") or "").strip().splitlines() if problem is not None else []
        yield Row("tests", f"{case.get('classname')}::{case.get('name')}", None, words=" ".join(message)[-300:])
