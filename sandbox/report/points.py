"""The SAEs of a sweep as points: what trained each, and every measure of it; to and from the files of a figure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import InputError
from sandbox.report.estimates import ORIGINS, Estimate

TOKENS = ("held-out", "training")
"""On which tokens a point was measured: of documents kept from the training, or some that it was trained on."""

FACTS = ("architecture", "coefficient", "seed", "steps", "finished", "measured_on", "tokens", "documents", "l0")
COLUMNS = (*FACTS, "origin", "measure", "value", "low", "high", "reason")


def sae_name(architecture: str, coefficient: float, seed: int) -> str:
    """What an SAE of a sweep is called.

    >>> sae_name("relu", 1.2, 0)
    'relu-1.2-seed-0'
    """
    return f"{architecture}-{coefficient:.12g}-seed-{seed}"


@dataclass(frozen=True)
class Point:
    """One SAE of a sweep after so many steps of training, measured.

    Attributes:
        architecture: a key of `sandbox.training.ARCHITECTURES`
        coefficient:  of the sparsity: its meaning is the architecture's
        seed:         of the weights and the order of the tokens
        steps:        of training; `finished` unless it was looked at on the way
        measured_on:  one of TOKENS, and how many `tokens` of how many `documents` (None where none were given)
        l0:           mean count of nonzero latents a token
        origins:      estimates by origin (a key of ORIGINS), then by the measure's key
    """

    architecture: str
    coefficient: float
    seed: int
    steps: int
    finished: bool
    measured_on: str
    tokens: int
    documents: int | None
    l0: float
    origins: Mapping[str, Mapping[str, Estimate]]

    def __getitem__(self, key: str) -> Estimate:
        """The raw estimate of a measure."""
        return self.origins["raw"][key]

    @property
    def name(self) -> str:
        """As `sae_name` says."""
        return sae_name(self.architecture, self.coefficient, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""
        facts = {key: getattr(self, key) for key in FACTS}
        origins = {origin: {key: one.to_dict() for key, one in held.items()} for origin, held in self.origins.items()}
        return facts | origins

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Point:
        """What `to_dict` gave; or a `Report.to_dict()` together with the facts of the training."""
        origins = {
            origin: {
                key: Estimate(one["value"], one["low"], one["high"], one.get("reason")) for key, one in every.items()
            }
            for origin, every in held.items()
            if origin in ORIGINS
        }
        facts: dict[str, Any] = {key: held[key] for key in FACTS}
        return cls(**facts, origins=origins)


def points_to_csv(points: Iterable[Point]) -> str:
    """CSV text, a row for each point, origin and measure; columns are COLUMNS."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for point in points:
        facts = [getattr(point, key) for key in FACTS]
        for origin, estimates in point.origins.items():
            for key, one in estimates.items():
                writer.writerow((*facts, origin, key, one.value, one.low, one.high, one.reason))
    return text.getvalue()


def read_points(path: str | Path) -> list[Point]:
    """The points of a figure-6.json, or of the folder that holds it.

    Raises: InputError for a file that is none.
    """
    path = Path(path)
    path = path / "figure-6.json" if path.is_dir() else path
    try:
        return [Point.from_dict(one) for one in json.loads(path.read_text("utf-8"))["points"]]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} is no result of `sandbox figure6` ({found}): name a figure-6.json") from error
