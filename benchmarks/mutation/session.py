"""Inside the forked process: a session of pytest in a given order, that tells over a pipe what each test did."""

from __future__ import annotations

import pickle
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

HEAD = struct.Struct("<I")
REWRITTEN = "ignore:Module already imported so cannot be rewritten"
"""The libraries are loaded before pytest begins."""


def next_message(pipe: IO[bytes]) -> Any:
    """The next message of an unbuffered pipe, or None at the end."""
    head = _exactly(pipe, HEAD.size)
    return None if head is None else pickle.loads(_exactly(pipe, HEAD.unpack(head)[0]) or b"")


def _exactly(pipe: IO[bytes], size: int) -> bytes | None:
    found = b""
    while len(found) < size:
        part = pipe.read(size - len(found))
        if not part:
            return None
        found += part
    return found


def run(
    files: Sequence[str],
    names: Sequence[str],
    slow: tuple[str, ...],
    stop: bool,
    watch: bool,
    writer: int,
    tree: Path,
) -> int:
    """Run the test files: the tests that are named, in that order, or all but the slow. Returns: pytest's status."""
    import pytest

    options = ["-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--tb=line"]
    options += ["-W", REWRITTEN, *(["-x"] if stop else [])]
    with open(writer, "wb", buffering=0) as pipe:
        return int(
            pytest.main([*options, *(["-x"] if stop else []), *files], [Telling(names, slow, watch, pipe, tree)])
        )


class Telling:
    """A plugin of pytest: chooses and sorts, stops the time, watches what is called, tells it."""

    def __init__(self, names: Sequence[str], slow: tuple[str, ...], watch: bool, pipe: IO[bytes], tree: Path):
        self._slow = slow
        self._place = {name: i for i, name in enumerate(names)}
        self._watch, self._pipe, self._core = watch, pipe, f"{tree}/sandbox/"
        self._root = f"{tree}/"
        self._called: set[Any] = set()
        self._seconds = 0.0
        self._how = "passed"

    def pytest_collection(self) -> None:
        """Hypothesis need not shrink or explain what it finds. After the tests' own settings, before any test's."""
        from hypothesis import Phase, settings

        settings.register_profile("mutation", settings(), phases=(Phase.explicit, Phase.generate), database=None)
        settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """The named tests, in their order; or all but the slow."""
        items[:] = [one for one in items if not one.nodeid.startswith(self._slow)]
        if self._place:
            items[:] = sorted(
                (one for one in items if one.nodeid in self._place), key=lambda one: self._place[one.nodeid]
            )

    def pytest_runtest_logstart(self) -> None:
        """A test begins, its fixtures first."""
        self._seconds, self._how, self._called = 0.0, "passed", set()
        if self._watch:
            threading.settrace(self._trace)
            sys.settrace(self._trace)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A part of a test has ended: its fixtures, itself, or what cleans up."""
        self._seconds += report.duration
        if report.outcome != "passed" and self._how != "failed":
            self._how = report.outcome

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type] (typeshed forgets that None ends it)
        functions = {
            (code.co_filename.removeprefix(self._root), code.co_qualname.replace(".<locals>", ""))
            for code in self._called
            if code.co_filename.startswith(self._core)
        }
        message = pickle.dumps((nodeid, self._how, self._seconds, functions))
        self._pipe.write(HEAD.pack(len(message)) + message)

    def _trace(self, frame: Any, event: str, argument: Any) -> None:
        self._called.add(frame.f_code)
