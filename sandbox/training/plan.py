"""The SAEs that a sweep trains: every architecture at every coefficient and seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sandbox.errors import InputError
from sandbox.training.architectures import architecture
from sandbox.training.trainer import Job

MAIN = ("relu", "gated")
SEEDS = (0, 1)


def plan(
    architectures: Sequence[str] = MAIN,
    coefficients: Mapping[str, Sequence[float]] | None = None,
    seeds: Sequence[int] = SEEDS,
) -> list[Job]:
    """Every SAE of a sweep, seed by seed, so that an interrupted sweep has complete curves.

    Args:   coefficients: by architecture; by default, those of `Architecture.coefficients`
    Raises: InputError for an unknown architecture or an invalid coefficient or seed

    >>> [job.name for job in plan(["relu"], {"relu": [1, 2]}, [0])]
    ['relu-1-seed-0', 'relu-2-seed-0']
    """
    coefficients, chosen = coefficients or {}, {key: architecture(key) for key in architectures}
    for key, values in coefficients.items():
        if key not in chosen:
            raise InputError(f"coefficients are given for {key}, which is not among {', '.join(chosen)}")
        whole = chosen[key].coefficient == "k"
        for value in values:
            if not (math.isfinite(value) and value > 0) or (whole and value != int(value)):
                needed = "a whole number above 0" if whole else "a number above 0"
                raise InputError(f"coefficient {value:g} of {key}: {needed} is needed")
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise InputError(f"seed {seed}: a whole number, 0 or more and below 2³², is needed")
    every = {key: dict.fromkeys(coefficients.get(key) or each.coefficients) for key, each in chosen.items()}
    return [Job(key, float(value), seed) for seed in dict.fromkeys(seeds) for key in every for value in every[key]]


def coefficients_of(texts: Sequence[str]) -> dict[str, list[float]]:
    """Parse texts such as `relu=0.5,1,2` into coefficients by architecture.

    >>> coefficients_of(["relu=0.5,1", "relu=2", "topk=8"])
    {'relu': [0.5, 1.0, 2.0], 'topk': [8.0]}
    """
    coefficients: dict[str, list[float]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        try:
            coefficients.setdefault(key.strip(), []).extend(float(value) for value in values.split(","))
        except ValueError as error:
            needed = "an architecture and numbers are needed, such as relu=0.5,1,2"
            raise InputError(f"coefficients {text!r}: {needed}") from error
    return coefficients


def seeds_of(text: str) -> list[int]:
    """Parse a text such as `0,1` into seeds.

    >>> seeds_of("0,1")
    [0, 1]
    """
    try:
        return [int(value) for value in text.split(",")]
    except ValueError as error:
        raise InputError(f"seeds {text!r}: whole numbers are needed, such as 0,1") from error
