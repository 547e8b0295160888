"""The explorer as one HTML file that needs neither Python nor a network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from sandbox.explorer.module import FOLDER, module, part, style
from sandbox.explorer.saes import measured_saes


def html(saes: Sequence[dict[str, Any]] | None = None) -> str:
    """The page, with script, style and data inline; it keeps its state in its address, after the #.

    Args: saes: named points for the map, each with `name`, `cosine` and `norm_ratio`; the embedded pair by default
    """
    saes = measured_saes() if saes is None else saes
    parts = {
        "STYLE": style(),
        "MODULE": module(),
        "SAES": json.dumps(list(saes), ensure_ascii=False).replace("<", "\\u003c"),  # a name cannot end the script
        "ADDRESS": part("address"),
    }
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"/\*([A-Z]+)\*/", lambda mark: parts[mark[1]].replace("</", "<\\/"), text)
