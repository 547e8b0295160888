"""Several processes (torchrun): each counts its own tokens, and one sum over all makes the report of one process."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from sandbox.errors import InputError
from sandbox.measuring.resume import State
from sandbox.measuring.totals import Tallies

PATIENCE = timedelta(
    hours=24
)  # at the end the quickest rank waits for the slowest; a rank that fails is not waited for


@dataclass(frozen=True)
class Ranks:
    """This process among all of a run; alone if there is no other.

    Attributes: rank: from 0; world: how many; local: the number on this machine, which chooses the GPU
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @classmethod
    def here(cls) -> Ranks:
        """As torchrun's environment says, all of it; else alone. Raises: InputError for what are no numbers there."""
        if not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
            return cls()
        told = {name: os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
        if not all(value.isdecimal() for value in told.values()):
            raise InputError(f"the environment says {told}: numbers, as torchrun sets them, are needed")
        return cls(*map(int, told.values()))

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this rank: each has a GPU of its own."""
        if name == "auto" and not torch.cuda.is_available():
            return "cpu" if self.world > 1 else name
        if self.world > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self.local % torch.cuda.device_count()}"
        return name

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Joined to the others: by NCCL on GPUs (and gloo for what is on the CPU), else by gloo.

        Who has joined stays so until the process ends: torch cannot join a second time, and the next run needs it, too.
        """
        if self.world == 1 or dist.is_initialized():
            yield
            return
        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
        atexit.register(_leave)
        yield

    def share(self, tokens: int, batch: int) -> tuple[int, int]:
        """This rank's tokens: a run of whole batches, so that every batch is one that a single process would have."""
        batches = -(-tokens // batch)
        start, stop = (batches * rank // self.world * batch for rank in (self.rank, self.rank + 1))
        return start, min(stop, tokens)

    def told(self, value: Any) -> Any:
        """What the first rank says, to every rank."""
        return self.each(value)[0]

    def each(self, value: Any) -> list[Any]:
        """What each rank says, to every rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def total(self, state: State, device: torch.device) -> State:
        """The sum of every rank's state: one all-reduce for each SAE. A rank without data adds zeros."""
        if self.world == 1:
            return state
        mine = [{name: t.to(device) for name, t in one.tensors().items()} for one in state.tallies]
        shapes = [{name: (tuple(t.shape), t.dtype) for name, t in one.items()} for one in mine]
        everyone = self.each((shapes, sorted(state.documents), state.position))
        known = next((shapes for shapes, _, _ in everyone if shapes), [])
        totals = []
        for i, shape in enumerate(known):
            held = mine[i] if mine else {k: torch.zeros(*s, dtype=d, device=device) for k, (s, d) in shape.items()}
            totals.append(Tallies.from_tensors(_all_reduced(held)))
        documents = {one for _, ids, _ in everyone for one in ids}
        return State(sum(position for _, _, position in everyone), tuple(totals), documents)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _all_reduced(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    flat = torch.cat([tensor.flatten() for tensor in tensors.values()])
    dist.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in tensors.values()])
    return {name: part.view(tensor.shape) for (name, tensor), part in zip(tensors.items(), parts, strict=True)}
