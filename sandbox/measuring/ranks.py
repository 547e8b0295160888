"""Several processes (torchrun): each counts a share of the tokens, and the sum gives the report of a single process."""

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
"""How long the fastest rank waits at the end for the slowest. If a rank fails, the run ends at once."""

OF_EACH = "{rank}"
"""Placeholder in a path for the process's number, for processes that each read their own files."""


@dataclass(frozen=True)
class Share:
    """The tokens of a source that one process counts.

    Attributes:
        start, stop:    their range in the source; None: to the end
        first_token:    index of the source's first token among those of all processes, from which blocks are numbered
        first_document: offset added to the source's document IDs, if each process's own files count them from 0
    """

    start: int = 0
    stop: int | None = None
    first_token: int = 0
    first_document: int = 0


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run; by default, the only one.

    Attributes: rank: its number, from 0; world: number of processes; local: its number on this machine, for its GPU
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @classmethod
    def here(cls) -> Ranks:
        """Read torchrun's variables; a single process if any is missing. Raises: InputError for a non-integer."""
        if not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
            return cls()
        variables = {name: os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
        if not all(value.isdecimal() for value in variables.values()):
            raise InputError(f"environment variables {variables}: set whole numbers, as torchrun does")
        return cls(*map(int, variables.values()))

    @property
    def first(self) -> bool:
        """Whether this is the process that prints messages."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this rank: each has its own GPU."""
        if name == "auto" and not torch.cuda.is_available():
            return "cpu" if self.world > 1 else name
        if self.world > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self.local % torch.cuda.device_count()}"
        return name

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Join the process group: NCCL for GPUs and gloo for the CPU.

        The process leaves the group only when it ends: torch cannot join a second time, and the next run needs it, too.
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
                f"{source}: {OF_EACH} stands for the number of a process, but there is only one process: use torchrun"
            )
        return str(source).replace(OF_EACH, str(self.rank))

    def share(self, source: Source, batch: int, own: bool = False, shared_ids: bool = False) -> Share:
        """The tokens that this process counts.

        Args:
            batch:      tokens per batch; a share consists of whole batches of a single-process run
            own:        whether `source` holds only this process's tokens
            shared_ids: whether document IDs were passed explicitly and mean the same document in every process
        Raises: InputError if several processes share a source that does not know its number of tokens
        """
        if self.world == 1:
            return Share()
        tokens = source.tokens if source.tokens is not None else getattr(source, "count", lambda: None)()
        if tokens is None:
            raise InputError(f"{source.name}: several processes need activations of known length: give files or shards")
        if own:
            before = sum(self.gather(tokens)[: self.rank])
            return Share(first_token=before, first_document=0 if shared_ids else before)
        batches = -(-tokens // batch)
        start, stop = (batches * rank // self.world * batch for rank in (self.rank, self.rank + 1))
        return Share(start, min(stop, tokens))

    def broadcast(self, value: Any) -> Any:
        """The first rank's value, on every rank."""
        return self.gather(value)[0]

    def gather(self, value: Any) -> list[Any]:
        """The value of each rank, on every rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def total(self, state: State, device: torch.device) -> State:
        """The sum of all ranks' states, with one all-reduce per SAE. A rank without data contributes zeros."""
        if self.world == 1:
            return state
        mine = [totals.to(device) for totals in state.totals]
        shapes = [totals.to("meta") for totals in mine]  # shapes and dtypes, without numbers
        everyone = self.gather((shapes, sorted(state.documents), state.position))
        known = next((shapes for shapes, _, _ in everyone if shapes), [])
        mine = mine or [totals.map(lambda like: torch.zeros_like(like, device=device)) for totals in known]
        documents = {document for _, ids, _ in everyone for document in ids}
        return State(
            sum(position for _, _, position in everyone), tuple(_all_reduced(totals) for totals in mine), documents
        )


def each_has_its_own(source: Any) -> bool:
    """Whether this is a path that contains `{rank}`."""
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
