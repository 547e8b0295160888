"""All of figure 6 from activations: gather, train, measure, write."""

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
"""A label and a total (0: unknown) ► a function that is called with the amount just done."""


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
    outliers_above: float | None = None,
    device: str = "auto",
    workers: int | None = None,
    command: str | None = None,
    bars: Bars = lambda label, total: lambda done: None,
    finished: Callable[[dict[str, Any]], None] = lambda record: None,
) -> list[Point]:
    """Train SAEs over a range of sparsities, and measure them on held-out documents.

    `out` keeps the activations, each SAE in SAELens' layout, and the results for the SAEs of this call: all of them in
    figure-6.json, every number in figure-6.csv, a summary in figure-6.md. A second call resumes the first: it reuses
    what is finished, and may add architectures, coefficients or seeds. In a script, call it under
    `if __name__ == "__main__":`, because workers are separate processes.

    Args:
        source, documents: as for `sandbox.measure`
        architectures:     keys of ARCHITECTURES
        coefficients:      sparsity coefficients by architecture; by default, those of `Architecture.coefficients`
        seeds:             random seeds of the weights and the token order; one SAE per seed
        d_sae:             number of latents; 4·d by default
        tokens:            maximum number of training tokens; all by default
        held_out:          share of the documents held out for measuring
        steps, batch, lr:  see `Training`
        outliers_above:    leave tokens whose norm is above this multiple of the median out of training and measuring
        workers:           SAEs trained at a time; by default one per core on the CPU, 1 on an accelerator
        command:           the command line to record in the results
        bars:              makes progress bars
        finished:          called with the content of training.json when an SAE is finished
    Returns: the points: each SAE during and after training, on held-out tokens, and at the end also on training tokens
    Raises:  InputError, in one line, for unusable input; KeyboardInterrupt when stopped
    """
    if not find_spec("sae_lens"):
        raise InputError("training needs SAELens: pip install sae-lens")
    jobs, folder, chosen_device = plan(architectures, coefficients, seeds), Path(out).resolve(), device_named(device)
    Split(held_out)  # refuses an invalid share
    if not lr > 0 or min(steps, batch, workers or 1, d_sae or 1, tokens or 1) < 1:
        raise InputError("steps, batch, workers, latents and tokens must be 1 or more, and lr above 0")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}: name another folder") from error
    opened = activations(source, documents)
    width = d_sae or 4 * opened.width
    for job in jobs:
        if architecture(job.architecture).coefficient == "k" and job.coefficient > width:
            raise InputError(
                f"coefficient {job.coefficient:g} of {job.architecture} exceeds the "
                f"number of latents, {width}: choose a smaller k"
            )
    with _alone_in(folder):
        moved = bars("gathering activations", getattr(opened, "tokens", None) or 0)
        data = gather(folder / "activations", opened, held_out, tokens, moved, outliers_above=outliers_above)
        training = Training(width, steps, batch, lr)
        count = workers or (min(_cores(), len(jobs)) if chosen_device.type == "cpu" else 1)
        progress = bars(f"training {len(jobs)} SAEs, {count} at a time", len(jobs) * steps)
        settings = {"device": str(chosen_device), "workers": count, "progress": progress, "finished": finished}
        records = train_all(jobs, training, data, folder / "saes", **settings)
        return write_results(results(records, training, data, command), folder)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Refuse a folder that another run is writing to; the lock of a killed run is released."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"another run is writing to {folder}: wait until it ends, or name another folder") from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
