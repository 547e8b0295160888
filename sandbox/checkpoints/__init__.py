"""Checkpoints on disk ► autoencoders. Exactly one layout must recognise a checkpoint, or it is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sandbox.checkpoints import hub, reading
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.checkpoint import Checkpoint
from sandbox.checkpoints.dictionary_learning import DICTIONARY_LEARNING
from sandbox.checkpoints.files import Files
from sandbox.checkpoints.gemma_scope import GEMMA_SCOPE, GEMMA_SCOPE_2
from sandbox.checkpoints.layout import Candidate, Layout
from sandbox.checkpoints.llama_scope import LLAMA_SCOPE
from sandbox.checkpoints.openai import OPENAI
from sandbox.checkpoints.saelens import SAELENS, SCALER
from sandbox.checkpoints.sparsify import SPARSIFY
from sandbox.data import resolve
from sandbox.errors import InputError
from sandbox.system.files import readable

LAYOUTS: tuple[Layout, ...] = (
    *(SAELENS, DICTIONARY_LEARNING, GEMMA_SCOPE, GEMMA_SCOPE_2, SPARSIFY, LLAMA_SCOPE, OPENAI),
)
"""Every supported layout; `sandbox.checkpoints.layout` explains how to add one."""

__all__ = ["LAYOUTS", "Checkpoint", "load", "read", "settings_files"]


def settings_files() -> set[str]:
    """Names of the settings files that the layouts read beside their weights."""
    return {SCALER} | {layout.settings_file for layout in LAYOUTS if layout.settings_file}


def read(path: str | Path | Any) -> Checkpoint:
    """The checkpoint at a path, in any layout.

    Args:   path: a folder, a file of weights, embedded:NAME or saelens:RELEASE/ID; or a SAELens object, which is saved
            to a temporary folder first
    Raises: InputError if no layout matches, or several do; nothing is guessed
    """
    if not isinstance(path, str | Path):
        if not callable(getattr(path, "save_model", None)):
            raise InputError(f"--sae is a {type(path).__name__}: pass a checkpoint's path or a SAELens object")
        return hub.read_saved(hub.saved(path, type(path).__name__))
    if str(path).startswith(hub.PREFIX):
        return hub.read(str(path))
    with readable(path):
        return _read(path, resolve(path))


def load(path: str | Path) -> SAE:
    """The SAE at a path, on the CPU, in float32 whatever its stored dtype. Raises InputError as `read` does."""
    return read(path).sae


def _read(named: str | Path, path: Path) -> Checkpoint:
    if not os.path.lexists(path):
        raise InputError(f"--sae {named}: there is no such file or folder")
    path.stat()  # raises for a broken or circular link, and for missing permissions
    files = Files(named, path)
    candidates = _candidates(files)
    if len(candidates) == 1:
        return reading.read(*candidates[0])
    if candidates:
        listed = " and ".join(
            f"{os.path.relpath(candidate.path, files.folder)} ({layout.name})" for layout, candidate in candidates
        )
        raise InputError(f"--sae {named}: holds several SAEs: {listed}; name one of these files")
    seen = ", ".join(files.names[:8]) or "nothing"
    if inside := _saes_inside(files):
        listed = ", ".join(inside[:8]) + (" …" if len(inside) > 8 else "")
        raise InputError(
            f"--sae {named}: a folder of SAEs ({listed}): name one of them, such as {files.folder / inside[0]}"
        )
    expected = "; ".join(f"{layout.name} ({layout.expects})" for layout in LAYOUTS)
    raise InputError(f"--sae {named}: matches no supported layout (found: {seen}); supported: {expected}")


def _candidates(files: Files) -> list[tuple[Layout, Candidate]]:
    return [(layout, candidate) for layout in LAYOUTS for candidate in layout.candidates(files)]


def _saes_inside(files: Files) -> list[str]:
    """Names of the subfolders that hold an SAE."""
    if files.file is not None:
        return []
    folders = sorted(entry for entry in files.folder.iterdir() if entry.is_dir())
    return [folder.name for folder in folders if _holds_an_sae(folder)]


def _holds_an_sae(folder: Path) -> bool:
    try:
        return bool(_candidates(Files(folder, folder)))
    except InputError:  # from a file unrelated to SAEs
        return False
