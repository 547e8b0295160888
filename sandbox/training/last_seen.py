"""γ on training tokens, by the step that last used them: an SAE fits the tokens best that it has just seen.

`python -m sandbox.training.last_seen build/figure-6 gated-2.1-seed-0` writes last-seen.csv to the sweep's folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from sandbox.report import Report
from sandbox.report.csv_text import csv_text
from sandbox.system.files import write_text
from sandbox.training.results import BIAS
from sandbox.training.sweep_data import SweepData
from sandbox.training.trainer import BatchSchedule

COLUMNS = ("sae", "steps", "first", "last", "tokens", "origin", "measure", "value", "low", "high")


def last_step(tokens: int, batch: int, steps: int, seed: int) -> np.ndarray:
    """Int[ndarray, "tokens"]: the training step that last used each token; -1 if none did.

    Raises: InputError if there are fewer tokens than one batch

    >>> last_step(tokens=10, batch=3, steps=2, seed=0).tolist()
    [-1, -1, 0, 1, 0, 1, 0, 1, -1, -1]
    """
    batches, last = BatchSchedule(np.empty((tokens, 0)), batch, seed), np.full(tokens, -1)
    for step in range(steps):
        last[batches.rows(step)] = step
    return last


def settings_of(sae: Path) -> dict[str, Any]:
    """The training settings of an SAE of a sweep; raises InputError if there is no such SAE."""
    try:
        return json.loads((sae / "training.json").read_text("utf-8"))["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{sae} is not a finished SAE of a sweep ({error})") from error


def by_last_step(sae: Path, data: SweepData, groups: int = 12) -> Iterator[tuple[range, Report]]:
    """A report for each stretch of steps, on a sample of the tokens last used in that stretch.

    Args:   sae: folder of an SAE of a sweep; data: its training data; groups: number of stretches
    Yields: the steps and the report; range(-1, 0) stands for tokens that no step used
    Raises: InputError if there is no such SAE, or it was trained on other data
    """
    settings = settings_of(sae)
    if settings["activations"] != data.sha256:
        raise InputError(f"{sae} was not trained on the activations in {data.folder}")
    seen = last_step(data.tokens, settings["batch"], settings["steps"], settings["seed"])
    edges = np.linspace(max(0, seen.min()), settings["steps"], groups + 1).astype(int).tolist()
    for steps in (range(-1, 0), *map(range, edges, edges[1:])):
        rows = np.flatnonzero((seen >= steps.start) & (seen < steps.stop))
        if len(rows):
            yield steps, measure(sae, data.training_tokens(rows), device="cpu", look=False)


def to_csv(name: str, trained: int, reports: Mapping[range, Report]) -> str:
    """CSV text, one row per stretch of steps and origin; columns are COLUMNS.

    Args: name: of the SAE; trained: its number of training steps; reports: of `by_last_step`
    """
    rows = []
    for steps, report in reports.items():
        for origin, estimates in report.origins.items():
            gamma = estimates[BIAS]
            numbers = [None if end is None else f"{end:.7g}" for end in (gamma.value, gamma.low, gamma.high)]
            rows.append((name, trained, steps[0], steps[-1], report.tokens, origin, BIAS, *numbers))
    return csv_text(COLUMNS, rows)


def write(
    folder: Annotated[Path, typer.Argument(help="The folder that `sandbox figure6` wrote.")],
    name: Annotated[str, typer.Argument(help="The name of an SAE in it, such as gated-2.1-seed-0.")],
) -> None:
    """Write last-seen.csv: γ of an SAE on training tokens, by the step that last used them."""
    sae = folder / "saes" / name
    try:
        reports = dict(by_last_step(sae, SweepData.at(folder / "activations")))
        write_text(folder / "last-seen.csv", to_csv(name, settings_of(sae)["steps"], reports))
    except InputError as error:
        print(f"last_seen: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def main() -> None:
    typer.run(write)


if __name__ == "__main__":
    main()
