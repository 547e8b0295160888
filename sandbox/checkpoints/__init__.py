"""Checkpoints on disk ► autoencoders: each layout is recognised by what lies there, and what fits none is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sandbox.checkpoints import hub, saelens
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.dictionary_learning import DICTIONARY_LEARNING
from sandbox.checkpoints.folder import Place
from sandbox.checkpoints.gemma_scope import GEMMA_SCOPE
from sandbox.checkpoints.layout import Checkpoint, Layout
from sandbox.checkpoints.llama_scope import LLAMA_SCOPE
from sandbox.checkpoints.openai import OPENAI
from sandbox.checkpoints.saelens import SAELENS
from sandbox.checkpoints.sparsify import SPARSIFY
from sandbox.data import resolve
from sandbox.errors import InputError
from sandbox.system.files import readable

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
    with readable(path):
        return _read(path, resolve(path))


def _read(path: str | Path, found: Path) -> Checkpoint:
    if not os.path.lexists(found):
        raise InputError(f"--sae {path}: there is no such file or folder")
    found.stat()  # a link to itself or to nothing, or what may not be looked at, is refused here
    place = Place(path, found)
    fitting = [layout for layout in LAYOUTS if layout.fits(place)]
    if len(fitting) == 1:
        checkpoint = fitting[0].read(place)
        _refuse_nonfinite(path, checkpoint.sae)
        return checkpoint
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


def _refuse_nonfinite(path: str | Path, sae: SAE) -> None:
    """What is folded into weights, or made of them, may leave float32's range though they did not."""
    for name, tensor in sae.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(f"--sae {path}: {name}, as it is computed with, holds a NaN or an infinity: damaged?")


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
