"""A run's state on disk: its position and its totals. The same command resumes from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
from sandbox.moments.sums import Sums
from sandbox.system.files import written_whole

Facts = dict[str, str | int | float | None]
"""What identifies a run: names as error messages use them ("--published"), with values as text or numbers."""

KIND, VERSION = "shrinkage-sandbox run", "6"
"""The version increases whenever the contents or meaning of `Totals` change: totals of two versions never mix."""

SHOWN = 3  # differing facts that the error message lists


@dataclass(frozen=True)
class State:
    """The progress of a run. Each batch makes a new state, so an interrupt never meets a half-updated one.

    Attributes:
        position:  tokens counted
        totals:    the `Sums` of each SAE; empty before the first batch
        documents: IDs seen; the only part that grows during a run
    """

    position: int = 0
    totals: tuple[Any, ...] = ()
    documents: set[int] = field(default_factory=set)

    def save(self, path: Path, run: Facts) -> None:
        """Write the state atomically, with the facts that identify the run and a checksum of everything."""
        tensors = {
            f"{i}.{k}": t.cpu().contiguous()
            for i, totals in enumerate(self.totals)
            for k, t in totals.tensors().items()
        }
        tensors["documents"] = torch.tensor(sorted(self.documents), dtype=torch.int64)
        metadata = {
            "format": f"{KIND}, {VERSION}",
            "run": json.dumps(run),
            "position": str(self.position),
            "saes": str(len(self.totals)),
        }
        with written_whole(path) as beside:
            save_file(tensors, beside, metadata | {"checksum": _checksum(metadata, tensors)})

    @classmethod
    def load(
        cls,
        path: Path,
        run: Facts,
        device: torch.device | str = "cpu",
        rebuilt: Callable[[dict[str, Tensor]], Sums] = Totals.from_tensors,
    ) -> State:
        """Read the state that `save` wrote onto `device`; if there is no such file, return a new state.

        Args:   rebuilt: makes the totals of an SAE from the result of their `tensors`
        Raises: InputError if the file is not a run state, has another version, is damaged, or belongs to another run
                (the message lists the differences)
        """
        if not path.exists():
            return cls()
        metadata, tensors = _read(path)
        saved: Facts = json.loads(metadata["run"])
        if differing := [key for key in {**run, **saved} if run.get(key) != saved.get(key)]:
            shown = "; ".join(f"{key} was {_shown(saved, key)}, now {_shown(run, key)}" for key in differing[:SHOWN])
            more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
            raise InputError(
                f"{path} is the state of another run: {shown}{more}. To resume, repeat the same command on the same "
                "files (cp -p keeps their times when copying); to start over, name another --checkpoint file"
            )
        totals = tuple(
            rebuilt({k: t.to(device) for k, t in _with_prefix(tensors, f"{i}.").items()})
            for i in range(int(metadata["saes"]))
        )
        return cls(int(metadata["position"]), totals, set(tensors["documents"].tolist()))


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and tensors of a file that `State.save` wrote. Raises: InputError for any other file."""
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read as the state of a run: {error}; name another --checkpoint file"
        ) from error
    kind, _, version = metadata.get("format", "").rpartition(", ")
    if kind != KIND:
        raise InputError(f"{path} is not the state of a run: name another --checkpoint file")
    if version != VERSION:
        raise InputError(
            f"{path} is a run state of version {version}, but this sandbox needs version {VERSION}: resume "
            "with the sandbox that wrote it, or name another --checkpoint file to start over"
        )
    if metadata.pop("checksum", None) != _checksum(metadata, tensors):
        raise InputError(
            f"{path} is a damaged run state (its checksum does not match): name another --checkpoint file to start over"
        )
    return metadata, tensors


def _checksum(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """A digest of all metadata and tensors."""
    names = sorted(tensors)
    layout = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    words = json.dumps([sorted(metadata.items()), layout])
    return blake2b(f"{words} {fingerprint(tensors[name] for name in names)}".encode(), digest_size=16).hexdigest()


def _shown(facts: Facts, key: str) -> str:
    if key not in facts:
        return "absent"
    return "unknown" if facts[key] is None else str(facts[key])


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
