"""`Layout`: one way in which a library stores SAEs; `Checkpoint`: what was read by one, and how to write it again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.folder import Place
from sandbox.errors import InputError
from sandbox.system.files import folder_written_whole


@dataclass(frozen=True)
class Stored:
    """What has to change in the files when the decoder changes.

    Attributes:
        file:     the file with the weights
        tensors:  its tensors that change, under their stored names, in their stored orientation
        config:   settings that change, in `config_file`
        whole:    whether `tensors` and `config` are all that these files hold from now on
    """

    file: str
    tensors: Mapping[str, Tensor]
    config_file: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False


@dataclass(frozen=True)
class Checkpoint:
    """An SAE that was read from disk.

    Attributes:
        sae:    on the CPU, in float32
        layout: its name, such as "SAELens"
        place:  where it was read
        store:  the `Stored` that makes the files those of an SAE: this one with another W_dec and b_dec
        notes:  conventions worth a line, beyond what the SAE says of itself
    """

    sae: SAE
    layout: str
    place: Place
    store: Callable[[SAE], Stored]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.place.folder.resolve().name

    def describe(self) -> str:
        """One line: layout, architecture, sizes, conventions."""
        return ", ".join((f"{self.layout} {self.sae.describe()}", *self.notes))

    def write(self, out: str | Path, W_dec: Tensor, b_dec: Tensor) -> None:
        """The same checkpoint with another decoder, in the layout it came in, into a new folder, whole or not at all.

        Everything that does not change is copied as it is; what changes is stored in float32.

        Args:   W_dec: Float[Tensor, "d_sae d_in"]; b_dec: Float[Tensor, "d_in"], as in `sae`
        Raises: InputError if `out` exists, or cannot be made
        """
        changed = self.sae.with_decoder(W_dec.float().cpu(), b_dec.float().cpu())
        stored = self.store(changed)
        with folder_written_whole(out) as folder:
            for name in self.place.names:
                shutil.copyfile(self.place.folder / name, folder / name)
            tensors = dict(stored.tensors) if stored.whole else self.place.tensors(stored.file)
            if unknown := set(stored.tensors) - set(tensors):
                raise InputError(f"{self.place.given} holds no {', '.join(sorted(unknown))} to write to")
            (folder / stored.file).parent.mkdir(exist_ok=True)
            _save(folder / stored.file, tensors | {k: v.contiguous() for k, v in stored.tensors.items()})
            if stored.config_file and stored.config:
                kept = {} if stored.whole else self.place.config(stored.config_file)
                config = kept | dict(stored.config)
                (folder / stored.config_file).write_text(json.dumps(config, indent=2), encoding="utf-8")


@dataclass(frozen=True)
class Layout:
    """One way in which a library stores SAEs.

    Attributes:
        name:    of the library, or the family of SAEs
        expects: in words, what lies there, for the message that nothing was recognised
        fits:    whether a place looks like it, by names of files, of tensors and of settings
        read:    the checkpoint; raises InputError for anything that it does not know to the last setting
    """

    name: str
    expects: str
    fits: Callable[[Place], bool]
    read: Callable[[Place], Checkpoint]


def checked(path: Path, weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors named in `shapes`, in float32. Raises InputError for another shape, no floats, or a NaN."""
    found = {}
    for name, shape in shapes.items():
        tensor = weights[name]
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape or not tensor.is_floating_point():
            got = f"{tensor.dtype} of shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else repr(tensor)
            raise InputError(f"{path}: {name} is {got}, but the other weights ask for floats of shape {shape}")
        found[name] = tensor.float()
        if not found[name].isfinite().all():
            raise InputError(f"{path}: {name} holds a NaN or an infinity; the checkpoint is damaged")
    return found


def _save(path: Path, tensors: Mapping[str, Any]) -> None:
    if path.suffix == ".safetensors":
        save_file(dict(tensors), path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items()})
    else:
        with path.open("wb") as file:  # by Python's own file: torch's says nothing of why it cannot write
            torch.save(dict(tensors), file)
