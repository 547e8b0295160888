"""Checkpoints on disk ► autoencoders. Exactly one layout must recognise a checkpoint, or it is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.checkpoints import hub, known, reading
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.checkpoint import Checkpoint
from sandbox.checkpoints.dictionary_learning import DICTIONARY_LEARNING
from sandbox.checkpoints.files import Files
from sandbox.checkpoints.gemma_scope import GEMMA_SCOPE, GEMMA_SCOPE_2
from sandbox.checkpoints.layout import Candidate, Layout
from sandbox.checkpoints.llama_scope import LLAMA_SCOPE
from sandbox.checkpoints.llamascopium import LLAMASCOPIUM
from sandbox.checkpoints.openai import OPENAI
from sandbox.checkpoints.qwen_scope import QWEN_SCOPE
from sandbox.checkpoints.relu_releases import GOODFIRE, KISSANE, QRESEARCH
from sandbox.checkpoints.saelens import SAELENS, SCALER
from sandbox.checkpoints.sparsify import SPARSIFY
from sandbox.data import resolve
from sandbox.errors import InputError
from sandbox.system.files import readable

LAYOUTS: tuple[Layout, ...] = (
    *(SAELENS, DICTIONARY_LEARNING, GEMMA_SCOPE, GEMMA_SCOPE_2, SPARSIFY, LLAMA_SCOPE, LLAMASCOPIUM, OPENAI),
    *(QWEN_SCOPE, GOODFIRE, QRESEARCH, KISSANE),
)
"""Every supported layout; `sandbox.checkpoints.layout` explains how to add one."""

__all__ = ["LAYOUTS", "Checkpoint", "load", "read", "settings_files", "with_k"]


def settings_files() -> set[str]:
    """Names of the settings files that the layouts read beside their weights, as glob patterns."""
    return {SCALER} | {layout.settings_pattern for layout in LAYOUTS if layout.settings_file}


def read(path: str | Path | Any, k: int | None = None) -> Checkpoint:
    """The checkpoint at a path, in any layout.

    Args:
        path: a folder, a file of weights, embedded:NAME or saelens:RELEASE/ID; or a SAELens object, which is saved to a
              temporary folder first
        k:    active latents per token, if no file states it (Qwen-Scope)
    Raises: InputError if no layout matches, or several do; nothing is guessed. A layout that is known, but cannot be
            read, is named (`sandbox.checkpoints.known`)
    """
    if isinstance(path, Checkpoint):
        raise InputError(f"{path.name} has been read already: give its k to sandbox.checkpoints.read")
    if k is not None and (not isinstance(path, str | Path) or str(path).startswith(hub.PREFIX)):
        name = path if isinstance(path, str) else type(path).__name__
        raise InputError(f"--sae {name}: it states its own k; leave out --k")
    if not isinstance(path, str | Path):
        if not callable(getattr(path, "save_model", None)):
            raise InputError(f"--sae is a {type(path).__name__}: pass a checkpoint's path or a SAELens object")
        return hub.read_saved(hub.saved(path, type(path).__name__))
    if str(path).startswith(hub.PREFIX):
        return hub.read(str(path))
    with readable(path):
        return _read(path, resolve(path), k)


def load(path: str | Path, k: int | None = None) -> SAE:
    """The SAE at a path, on the CPU, in float32 whatever its stored dtype. Args, Raises: as for `read`."""
    return read(path, k).sae


def with_k(saes: Sequence[Any], k: int | Sequence[int | None] | None) -> list[Any]:
    """The SAEs, with those that need a k read.

    Args:
        saes: paths, checkpoints or objects, as `sandbox.measure` takes them
        k:    active latents per token, one for all or one for each; None or 0 for an SAE that does not need it
    Raises: InputError for another number of them; errors of `read`
    """
    numbers = list(k) if isinstance(k, Sequence) else [k]
    numbers = numbers * len(saes) if len(numbers) == 1 else numbers
    if len(numbers) != len(saes):
        raise InputError(f"--k is given {len(numbers)} times for {len(saes)} SAEs: give one for all, or one for each")
    return [read(sae, number) if number else sae for sae, number in zip(saes, numbers, strict=True)]


def _read(named: str | Path, path: Path, k: int | None) -> Checkpoint:
    if not os.path.lexists(path):
        raise InputError(f"--sae {named}: there is no such file or folder")
    path.stat()  # raises for a broken or circular link, and for missing permissions
    files = Files(named, path)
    if path.is_file() and known.is_saev(path):
        raise InputError(f"--sae {named}: {known.SAEV}")
    candidates = _candidates(files)
    if len(candidates) == 1:
        try:
            return reading.read(*candidates[0], k)
        except InputError as error:
            if named_layout := known.named(candidates[0][1].tensors, nameless=False):
                raise InputError(f"{candidates[0][1].path}: {named_layout}") from error
            raise
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
    if named_layout := known.named_in(files):
        raise InputError(f"--sae {named}: {named_layout}")
    expected = "; ".join(f"{layout.name} ({layout.expects})" for layout in LAYOUTS)
    raise InputError(f"--sae {named}: matches no supported layout (found: {seen}); supported: {expected}")


def _candidates(files: Files) -> list[tuple[Layout, Candidate]]:
    """Every layout that recognises a file. One that names the file wins over those that only know its tensors."""
    found = [(layout, candidate) for layout in LAYOUTS for candidate in layout.candidates(files)]
    named = {candidate.path for layout, candidate in found if layout.names(candidate.weights)}
    return [
        (layout, candidate)
        for layout, candidate in found
        if layout.names(candidate.weights) or candidate.path not in named
    ]


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
