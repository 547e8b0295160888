"""A run's state on disk: where it is, and what it has counted, so that the same command goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sandbox.errors import InputError
from sandbox.files import written_whole
from sandbox.sae.tallies import Tallies

FORMAT = "shrinkage-sandbox run, 1"


@dataclass(frozen=True)
class State:
    """What a run has done so far. A new one takes its place after each batch, so that a stop never finds half of one.

    Attributes:
        position:  tokens done
        tallies:   of each SAE; empty before the first batch
        documents: ids that were met; the one thing that grows, with their number
    """

    position: int = 0
    tallies: tuple[Tallies, ...] = ()
    documents: set[int] = field(default_factory=set)

    def save(self, path: Path, run: Mapping[str, Any]) -> None:
        """Write it, whole or not at all, with what identifies the run."""
        tensors = {
            f"{i}.{k}": t.cpu().contiguous() for i, one in enumerate(self.tallies) for k, t in one.tensors().items()
        }
        tensors["documents"] = torch.tensor(sorted(self.documents), dtype=torch.int64)
        told = {
            "format": FORMAT,
            "run": json.dumps(run),
            "position": str(self.position),
            "saes": str(len(self.tallies)),
        }
        with written_whole(path) as beside:
            save_file(tensors, beside, told)

    @classmethod
    def load(cls, path: Path, run: Mapping[str, Any], device: torch.device | str = "cpu") -> State:
        """What `save` wrote, on the device; a new state where there is no such file.

        Raises: InputError for a file of something else, or of another run, naming what differs.
        """
        if not path.exists():
            return cls()
        try:
            with safe_open(path, "pt") as file:
                told = file.metadata() or {}
                tensors = {name: file.get_tensor(name).to(device) for name in list(file.keys())}
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{path} cannot be read as the state of a run: {error}; name another --checkpoint"
            ) from error
        if told.get("format") != FORMAT:
            raise InputError(f"{path} is not the state of a run (of this version): name another --checkpoint file")
        theirs = json.loads(told["run"])
        if differing := [key for key in {**run, **theirs} if run.get(key) != theirs.get(key)]:
            key = differing[0]
            raise InputError(
                f"{path} is the state of another run: {key} was {theirs.get(key)}, now it is {run.get(key)}; "
                "give the same command to go on, or name another --checkpoint file to begin anew"
            )
        tallies = tuple(Tallies.from_tensors(_those(tensors, f"{i}.")) for i in range(int(told["saes"])))
        return cls(int(told["position"]), tallies, set(tensors["documents"].tolist()))


def _those(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
