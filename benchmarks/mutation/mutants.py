"""The mutants of a file: where a change can be made, what it is called, and the file with it.

A mutant is known by its function, the text of its line and the change, so that its name stays when other lines move.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.mutation.operators import changes

ONE_IN = 36
"""Of so many mutants of a function one is tried, or one more than that."""

SKIPPED_FUNCTIONS = {"__repr__", "_repr_html_", "_repr_latex_", "_repr_mimebundle_"}


@dataclass(frozen=True)
class Mutant:
    """A file with one change.

    Attributes:
        file:     from the root of the repository
        function: qualified name, or "" for what runs on import
        line:     the text of the line that it begins on, stripped; `change` what becomes what there
        source:   gives the whole file
    """

    file: str
    function: str
    line: str
    change: str
    source: Callable[[], str] = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """What it is called, on one line."""
        return f"{self.file} {self.function or '(module)'}: {self.line}   [{self.change}]"

    @property
    def draw(self) -> int:
        """A number that is as good as random, the same in every run."""
        text = "\n".join((self.file, self.function, self.line, self.change))
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def mutants_of(root: Path, file: str, skipped: frozenset[str] = frozenset()) -> list[Mutant]:
    """Every mutant of a file, in its order.

    Args: skipped: functions that are left alone, beside those that only say what something looks like
    """
    text = (root / file).read_text(encoding="utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    found: list[Mutant] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for function, node, put, siblings in _sites(tree, skipped | SKIPPED_FUNCTIONS):
        line = lines[getattr(node, "lineno", 1) - 1].strip() if hasattr(node, "lineno") else ""
        for change, other in changes(node, siblings):
            at = line or change
            seen[function, at, change] += 1
            again = seen[function, at, change]
            called = f"{change} ({again})" if again > 1 else change
            found.append(Mutant(file, function, at, called, _written(tree, node, other, put)))
    return found


def chosen(mutants: list[Mutant]) -> list[Mutant]:
    """Those that are tried: of every function some, as chance has it, the same each time and on different lines."""
    functions: dict[tuple[str, str], list[Mutant]] = {}
    for one in mutants:
        functions.setdefault((one.file, one.function), []).append(one)
    tried: set[str] = set()
    for those in functions.values():
        ranked = sorted(those, key=lambda one: one.draw)
        lines: Counter[str] = Counter()
        places = []
        for one in ranked:
            places.append((lines[one.line], one))
            lines[one.line] += 1
        places.sort(key=lambda place: place[0])  # stable: first one of each line, then a second of each
        tried |= {one.name for _, one in places[: -(-len(those) // ONE_IN)]}
    return [one for one in mutants if one.name in tried]


Put = Callable[[Any], None]


def _written(tree: ast.Module, node: ast.AST, other: ast.AST, put: Put) -> Callable[[], str]:
    def source() -> str:
        put(other)
        try:
            return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        finally:
            put(node)

    return source


def _sites(tree: ast.Module, skipped: frozenset[str]) -> Iterator[tuple[str, ast.AST, Put, dict[str, str]]]:
    """Every node that may change: its function, the node, what puts another in its place, and its siblings' names."""

    def walk(node: ast.AST, function: str, siblings: dict[str, str]):
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
                continue
            for i, part in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(part, ast.AST) or _left_alone(part):
                    continue
                inner, beside = function, siblings
                if isinstance(part, ast.FunctionDef | ast.ClassDef):
                    inner = f"{function}.{part.name}" if function else part.name
                    if part.name in skipped or inner in skipped:
                        continue
                    if isinstance(part, ast.FunctionDef):
                        beside = siblings | _beside(part)
                yield inner, part, _putter(node, name, i if isinstance(value, list) else None), beside
                yield from walk(part, inner, beside)

    yield from walk(tree, "", {})


def _left_alone(node: ast.AST) -> bool:
    """Words, imports, assertions, and what only type checkers see."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Raise | ast.Assert | ast.Global):
        return True
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _beside(function: ast.FunctionDef) -> dict[str, str]:
    """For each name that is bound in a tuple (`u, v = …`), the name beside it."""
    found = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Store):
            names = [part.id for part in node.elts if isinstance(part, ast.Name) and part.id != "_"]
            found |= dict(pairwise([*names, names[0]])) if len(names) > 1 else {}
    return found


def _putter(parent: ast.AST, name: str, place: int | None) -> Put:
    def put(node: Any) -> None:
        if place is None:
            setattr(parent, name, node)
        else:
            getattr(parent, name)[place] = node

    return put
