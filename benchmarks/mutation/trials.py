"""Tests against a mutant: in a copy of the tree, in a process that is forked from one that has the libraries loaded.

Nothing of the working tree is written. The copy's file is changed before the fork and put back after it, so that
processes which a test starts see the change, too. Each time the file gets a time stamp that it never had: neither
Python's compiled modules nor Numba's machine code is then taken for that of another mutant.
"""

from __future__ import annotations

import ast
import os
import re
import resource
import select
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.mutation import session

BEYOND = ("docs", "notebooks", "results", ".venv", ".git", "build", "dist")
"""Not copied: what tests of these need is there by a link."""

PATIENCE = 10, 15.0
"""A test hangs when it takes so many times what it took unchanged, and so many seconds more."""

BROKEN = 70
"""Exit status of a child in which not pytest but this run failed."""

KEPT = re.compile(r"^\s*@(functools\.)?(lru_)?cache\b", re.MULTILINE)

COLLECTING = 2.5
"""Seconds that pass before the first test."""

MEMORY = 24 * 2**30
"""Address space of a process, so that a mutant's endless list ends."""


@dataclass
class Known:
    """A test as it is without a change: seconds, and the functions it passes through, as (file, qualified name)."""

    seconds: float
    functions: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: the test that caught it ("" for none), how, and in how many seconds."""

    caught: bool
    by: str
    seconds: float


class Trials:
    """The copy of the tree, and the process that forks. To be used in a `with`; one at a time."""

    def __init__(self, root: Path, tests: Iterable[str], slow: tuple[str, ...] = ()):
        self.root, self._tests, self._slow = root, tests, slow
        self._folder = TemporaryDirectory(prefix="mutation-")
        self.tree = Path(self._folder.name) / "tree"
        self._stamp = int(time.time()) + 10
        self.known: dict[str, Known] = {}
        self.failing: dict[str, str] = {}
        self._learned: set[str] = set()

    def __enter__(self) -> Trials:
        shutil.copytree(self.root, self.tree, symlinks=True, ignore=self._ignored)
        for name in ("docs", "notebooks", "results", ".venv"):
            if (self.root / name).exists():
                (self.tree / name).symlink_to((self.root / name).resolve())
        os.environ |= {"NUMBA_CACHE_DIR": f"{self._folder.name}/numba", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os.environ["PYTHONPATH"] = str(self.tree)
        assert "sandbox" not in sys.modules, "the sandbox of the working tree is loaded: run this in a new process"
        sys.path.insert(0, str(self.tree))
        _load_libraries(self.root / one for one in self._tests)
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def _ignored(self, folder: str, names: list[str]) -> set[str]:
        return {n for n in names if n.startswith("__pycache__") or (Path(folder) == self.root and n in BEYOND)}

    def learn(self, files: Iterable[str]) -> None:
        """Run test files unchanged, once: which tests pass, how long each takes and what it passes through."""
        for one in files:
            if one in self._learned or not (self.tree / one).exists():
                continue
            self._learned.add(one)
            told, ended = self._fork([one], (), stop=False, watch=True)
            for test, how, seconds, functions in told:
                if how == "passed":
                    self.known[test] = Known(seconds, functions)
                elif how == "failed":
                    self.failing[test] = "left out"
            if ended not in (0, 1, 5):
                self.failing[one] = f"pytest ended with {ended}; its tests were left out"

    def tried(self, file: str, function: str, source: str, tests: Sequence[str]) -> Outcome:
        """The outcome of a mutant: against the tests that pass through the function, quick ones before slow ones.

        The others follow where none does, or where a file keeps results (`@cache`), so that the first test alone passes
        through what all of them use.
        """
        path, start = self.tree / file, time.perf_counter()
        old = path.read_bytes()
        mine = {name: known for name, known in self.known.items() if name.split("::")[0] in {file, *tests}}
        through = [name for name, known in mine.items() if (file, function) in known.functions]
        rounds: dict[str, list[str]] = {}  # a session for each test file that holds some of them
        for name in sorted(through, key=lambda name: mine[name].seconds):
            rounds.setdefault(name.split("::")[0], []).append(name)
        if not through or KEPT.search(source):
            rounds[""] = sorted(mine.keys() - set(through), key=lambda name: mine[name].seconds)
        try:
            path.write_text(source, encoding="utf-8")
            self._touch(path)
            by = ""
            for names in filter(None, rounds.values()):
                if by := self._first_failing(file, names):
                    break
        finally:
            path.write_bytes(old)
            self._touch(path)
            shutil.rmtree(self.tree / ".hypothesis", ignore_errors=True)
        return Outcome(bool(by), by, time.perf_counter() - start)

    def _touch(self, path: Path) -> None:
        self._stamp += 2
        os.utime(path, (self._stamp, self._stamp))

    def _first_failing(self, file: str, names: list[str]) -> str:
        files = list(dict.fromkeys(name.split("::")[0] for name in names))
        told, ended = self._fork(files, names, stop=True, watch=False, changed=file)
        for test, how, *_ in told:
            if how == "failed":
                return test
        if ended == "hangs":
            return f"{told[-1][0] if told else files[0]} (hangs)"
        if ended in (0, 5):
            return ""
        if ended in (1, 2, 3):
            return f"{files[0]} (does not import)"
        if ended == 4:
            raise RuntimeError(f"pytest refuses to run {' '.join(names[:3])} …")
        return f"{told[-1][0] if told else files[0]} (the process died)"

    def _fork(
        self, files: list[str], names: Sequence[str], *, stop: bool, watch: bool, changed: str = ""
    ) -> tuple[list[Any], int | str]:
        """A session of pytest in a child: what it told of each test, and its exit status, or "hangs"."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:  # in the child: never to return
            os.close(reader)
            self._be_child(writer, files, names, stop, watch, changed)
        os.close(writer)
        told: list[Any] = []
        hangs = False
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            while True:
                allowed = 600.0 if watch else self._allowed(told, names)
                if not select.select([pipe], [], [], allowed)[0]:
                    hangs = True
                    with suppress(ProcessLookupError):
                        os.killpg(child, signal.SIGKILL)
                    break
                if (one := session.next_message(pipe)) is None:
                    break
                told.append(one)
        _, status = os.waitpid(child, 0)
        if not hangs and os.waitstatus_to_exitcode(status) == BROKEN:
            log = Path(f"{self._folder.name}/log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the run itself failed, not a test: {log[-500:]}")
        return told, "hangs" if hangs else os.waitstatus_to_exitcode(status)

    def _allowed(self, told: list[Any], names: Sequence[str]) -> float:
        """Seconds until the next test must have ended."""
        usual = self.known[names[len(told)]].seconds if len(told) < len(names) else 0.0
        if not told:
            usual += COLLECTING
        return PATIENCE[0] * usual + PATIENCE[1]

    def _be_child(self, writer, files, names, stop, watch, changed) -> None:
        status = BROKEN
        try:
            os.setsid()
            log = os.open(f"{self._folder.name}/log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os.chdir(self.tree)
            sys.path[:] = [one for one in sys.path if one and Path(one).resolve() != self.root]
            for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "benchmarks")]:
                del sys.modules[name]
            ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "sandbox"}
            if str(self.tree / changed) in {getattr(module, "__file__", "") for module in ours.values()}:
                for name in ours:
                    del sys.modules[name]
            status = session.run(files, names, self._slow, stop, watch, writer, self.tree)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(status)


def _load_libraries(tests: Iterable[Path]) -> None:
    """What test files import of other libraries, pytest's own modules, and of the sandbox the proofs of the measures.

    A child whose mutant is of what is loaded here loads all of the sandbox anew.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("numba", "sympy", "torch", "scipy.special", "rich.table", "safetensors.torch", *_imported(tests)):
            with suppress(ImportError):
                import_module(name)
        import pytest

        with redirect_stdout(StringIO()):
            pytest.main(["--version"])
        from sandbox.maths.measures import REGISTRY

        for measure in REGISTRY.values():
            _ = measure.expression
            if measure.root:
                measure.root()


def _imported(tests: Iterable[Path]) -> Iterator[str]:
    for path in tests:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else ():
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            yield from (name for name in names if name and name.split(".")[0] not in ("sandbox", "tests", "benchmarks"))
