"""What a sweep found, as files: figure-6.json with everything, figure-6.csv with every number."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.files import write_text
from sandbox.report import Point, points_to_csv
from sandbox.sae.sweep.architectures import ARCHITECTURES
from sandbox.sae.sweep.gathered import Gathered
from sandbox.sae.sweep.training import Training


def results(records: Sequence[dict[str, Any]], training: Training, data: Gathered) -> dict[str, Any]:
    """Everything that there is to say of a sweep, as in figure-6.json.

    Returns: `python`, `machine`, `activations`, `training`, `architectures` (their names in words), `saes`
             (`settings`, `seconds`, `device` and `libraries` of each), `points` (of `Point.to_dict`)
    """
    points = [point for record in records for point in record["points"]]
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "activations": data.to_dict(),
        "training": {**asdict(training), "scale_of_activations": data.scale},
        "architectures": {
            key: ARCHITECTURES[key].words for key in dict.fromkeys(one["architecture"] for one in points)
        },
        "saes": [{key: value for key, value in record.items() if key != "points"} for record in records],
        "points": points,
    }


def write_results(found: dict[str, Any], folder: Path) -> list[Point]:
    """Write figure-6.json and figure-6.csv; gives the points."""
    points = [Point.from_dict(one) for one in found["points"]]
    write_text(folder / "figure-6.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    write_text(folder / "figure-6.csv", points_to_csv(points))
    return points
