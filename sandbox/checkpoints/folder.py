"""What lies at a path: names of files, configurations, tensors. Nothing here executes what it reads."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sandbox.errors import InputError
from sandbox.system.files import read_unchanged

PICKLED = (".pt", ".pth", ".bin")


class Place:
    """A folder, or one file with the folder around it, as the layouts look at it; what was read is kept.

    Attributes:
        given:  as the user named it, for messages
        folder: where configurations are looked for
        file:   the file, if one was named
    """

    def __init__(self, given: str | Path, path: Path):
        self.given = str(given)
        self.folder, self.file = (path, None) if path.is_dir() else (path.parent, path)
        self._tensors: dict[str, dict[str, Tensor]] = {}
        self._configs: dict[str, dict[str, Any]] = {}

    @cached_property
    def names(self) -> list[str]:
        """Names of the files in the folder; of the one file, and the configurations beside it, if it was named."""
        found = sorted(entry.name for entry in self.folder.iterdir() if entry.is_file())
        return found if self.file is None else [n for n in found if n == self.file.name or n.endswith(".json")]

    def has(self, *names: str) -> bool:
        """Whether all these files are there."""
        return set(names) <= set(self.names)

    def config(self, name: str) -> dict[str, Any]:
        """The settings in a JSON file. Raises InputError if it holds anything else."""
        if name not in self._configs:
            path = self.folder / name
            try:
                with read_unchanged(path):
                    config = json.loads(path.read_text(encoding="utf-8"))
                float(max(map(abs, _whole_numbers(config)), default=0))  # none that no float can hold
            except (ValueError, RecursionError, OverflowError) as error:
                raise InputError(f"{path} cannot be read as JSON: {error}") from error
            if not isinstance(config, dict):
                raise InputError(f"{path} holds a {type(config).__name__}, not the settings of an SAE")
            self._configs[name] = config
        return self._configs[name]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Every tensor of a .safetensors, .npz or .pt file, by name, as stored. Raises InputError for anything else."""
        if name not in self._tensors:
            path = self.folder / name
            reader = {".safetensors": _safetensors, ".npz": _npz}.get(path.suffix)
            if reader is None and path.suffix in PICKLED:
                reader = _pickled
            if reader is None:
                raise InputError(f"{path}: weights are read from .safetensors, .npz and .pt files")
            with read_unchanged(path), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of older versions, whose weights are read all the same
                self._tensors[name] = reader(path)
        return self._tensors[name]


def _whole_numbers(held: Any) -> Iterator[int]:
    """All of them in lists and dicts."""
    if isinstance(held, dict | list):
        for one in held.values() if isinstance(held, dict) else held:
            yield from _whole_numbers(one)
    elif isinstance(held, int):
        yield held


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return {name: tensor.clone() for name, tensor in load_file(path).items()}  # or they would be the file's own
    except SafetensorError as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from error


def _npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: torch.from_numpy(np.array(stored[name])) for name in stored.files}
    except OSError:
        raise
    except Exception as error:  # a damaged file makes numpy and zipfile raise nearly anything
        raise InputError(f"{path} cannot be read as .npz without executing code: {error}") from error


def _why(error: Exception) -> str:
    """In a few words: torch's own advice would be to let the file execute code."""
    if isinstance(error, UnpicklingError):
        return "it holds a whole pickled object, or is damaged"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _pickled(path: Path) -> dict[str, Tensor]:
    """A state dict; torch refuses whatever would execute code, and what is no tensor is left to the layout."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums
                if (damaged := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"{damaged} is damaged")
        held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle makes torch raise nearly anything
        raise InputError(
            f"{path} cannot be read as weights alone ({_why(error)}); save it anew with torch.save(sae.state_dict(), …)"
        ) from error
    if not isinstance(held, dict):
        raise InputError(f"{path} holds a {type(held).__name__}, not a state dict of tensors")
    return held
