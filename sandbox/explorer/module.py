"""The explorer's browser side as one ES module: what the registry and the proofs generate, then the files of js/.

Each file is an ES module whose imports say what it needs. A widget takes a single text, so the files are concatenated
without their imports and exports.
"""

from __future__ import annotations

import re
from pathlib import Path

from sandbox.explorer.generated import generated

FOLDER = Path(__file__).parent
PARTS = (
    *(
        "dom",
        "state",
        "population",
        "table",
        "penalty",
        "scene",
        "drag",
        "ghost",
        "plane",
        "parabolas",
        "map",
        "split",
        "means",
    ),
    *("regression", "merging", "merged"),
    *(
        "controls",
        "placing",
        "rescale",
        "moves",
        "history",
        "store",
        "theme",
        "export",
        "help",
        "host",
        "view",
        "loop",
        "explorer",
    ),
)
"""The files of js/, each after those it imports."""

IMPORTS = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORTS = re.compile(r"^export (?=async function|function|const)", re.MULTILINE)


def module() -> str:
    """The whole module; it exports `default { render }`, as anywidget expects."""
    return "\n".join([_in_one_text(generated()), *map(part, PARTS)])


def part(name: str) -> str:
    """A file of js/ as a part of the module's single text."""
    return _in_one_text(f"// {name}.js\n{(FOLDER / 'js' / f'{name}.js').read_text(encoding='utf-8')}")


def _in_one_text(text: str) -> str:
    return EXPORTS.sub("", IMPORTS.sub("", text))


def style() -> str:
    """The style sheet, scoped to the explorer's class."""
    return (FOLDER / "explorer.css").read_text(encoding="utf-8")
