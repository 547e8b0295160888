"""The one pass over activations, for `measure` and `rescale`: read, compute, count, add up, save."""

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
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward, Pairs
from sandbox.measuring.ranks import Share
from sandbox.measuring.resume import Facts, State
from sandbox.moments.moments import BLOCK
from sandbox.moments.sums import Sums
from sandbox.system.interrupts import stoppable

COUNTED = 2**24
"""Numbers of x that are counted at a time on a GPU, at most: 64 MB in float32."""

ROOM = 256
"""Bytes that should be free for each of them: array operations hold some 50, and the SAE needs most of the rest."""

Progress = Callable[[int], None]

Count = Callable[[torch.Tensor, np.ndarray], Sequence[Sums]]
"""What a pass makes of x, (n, d), and the cluster of each token: `Sums` of each SAE, or none where no token counts."""

WHOLE = Share()


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM in the course of a run: the state is saved, and here is what it came to.

    Attributes: state: what was counted; by: the signal; unsaved: why the state could not be saved;
                reports: of each SAE so far, set by `measure`
    """

    def __init__(self, state: State, by: int, unsaved: InputError | None = None):
        super().__init__("stopped")
        self.state, self.by, self.unsaved, self.reports = state, by, unsaved, []


class NotSaved(InputError):
    """The run is done, but its state could not be saved on the way, or at the end.

    Attributes: reports: of each SAE, of all tokens
    """

    def __init__(self, error: InputError, reports: list[Any]):
        super().__init__(str(error))
        self.reports = reports


@dataclass(frozen=True)
class Saving:
    """Where and how often a run's state is saved.

    Attributes:
        path:  the file
        run:   what identifies the run: a state file of another one is refused
        every: seconds between two savings
        tell:  called with a line where the run goes on from a saved state
        failed: why the last saving failed, if it did: that is no reason to lose the run
    """

    path: Path
    run: Facts
    every: float = 30.0
    tell: Callable[[str], None] | None = None
    failed: list[InputError] = field(default_factory=list)

    def save(self, state: State) -> None:
        """Save it; what prevents that is kept, to be said when there is a report."""
        self.failed.clear()
        try:
            state.save(self.path, self.run)
        except InputError as error:
            self.failed.append(error)


def counted_at_once(batch: int, d: int, device: torch.device) -> int:
    """Tokens that are read and counted at a time, a multiple of the `batch` that is computed at a time.

    On a CPU those of a batch, while they are in its cache. On a GPU several batches, where there is memory: counting
    launches some hundred small kernels however few the tokens, as long as the forward pass of a narrow SAE takes.
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
    """Count a share of the tokens of a source, from the first or from where a saved run stopped.

    Nothing waits for the device but a saving.

    Args:
        saes:     on one device, put into evaluation mode while this lasts
        chunk:    tokens that are read and counted at a time
        count:    what to make of a chunk; the totals of all chunks are added up
        progress: called with the tokens of each chunk that was counted
    Raises: Stopped after the chunk in which Ctrl-C or SIGTERM came; and what the source and `count` raise
    """
    state = State.load(saving.path, saving.run, saes[0].device) if saving else State()
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
    return state


def _added(totals: tuple[Any, ...], parts: Sequence[Any]) -> tuple[Any, ...]:
    if not (totals and parts):
        return totals or tuple(parts)
    return tuple(total + part for total, part in zip(totals, parts, strict=True))
