"""The embedded defaults: a small pair of real SAEs, with real activations. README.md documents their origin."""

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
    """The path of an embedded file or folder: minilm-relu, minilm-gated, activations, documents or reports."""
    if name not in FILES:
        raise InputError(f"nothing embedded is named {name!r}: choose {', '.join(FILES)}")
    return FILES[name]


def resolve(path: str | Path) -> Path:
    """`path`, or the embedded file or folder that `embedded:NAME` names. Raises InputError for an empty path."""
    text = str(path)
    if not text:
        raise InputError("the path is empty: name a file or a folder (is a variable unset?)")
    return embedded(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else Path(path)
