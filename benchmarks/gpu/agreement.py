"""The embedded pair on the device against the CPU: every figure of the report, in default and in deterministic mode."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row
from sandbox.data import embedded
from sandbox.sae.measure import measure

SAES = ("minilm-relu", "minilm-gated")
LEFT_OUT = {"device", "dtype", "findings"}  # words, and what a look at another device's x̂ may say otherwise


@contextmanager
def deterministic() -> Iterator[None]:
    """Only kernels that give the same bits again; `benchmarks.gpu` sets cuBLAS's workspace for it."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def figures(report: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a report, with its place."""
    if isinstance(report, dict):
        for key, one in report.items():
            if key not in LEFT_OUT:
                yield from figures(one, f"{path}.{key}" if path else key)
    elif isinstance(report, int | float) and not isinstance(report, bool):
        yield path, float(report)


def apart(one: dict[str, float], other: dict[str, float]) -> tuple[float, str]:
    """The greatest difference of two reports, relative or absolute, whichever is less; and where it is."""
    if one.keys() != other.keys():
        return math.inf, ", ".join(sorted(one.keys() ^ other.keys()))
    differences = {
        key: 0.0 if value == other[key] or value != value else abs(value - other[key]) / max(abs(value), 1)
        for key, value in one.items()
    }
    place = max(differences, key=lambda key: differences[key])
    return differences[place], place


def rows(place: Place) -> Iterator[Row]:
    """For both SAEs."""
    for name in SAES:
        here = _measured(name, "cpu")
        default, again = (_measured(name, place.device) for _ in range(2))
        with deterministic():
            fixed, fixed_again = (_measured(name, place.device) for _ in range(2))
        for mode, found in (("default", default), ("deterministic", fixed)):
            difference, where = apart(here, found)
            words = f"greatest difference from the CPU, of {len(here)} figures (in {where})"
            yield Row("agreement", f"{name}, {mode} mode", difference, goal=1e-5, words=words)
        difference, where = apart(fixed, fixed_again)
        words = "greatest difference between two runs"
        yield Row("agreement", f"{name}, deterministic mode, twice", difference, goal=0, words=words)
        difference, where = apart(default, again)
        yield Row("agreement", f"{name}, default mode, twice", difference, words=words)
        half, where = apart(here, _measured(name, place.device, dtype="bfloat16"))
        words = f"greatest difference from float32 on the CPU (in {where})"
        yield Row("agreement", f"{name}, bfloat16", half, words=words)


def _measured(name: str, device: str, dtype: str = "float32") -> dict[str, float]:
    settings: dict[str, Any] = {"documents": embedded("documents"), "batch_size": 1024, "look": False}
    report = measure(embedded(name), embedded("activations"), device=device, dtype=dtype, **settings)
    return dict(figures(report.to_dict()))
