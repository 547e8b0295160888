"""The explorer's browser side as one ES module: its parts in js/, after what is generated from registry and proofs.

Each part is an ES module of its own, whose imports say what it needs. A widget is given one text, so the parts are
put one after another, without their imports and exports.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from sandbox.explorer.curves import level_curves, loci, undefined_regions
from sandbox.explorer.presets import presets
from sandbox.explorer.state import BLOCKS, CONTROLS, DEFAULTS, quantiles
from sandbox.maths.compile import javascript_module

FOLDER = Path(__file__).parent
PARTS = (
    *("dom", "state", "population", "drag", "plane", "parabolas", "map", "table", "means"),
    *("controls", "moves", "history", "theme", "export", "help", "host", "explorer"),
)
"""The files of js/, each after those that it imports."""

IMPORTS = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORTS = re.compile(r"^export (?=async function|function|const)", re.MULTILINE)


def generated() -> str:
    """What js/ imports as generated.js: the measures and losses as functions, and the data that Python holds."""
    data = {
        "controls": {name: asdict(control) for name, control in CONTROLS.items()},
        "defaults": DEFAULTS,
        "presets": [preset.in_words() for preset in presets()],
        "loci": loci(),
        "levels": level_curves(),
        "undefinedAt": undefined_regions(),
        "blocks": BLOCKS,
        "quantiles": quantiles(),
    }
    lines = (f"export const {name} = {json.dumps(value, ensure_ascii=False)};\n" for name, value in data.items())
    return javascript_module() + "".join(lines)


def module() -> str:
    """The whole module; it exports `default { render }`, as anywidget wants it."""
    parts = (f"// {name}.js\n{(FOLDER / 'js' / f'{name}.js').read_text(encoding='utf-8')}" for name in PARTS)
    return "\n".join(EXPORTS.sub("", IMPORTS.sub("", part)) for part in (generated(), *parts))


def style() -> str:
    """The style sheet, scoped to the explorer's own class."""
    return (FOLDER / "explorer.css").read_text(encoding="utf-8")
