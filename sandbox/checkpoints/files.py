"""The files of a checkpoint: settings in JSON, tensors in safetensors, npz or pickles. No code in them is executed."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sandbox.errors import InputError
from sandbox.system.files import read_unchanged

PICKLED = (".pt", ".pth", ".bin")
WEIGHTS = (".safetensors", ".npz", *PICKLED)


class Files:
    """The files of a folder, or one file with the settings beside it. Each is read once.

    Attributes:
        named:  the path as the user wrote it, for messages
        folder: the folder that holds them
        file:   the file's name, if the path names a file
        names:  the files that belong to the checkpoint: all in the folder, or the file and every .json beside it
    """

    def __init__(self, named: str | Path, path: Path):
        self.named = str(named)
        self.folder, self.file = (path, None) if path.is_dir() else (path.parent, path.name)
        names = sorted(entry.name for entry in self.folder.iterdir() if entry.is_file())
        self.names = [name for name in names if self.file in (None, name) or name.endswith(".json")]
        self._tensors: dict[str, dict[str, Any]] = {}
        self._settings: dict[str, dict[str, Any]] = {}

    def settings(self, name: str) -> dict[str, Any]:
        """The settings in a JSON file. Raises InputError if it holds anything else."""
        if name not in self._settings:
            self._settings[name] = _settings(self.folder / name)
        return self._settings[name]

    def tensors(self, name: str) -> dict[str, Any]:
        """Every tensor of a file of weights, by name, as stored. Raises InputError for a file of another kind."""
        if name not in self._tensors:
            path = self.folder / name
            if path.suffix not in WEIGHTS:
                raise InputError(f"{path}: weights are read from .safetensors, .npz and .pt files")
            read = {".safetensors": _safetensors, ".npz": _npz}.get(path.suffix, _pickled)
            with read_unchanged(path), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about older formats, which are supported
                self._tensors[name] = read(path)
        return self._tensors[name]


def write(path: Path, contents: Mapping[str, Any]) -> None:
    """Write settings (.json) or tensors (.safetensors, .npz, .pt) in the format of the path's suffix."""
    if path.suffix == ".json":
        path.write_text(json.dumps(contents, indent=2), encoding="utf-8")
        return
    stored = {name: value.contiguous() if isinstance(value, Tensor) else value for name, value in contents.items()}
    if path.suffix == ".safetensors":
        save_file(stored, path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in stored.items()})  # pyright: ignore[reportArgumentType]
    else:
        with path.open("wb") as file:  # opened here, because torch does not report why it cannot write
            torch.save(stored, file)


def _settings(path: Path) -> dict[str, Any]:
    try:
        with read_unchanged(path):
            settings = json.loads(path.read_text(encoding="utf-8"))
        float(max(map(abs, _whole_numbers(settings)), default=0))  # no integer beyond the range of a float
    except (ValueError, RecursionError, OverflowError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path} holds a {type(settings).__name__}, not the settings of an SAE")
    return settings


def _whole_numbers(value: Any) -> Iterator[int]:
    """Every whole number in nested lists and dicts."""
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers(entry)
    elif isinstance(value, int):
        yield value


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return {name: tensor.clone() for name, tensor in load_file(path).items()}  # not views of the mapped file
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


def _pickled(path: Path) -> dict[str, Any]:
    """A state dict. torch refuses pickles that would execute code; the layout handles entries that are not tensors."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # torch does not verify the checksums
                if (damaged := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"{damaged} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle makes torch raise nearly anything
        raise InputError(
            f"{path} cannot be read as weights only ({_why(error)}); save it with torch.save(sae.state_dict(), …)"
        ) from error
    if not isinstance(state, dict):
        raise InputError(f"{path} holds a {type(state).__name__}, not a state dict of tensors")
    return state


def _why(error: Exception) -> str:
    """One line. torch's own message suggests letting the file execute code."""
    if isinstance(error, UnpicklingError):
        return "it holds a pickled object, or is damaged"
    return (str(error).splitlines() or [type(error).__name__])[0]
