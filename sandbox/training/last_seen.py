"""γ on tokens of the training, by the step that used them last: an SAE fits better what it has just seen.

`python -m sandbox.training.last_seen build/figure-6 gated-2.1-seed-0` writes it beside what the sweep found.
"""

from __future__ import annotations

import csv
import io
import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from sandbox.report import Report
from sandbox.system.files import write_text
from sandbox.training.results import BIAS
from sandbox.training.sweep_data import SweepData
from sandbox.training.trainer import BatchSchedule

COLUMNS = ("sae", "steps", "first", "last", "tokens", "origin", "measure", "value", "low", "high")


def last_step(tokens: int, batch: int, steps: int, seed: int) -> np.ndarray:
    """Int[ndarray, "tokens"]: the step of a training that used each token last, or -1 where none did.

    Raises: InputError where there are fewer tokens than a batch

    >>> last_step(tokens=10, batch=3, steps=2, seed=0).tolist()
    [-1, -1, 0, 1, 0, 1, 0, 1, -1, -1]
    """
    batches, found = BatchSchedule(np.empty((tokens, 0)), batch, seed), np.full(tokens, -1)
    for step in range(steps):
        found[batches.rows(step)] = step
    return found


def settings_of(sae: Path) -> dict[str, Any]:
    """What an SAE of a sweep was trained with; raises InputError where there is none."""
    try:
        return json.loads((sae / "training.json").read_text("utf-8"))["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{sae} is no finished SAE of a sweep ({error})") from error


def by_last_step(sae: Path, data: SweepData, groups: int = 12) -> Iterator[tuple[range, Report]]:
    """A report for each stretch of steps, on (some of the) tokens that were used in it and not again.

    Args:   sae: the folder of an SAE of a sweep; data: what it was trained on; groups: into how many stretches the
            steps are cut
    Yields: the steps, and what was measured; range(-1, 0) stands for tokens that no step used
    Raises: InputError where there is no such SAE, or it was trained on something else
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


def to_csv(name: str, trained: int, found: Mapping[range, Report]) -> str:
    """CSV text, a row for each stretch of steps and origin; columns are COLUMNS.

    Args: name: of the SAE; trained: its steps; found: of `by_last_step`
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for steps, report in found.items():
        for origin, estimates in report.origins.items():
            one = estimates[BIAS]
            numbers = ["" if number is None else f"{number:.7g}" for number in (one.value, one.low, one.high)]
            writer.writerow((name, trained, steps[0], steps[-1], report.tokens, origin, BIAS, *numbers))
    return text.getvalue()


def main() -> None:
    parser = ArgumentParser(description=__doc__, prog="python -m sandbox.training.last_seen")
    parser.add_argument("folder", type=Path, help="what `sandbox figure6` wrote")
    parser.add_argument("name", help="of an SAE in it")
    given = parser.parse_args()
    sae = given.folder / "saes" / given.name
    try:
        found = dict(by_last_step(sae, SweepData.at(given.folder / "activations")))
        write_text(given.folder / "last-seen.csv", to_csv(given.name, settings_of(sae)["steps"], found))
    except InputError as error:
        parser.exit(2, f"last_seen: {error}\n")


if __name__ == "__main__":
    main()
