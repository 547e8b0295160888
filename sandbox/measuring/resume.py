"""A run's state on disk: where it is, and what it has counted, so that the same command goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sandbox.errors import InputError
from sandbox.measuring.forward import fingerprint
from sandbox.measuring.totals import Totals
from sandbox.system.files import written_whole

Facts = dict[str, str | int | float | None]
"""What identifies a run: by what a message calls it ("--published"), what it is, in words or as a number."""

KIND, VERSION = "shrinkage-sandbox run", "2"
"""The version goes up with every change of what `Totals` hold or mean: totals of two versions are never added."""

SHOWN = 3  # of the facts that differ


@dataclass(frozen=True)
class State:
    """What a run has done so far. A new one takes its place after each batch, so that a stop never finds half of one.

    Attributes:
        position:  tokens done
        totals:    `Sums` of each SAE; empty before the first batch
        documents: ids that were met; the one thing that grows, with their number
    """

    position: int = 0
    totals: tuple[Any, ...] = ()
    documents: set[int] = field(default_factory=set)

    def save(self, path: Path, run: Facts) -> None:
        """Write it, whole or not at all, with what identifies the run and a checksum over all of it."""
        tensors = {
            f"{i}.{k}": t.cpu().contiguous() for i, one in enumerate(self.totals) for k, t in one.tensors().items()
        }
        tensors["documents"] = torch.tensor(sorted(self.documents), dtype=torch.int64)
        told = {
            "format": f"{KIND}, {VERSION}",
            "run": json.dumps(run),
            "position": str(self.position),
            "saes": str(len(self.totals)),
        }
        with written_whole(path) as beside:
            save_file(tensors, beside, told | {"checksum": _checksum(told, tensors)})

    @classmethod
    def load(cls, path: Path, run: Facts, device: torch.device | str = "cpu") -> State:
        """What `save` wrote, on the device; a new state where there is no such file.

        Raises: InputError for a file of something else, of another version, or damaged; and for the state of another
                run, with what differs
        """
        if not path.exists():
            return cls()
        told, tensors = _read(path)
        theirs: Facts = json.loads(told["run"])
        if differing := [key for key in {**run, **theirs} if run.get(key) != theirs.get(key)]:
            shown = "; ".join(f"{key} was {_said(theirs, key)}, now {_said(run, key)}" for key in differing[:SHOWN])
            more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
            raise InputError(
                f"{path} is the state of another run: {shown}{more}. To go on, give the same command on the same files "
                "(cp -p copies them with their times); to begin anew, name another --checkpoint file"
            )
        totals = tuple(
            Totals.from_tensors({k: t.to(device) for k, t in _those(tensors, f"{i}.").items()})
            for i in range(int(told["saes"]))
        )
        return cls(int(told["position"]), totals, set(tensors["documents"].tolist()))


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What a file of `State.save` tells, and its tensors. Raises: InputError for any other file."""
    try:
        with safe_open(path, "pt") as file:
            told = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read as the state of a run: {error}; name another --checkpoint file"
        ) from error
    kind, _, version = told.get("format", "").rpartition(", ")
    if kind != KIND:
        raise InputError(f"{path} is not the state of a run: name another --checkpoint file")
    if version != VERSION:
        raise InputError(
            f"{path} is the state of a run of version {version}, and this is version {VERSION}: go on with the sandbox "
            "that wrote it, or name another --checkpoint file to begin anew"
        )
    if told.pop("checksum", None) != _checksum(told, tensors):
        raise InputError(
            f"{path} is the state of a run, but not as it was saved (its checksum does not fit): it is damaged; name "
            "another --checkpoint file to begin anew"
        )
    return told, tensors


def _checksum(told: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Some digits that another state does not share: of every word and every number in it."""
    names = sorted(tensors)
    held = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    words = json.dumps([sorted(told.items()), held])
    return blake2b(f"{words} {fingerprint(tensors[name] for name in names)}".encode(), digest_size=16).hexdigest()


def _said(facts: Facts, key: str) -> str:
    if key not in facts:
        return "not there"
    return "unknown" if facts[key] is None else str(facts[key])


def _those(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
