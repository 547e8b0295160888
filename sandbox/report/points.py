"""The SAEs of a sweep as points of a figure: how each was trained, and all its measures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import InputError
from sandbox.report.csv_text import csv_text
from sandbox.report.estimates import ORIGINS, Estimate
from sandbox.report.report import Report

TOKENS = ("held-out", "training")
"""The tokens that a point was measured on: those of held-out documents, or a sample of the training tokens."""

FACTS = ("architecture", "coefficient", "seed", "steps", "finished", "measured_on", "tokens", "documents", "l0")
LAW = "law"

COLUMNS = (*FACTS, "origin", "measure", "value", "low", "high", "reason")


def sae_name(architecture: str, coefficient: float, seed: int) -> str:
    """The name of an SAE of a sweep.

    >>> sae_name("relu", 1.2, 0)
    'relu-1.2-seed-0'
    """
    return f"{architecture}-{coefficient:.12g}-seed-{seed}"


@dataclass(frozen=True)
class Point:
    """The measures of one SAE of a sweep, after a number of training steps.

    Attributes:
        architecture: a key of `sandbox.training.ARCHITECTURES`
        coefficient:  sets the sparsity; what it multiplies depends on the architecture (for TopK, it is k)
        seed:         random seed of the weights and the token order
        steps:        training steps so far
        finished:     whether training has ended; False for a point measured during training
        measured_on:  one of TOKENS
        tokens:       number of those tokens
        documents:    number of their documents; None without document IDs
        l0:           mean number of nonzero latents per token
        origins:      estimates by origin (a key of ORIGINS), then by the key of the measure or, raw and about b_dec, of
                      a part of the loss (`sandbox.report.parts`), which older files do not have; under LAW, what the
                      penalty of training explains (`sandbox.report.law.Law.rows`), if latents and b_dec were visible
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
        """Its `sae_name`."""
        return sae_name(self.architecture, self.coefficient, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """As in JSON."""
        facts = {key: getattr(self, key) for key in FACTS}
        return facts | {
            origin: {key: estimate.to_dict() for key, estimate in estimates.items()}
            for origin, estimates in self.origins.items()
        }

    @classmethod
    def from_report(cls, report: Report, **facts: Any) -> Point:
        """The point of a report.

        Args: facts: how the SAE was trained and what it was measured on, from `architecture` to `measured_on`
        """
        if report.l0 is None:
            raise InputError(
                f"{report.name} was measured without latents: a point of a sweep needs L0, so measure the SAE itself"
            )
        measured = {"tokens": report.tokens, "documents": report.documents, "l0": report.l0}
        law = {} if report.law is None else {LAW: {key: estimate for key, (_, estimate) in report.law.rows().items()}}
        return cls(**facts, **measured, origins={**report.by_origin, **law})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Point:
        """The inverse of `to_dict`."""
        origins = {
            origin: {
                key: Estimate(entry["value"], entry["low"], entry["high"], entry.get("reason"))
                for key, entry in estimates.items()
            }
            for origin, estimates in fields.items()
            if origin in (*ORIGINS, LAW)
        }
        return cls(**{key: fields[key] for key in FACTS}, origins=origins)


def points_to_csv(points: Iterable[Point]) -> str:
    """CSV text, one row per point, origin and measure, with the columns COLUMNS."""
    rows = (
        (
            *(getattr(point, fact) for fact in FACTS),
            *(origin, key, estimate.value, estimate.low, estimate.high, estimate.reason),
        )
        for point in points
        for origin, estimates in point.origins.items()
        for key, estimate in estimates.items()
    )
    return csv_text(COLUMNS, rows)


def read_points(path: str | Path) -> list[Point]:
    """Read the points of a figure-6.json, or of the folder that holds one.

    Raises: InputError if the file cannot be read or is not a figure-6.json
    """
    path = Path(path)
    path = path / "figure-6.json" if path.is_dir() else path
    try:
        return [Point.from_dict(fields) for fields in json.loads(path.read_text("utf-8"))["points"]]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} is not a result of `sandbox figure6` ({cause}): name a figure-6.json") from error
