"""`Checkpoint`: an SAE from disk that can be written back with another decoder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.files import Files, write
from sandbox.system.files import folder_written_whole


@dataclass(frozen=True)
class Checkpoint:
    """An SAE from disk.

    Attributes:
        sae:           on the CPU, in float32
        layout:        name of its layout, such as "SAELens"
        files:         the files that it was read from
        rewritten:     maps a copy of the SAE with another decoder to the files that change, as contents by file name.
                       Raises InputError if the layout cannot hold that SAE
        notes:         conventions that the SAE's own description omits
        settings_file: name of the file with its settings, or None
    """

    sae: SAE
    layout: str
    files: Files
    rewritten: Callable[[SAE], Mapping[str, Mapping[str, Any]]]
    notes: tuple[str, ...] = ()
    settings_file: str | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.files.folder.resolve().name

    def describe(self) -> str:
        """One line: layout, architecture, sizes, conventions."""
        return ", ".join((f"{self.layout} {self.sae.describe()}", *self.notes))

    def write(self, out: str | Path, W_dec: Float[Tensor, "d_sae d_in"], b_dec: Float[Tensor, "d_in"]) -> None:
        """Write the checkpoint with another decoder, in its own layout, to a new folder: completely or not at all.

        Unchanged files are copied; changed tensors are stored in float32.

        Args:   W_dec, b_dec: as in `sae`
        Raises: InputError if `out` exists or cannot be created, or if the layout cannot hold this decoder
        """
        files = self.rewritten(self.sae.with_decoder(W_dec.float().cpu(), b_dec.float().cpu()))
        with folder_written_whole(out) as folder:
            for name in self.files.names:
                shutil.copyfile(self.files.folder / name, folder / name)
            for name, contents in files.items():
                (folder / name).parent.mkdir(exist_ok=True)
                write(folder / name, contents)
