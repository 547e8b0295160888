"""Figure 6 from activations, whole: gather, train, measure, write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sandbox.activations import PathOrArray, SourceLike, activations
from sandbox.activations.split import Split
from sandbox.errors import InputError
from sandbox.report import Point
from sandbox.system.devices import device_named
from sandbox.training.architectures import architecture
from sandbox.training.plan import MAIN, SEEDS, plan
from sandbox.training.results import results, write_results
from sandbox.training.sweep_data import gather
from sandbox.training.train_all import train_all
from sandbox.training.trainer import Training

Bars = Callable[[str, int], Callable[[int], None]]
"""Called with a label and a total (0: unknown), for a function that is called with what has been done since."""


def figure6(
    source: SourceLike,
    out: str | Path,
    *,
    documents: PathOrArray | None = None,
    architectures: Sequence[str] = MAIN,
    coefficients: Mapping[str, Sequence[float]] | None = None,
    seeds: Sequence[int] = SEEDS,
    d_sae: int | None = None,
    tokens: int | None = None,
    held_out: float = 0.05,
    steps: int = 4000,
    batch: int = 256,
    lr: float = 1e-3,
    device: str = "auto",
    workers: int | None = None,
    command: str | None = None,
    bars: Bars = lambda label, total: lambda done: None,
    finished: Callable[[dict[str, Any]], None] = lambda record: None,
) -> list[Point]:
    """Train SAEs over a range of sparsities, and measure all of them on documents that none was trained on.

    Everything is kept in `out`: the activations, each SAE in SAELens' layout, and of the SAEs that are asked for
    figure-6.json with all that was found, figure-6.csv with every number and figure-6.md. Called again, it goes on:
    nothing that is there is made again, and more architectures, coefficients or seeds may be asked for. In a script,
    call it under `if __name__ == "__main__":`, since workers are processes of their own.

    Args:
        source, documents: as for `sandbox.measure`
        architectures:     keys of ARCHITECTURES
        coefficients:      of the sparsity, by architecture; its own where they are not given
        seeds:             of the weights and the order of the tokens: an SAE for each
        d_sae:             latents; 4·d if not given
        tokens:            to train on, at most; all but those held out if not given
        held_out:          share of the documents to measure on
        steps, batch, lr:  see `Training`
        workers:           SAEs in training at a time; as many as there are cores on the CPU, 1 on an accelerator
        command:           that is said to have made it
        bars, finished:    told how it goes; `finished` gets what is in an SAE's training.json
    Returns: the points: each SAE finished and on the way, on held-out tokens and on some of the training
    Raises:  InputError, in one line, for what cannot be trained on; KeyboardInterrupt when it was stopped
    """
    if not find_spec("sae_lens"):
        raise InputError("training needs SAELens: pip install sae-lens")
    jobs, folder, place = plan(architectures, coefficients, seeds), Path(out).resolve(), device_named(device)
    Split(held_out)  # refuses what is no share
    if not lr > 0 or min(steps, batch, workers or 1, d_sae or 1, tokens or 1) < 1:
        raise InputError("steps, batch, workers, latents and tokens are whole numbers, 1 or more, and lr is above 0")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}: name another folder") from error
    opened = activations(source, documents)
    width = d_sae or 4 * opened.width
    for job in jobs:
        if architecture(job.architecture).coefficient == "k" and job.coefficient > width:
            raise InputError(f"coefficient {job.coefficient:g} of {job.architecture}: there are {width} latents only")
    with _alone_in(folder):
        moved = bars("gathering activations", getattr(opened, "tokens", None) or 0)
        data = gather(folder / "activations", opened, held_out, tokens, moved)
        training = Training(width, steps, batch, lr)
        count = workers or (min(_cores(), len(jobs)) if place.type == "cpu" else 1)
        progress = bars(f"training {len(jobs)} SAEs, {count} at a time", len(jobs) * steps)
        settings = {"device": str(place), "workers": count, "progress": progress, "finished": finished}
        records = train_all(jobs, training, data, folder / "saes", **settings)
        return write_results(results(records, training, data, command), folder)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Refuse a folder that another run is writing to; a run that was killed holds nothing."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"another run is writing to {folder}: wait for it, or name another folder") from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
