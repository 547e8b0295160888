"""Several processes (torchrun): each counts its own tokens, and one sum over all makes the report of one process."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from sandbox.activations import Source
from sandbox.errors import InputError
from sandbox.measuring.resume import State
from sandbox.moments.sums import Sums

PATIENCE = timedelta(hours=24)
"""At the end the quickest rank waits that long for the slowest; a rank that fails is not waited for."""

OF_EACH = "{rank}"
"""In a path: the number of the process, where each reads files of its own."""


@dataclass(frozen=True)
class Share:
    """The tokens of a source that one process counts.

    Attributes:
        start, stop:    from where to where; None: to the end
        first_token:    place of the source's first token among those of all processes: it sets the blocks
        first_document: added to the source's document ids, which each process's own files count from 0
    """

    start: int = 0
    stop: int | None = None
    first_token: int = 0
    first_document: int = 0


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

    def own(self, source: Any) -> Any:
        """The source, or its path with `{rank}` replaced by the number of this process."""
        if not each_has_its_own(source):
            return source
        if self.world == 1:
            raise InputError(
                f"{source}: {OF_EACH} stands for the number of a process, and there is one alone: use torchrun"
            )
        return str(source).replace(OF_EACH, str(self.rank))

    def share(self, source: Source, batch: int, own: bool = False, given: bool = False) -> Share:
        """The tokens that this process counts.

        Args:
            batch: tokens that are computed together: a share is whole batches, those that a single process would have
            own:   whether `source` holds this process's tokens alone
            given: whether the document ids were given, and so mean the same to every process
        Raises: InputError for several processes and a source that does not know how many tokens it holds
        """
        if self.world == 1:
            return Share()
        tokens = source.tokens if source.tokens is not None else getattr(source, "count", lambda: None)()
        if tokens is None:
            raise InputError(
                f"{source.name}: several processes need activations whose number is known, files or shards"
            )
        if own:
            before = sum(self.each(tokens)[: self.rank])
            return Share(first_token=before, first_document=0 if given else before)
        batches = -(-tokens // batch)
        start, stop = (batches * rank // self.world * batch for rank in (self.rank, self.rank + 1))
        return Share(start, min(stop, tokens))

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
        """The sum of every rank's state: one all-reduce for each of its totals. A rank without data adds zeros."""
        if self.world == 1:
            return state
        mine = [totals.to(device) for totals in state.totals]
        shapes = [totals.to("meta") for totals in mine]  # shapes and dtypes, without numbers
        everyone = self.each((shapes, sorted(state.documents), state.position))
        known = next((shapes for shapes, _, _ in everyone if shapes), [])
        mine = mine or [totals.map(lambda like: torch.zeros_like(like, device=device)) for totals in known]
        documents = {document for _, ids, _ in everyone for document in ids}
        return State(
            sum(position for _, _, position in everyone), tuple(_all_reduced(totals) for totals in mine), documents
        )


def each_has_its_own(source: Any) -> bool:
    """Whether this is a path with `{rank}` in it."""
    return isinstance(source, str | Path) and OF_EACH in str(source)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _all_reduced(totals: Sums) -> Sums:
    tensors = totals.tensors().values()
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    parts = iter(flat.split([tensor.numel() for tensor in tensors]))
    return totals.map(lambda tensor: next(parts).view(tensor.shape))
