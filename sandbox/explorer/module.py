"""The explorer's browser side as one ES module: what the registry and the proofs generate, then the files of js/.

Each file is an ES module whose imports say what it needs. A widget takes a single text, so the files are concatenated
without their imports and exports.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from sandbox.explorer.curves import level_curves, loci, undefined_regions
from sandbox.explorer.penalty import strengths
from sandbox.explorer.presets import presets
from sandbox.explorer.state import BLOCKS, CONTROLS, DEFAULTS, quantiles
from sandbox.maths.compile import javascript_module

FOLDER = Path(__file__).parent
PARTS = (
    *("dom", "state", "population", "table", "penalty", "scene", "drag", "plane", "parabolas", "map", "split", "means"),
    *("regression", "merging", "merged"),
    *("controls", "moves", "history", "store", "theme", "export", "help", "host", "view", "loop", "explorer"),
)
"""The files of js/, each after those it imports."""

IMPORTS = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORTS = re.compile(r"^export (?=async function|function|const)", re.MULTILINE)


def generated() -> str:
    """What js/ imports as generated.js: the measures and losses as functions, and Python's data."""
    data = {
        "controls": {name: asdict(control) for name, control in CONTROLS.items()},
        "defaults": DEFAULTS,
        "presets": [preset.in_words() for preset in presets()],
        "loci": loci(),
        "levels": level_curves(),
        "undefinedAt": undefined_regions(),
        "blocks": BLOCKS,
        "quantiles": quantiles(),
        "strengths": strengths().tolist(),
    }
    lines = (f"export const {name} = {json.dumps(value, ensure_ascii=False)};\n" for name, value in data.items())
    return javascript_module() + "".join(lines)


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
