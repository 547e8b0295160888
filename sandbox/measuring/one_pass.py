"""The single pass over activations behind `measure` and `rescale`: read, compute, count, add up, save."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sandbox.activations import Source
from sandbox.activations.prefetch import prefetch
from sandbox.activations.stores import StoreError
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward, Pairs
from sandbox.measuring.ranks import Ranks, Share
from sandbox.measuring.resume import Facts, State
from sandbox.measuring.totals import Totals
from sandbox.moments.moments import BLOCK
from sandbox.moments.sums import Sums
from sandbox.system.files import written_whole
from sandbox.system.interrupts import stoppable

COUNTED = 2**24
"""Maximum number of elements of x counted at a time on a GPU: 64 MB in float32."""

ROOM = 256
"""Free bytes needed per element: array operations use about 50, and the SAE needs most of the rest."""

Progress = Callable[[int], None]

Count = Callable[[torch.Tensor, np.ndarray], Sequence[Sums]]
"""Called with x, (n, d), and the cluster of each token; returns a `Sums` per SAE, or nothing if no token is counted."""

WHOLE = Share()


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM stopped a run; its state has been saved if possible.

    Attributes: state: the progress of the run; by: the signal; unsaved: why the state could not be saved;
                reports: the partial report of each SAE, set by `measure`
    """

    def __init__(self, state: State, by: int, unsaved: InputError | None = None):
        super().__init__("stopped")
        self.state, self.by, self.unsaved, self.reports = state, by, unsaved, []


class AfterTheRun(InputError):
    """The run is complete, but something after it failed.

    Attributes: reports: the complete report of each SAE
    """

    def __init__(self, error: InputError, reports: list[Any]):
        super().__init__(str(error))
        self.reports = reports


class NotSaved(AfterTheRun):
    """The run's state could not be saved."""


class NoDirections(AfterTheRun):
    """The directions could not be measured; the reports are without them."""


@dataclass(frozen=True)
class Saving:
    """Where and how often a run's state is saved.

    Attributes:
        path:  the file
        run:   facts that identify the run: the state file of another run is refused
        every: seconds between saves
        tell:  called with a message when the run resumes from a saved state
        rebuilt: makes the totals of an SAE from their tensors
        failed: the error of the last save, if it failed; the run continues
    """

    path: Path
    run: Facts
    every: float = 30.0
    tell: Callable[[str], None] | None = None
    rebuilt: Callable[[dict[str, torch.Tensor]], Sums] = Totals.from_tensors
    failed: list[InputError] = field(default_factory=list)

    @classmethod
    def of_rank(cls, path: str | Path, run: Facts, ranks: Ranks, *more: Any) -> Saving:
        """Each process has a file of its own.

        Args:   more: `every`, `tell` and `rebuilt`
        Raises: InputError now, rather than at the first save, if the file cannot be written
        """
        path = Path(path)
        if ranks.world > 1:
            path = path.with_name(f"{path.name}.{ranks.rank}-of-{ranks.world}")
        with written_whole(path, keep=False):
            pass
        return cls(path, run | {"the number of processes": ranks.world}, *more)

    def save(self, state: State) -> None:
        """Save the state; keep any error in `failed`, to be raised once the reports are made."""
        self.failed.clear()
        try:
            state.save(self.path, self.run)
        except InputError as error:
            self.failed.append(error)


def counted_at_once(batch: int, d: int, device: torch.device) -> int:
    """Number of tokens to read and count at a time: a multiple of `batch`, the tokens per forward pass.

    A CPU counts one batch at a time, while it is in the cache. A GPU counts several batches if memory allows: counting
    launches about a hundred small kernels however few the tokens, which takes as long as the forward pass of a narrow
    SAE.
    """
    if device.type != "cuda":
        return batch
    free, _ = torch.cuda.mem_get_info(device)
    return batch * max(1, min(COUNTED, free // ROOM) // (batch * d))


def stream(
    saes: Sequence[Forward | Pairs],
    source: Source,
    chunk: int,
    count: Count,
    share: Share = WHOLE,
    *,
    saving: Saving | None = None,
    progress: Progress | None = None,
) -> State:
    """Count a share of the tokens of a source, from its start or from a saved state.

    Only saving waits for the device.

    Args:
        saes:     all on one device; in evaluation mode during the pass
        chunk:    tokens to read and count at a time
        count:    counts a chunk; the totals of all chunks are added up
        progress: called with the number of tokens after each chunk
    Raises: Stopped after the chunk during which Ctrl-C or SIGTERM arrived; any error of the source or `count`. If a
            store fails, what was counted is saved first
    """
    state = State.load(saving.path, saving.run, saes[0].device, saving.rebuilt) if saving else State()
    if state.position and progress:
        progress(state.position)
    if state.position and saving and saving.tell:
        saving.tell(f"resumed at token {state.position:,}, from {saving.path}")
    saved = time.monotonic()
    with ExitStack() as stack, stoppable() as stopping:
        stack.enter_context(torch.no_grad())
        for sae in saes:
            stack.enter_context(sae.evaluating())
        chunks = prefetch(source.chunks(chunk, share.start + state.position, share.stop), saes[0].device)
        stack.callback(chunks.close)
        try:
            for x, ids in stopping.each(chunks):
                documents = None if ids is None else ids + share.first_document
                at = share.first_token + share.start + state.position
                cluster = np.arange(at, at + len(x)) // BLOCK if documents is None else documents
                parts = count(x, cluster)
                if documents is not None:
                    state.documents.update(np.unique(documents).tolist())  # repeating it does no harm
                state = State(state.position + len(x), _added(state.totals, parts), state.documents)
                if progress:
                    progress(len(x))
                if saving and time.monotonic() - saved > saving.every:
                    saving.save(state)
                    saved = time.monotonic()
            if saving:
                saving.save(state)
        except KeyboardInterrupt as interrupt:
            stopping.by = stopping.by or signal.SIGINT
            if saving:
                saving.save(state)
            raise Stopped(state, stopping.by, next(iter(saving.failed), None) if saving else None) from interrupt
        except StoreError as error:
            if saving is None:
                raise
            saving.save(state)
            if saving.failed:
                raise
            raise StoreError(f"{error}; run the same command to resume from {saving.path}") from None
    return state


def _added(totals: tuple[Any, ...], parts: Sequence[Any]) -> tuple[Any, ...]:
    if not (totals and parts):
        return totals or tuple(parts)
    return tuple(total + part for total, part in zip(totals, parts, strict=True))
