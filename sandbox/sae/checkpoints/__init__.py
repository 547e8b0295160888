"""Checkpoints on disk ► autoencoders: each layout is recognised by what lies there, and what fits none is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.data import resolve
from sandbox.errors import InputError
from sandbox.sae.autoencoder import SAE
from sandbox.sae.checkpoints import hub, saelens
from sandbox.sae.checkpoints.dictionary_learning import DICTIONARY_LEARNING
from sandbox.sae.checkpoints.gemma_scope import GEMMA_SCOPE
from sandbox.sae.checkpoints.layout import Checkpoint, Layout
from sandbox.sae.checkpoints.llama_scope import LLAMA_SCOPE
from sandbox.sae.checkpoints.openai import OPENAI
from sandbox.sae.checkpoints.place import Place
from sandbox.sae.checkpoints.saelens import SAELENS
from sandbox.sae.checkpoints.sparsify import SPARSIFY

LAYOUTS: tuple[Layout, ...] = (SAELENS, DICTIONARY_LEARNING, GEMMA_SCOPE, SPARSIFY, LLAMA_SCOPE, OPENAI)

__all__ = ["LAYOUTS", "Checkpoint", "load", "read"]


def read(path: str | Path | Any) -> Checkpoint:
    """The checkpoint at a path, in whichever layout it is.

    Args:   path: a folder, a file of weights, embedded:NAME, saelens:RELEASE/ID; or a SAELens object, which is saved
            to a temporary folder first
    Raises: InputError for what fits no layout, or several, with what was seen; nothing is guessed.
    """
    if not isinstance(path, str | Path):
        if not callable(getattr(path, "save_model", None)):
            raise InputError(f"--sae is a {type(path).__name__}: a checkpoint's path or a SAELens object is needed")
        return saelens.read(hub.saved(path, type(path).__name__))
    if str(path).startswith(hub.PREFIX):
        return hub.read(str(path))
    found = resolve(path)
    if not found.exists():
        raise InputError(f"--sae {path}: there is no such file or folder")
    place = Place(path, found)
    fitting = [layout for layout in LAYOUTS if layout.fits(place)]
    if len(fitting) == 1:
        return fitting[0].read(place)
    seen = ", ".join(place.names[:8]) or "nothing"
    if fitting:
        names = " and ".join(layout.name for layout in fitting)
        raise InputError(f"--sae {path}: fits the layouts of {names} (found: {seen}); name the one file to read")
    if inside := _saes_inside(place):
        listed = ", ".join(inside[:8]) + (" …" if len(inside) > 8 else "")
        raise InputError(
            f"--sae {path}: a folder of SAEs ({listed}): name one of them, such as {place.folder / inside[0]}"
        )
    expected = "; ".join(f"{layout.name} ({layout.expects})" for layout in LAYOUTS)
    raise InputError(f"--sae {path}: no layout that is read here (found: {seen}); those that are: {expected}")


def load(path: str | Path) -> SAE:
    """The SAE at a path, on the CPU in float32, whatever its weights are stored in. Raises: as `read`."""
    return read(path).sae


def _saes_inside(place: Place) -> list[str]:
    """Names of the sub-folders that a layout fits, of a folder that none does."""
    if place.file is not None:
        return []
    folders = sorted(entry for entry in place.folder.iterdir() if entry.is_dir())
    return [folder.name for folder in folders if _holds_one(Place(folder, folder))]


def _holds_one(place: Place) -> bool:
    try:
        return any(layout.fits(place) for layout in LAYOUTS)
    except InputError:  # of a file that has nothing to do with the question
        return False
