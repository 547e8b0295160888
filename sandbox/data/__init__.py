"""The embedded default: a small real pair of SAEs and real activations (README.md says where they come from)."""

from __future__ import annotations

from pathlib import Path

from sandbox.errors import InputError

FOLDER = Path(__file__).parent
PREFIX = "embedded:"
FILES = {
    "minilm-relu": FOLDER / "minilm-relu",
    "minilm-gated": FOLDER / "minilm-gated",
    "activations": FOLDER / "activations.safetensors",
    "documents": FOLDER / "documents.npy",
    "reports": FOLDER / "reports.json",
}


def embedded(name: str) -> Path:
    """The path of an embedded file or folder: minilm-relu, minilm-gated, activations, documents, reports."""
    if name not in FILES:
        raise InputError(f"there is nothing embedded by the name of {name!r}; there are {', '.join(FILES)}")
    return FILES[name]


def resolve(path: str | Path) -> Path:
    """`path`, or the embedded file or folder that `embedded:NAME` means. Raises InputError for an empty one."""
    text = str(path)
    if not text:
        raise InputError("an empty path: name a file or a folder (is a variable unset?)")
    return embedded(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else Path(path)
