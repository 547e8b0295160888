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
from sandbox.measuring.latents import OFTEN
from sandbox.measuring.measure import measure

SAES = ("minilm-relu", "minilm-gated")
LEAST = 1e-3  # a figure of a report that is smaller is a difference of larger ones, which are rounded
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
    """The greatest difference of two reports, and where it is."""
    if one.keys() != other.keys():
        return math.inf, ", ".join(sorted(one.keys() ^ other.keys()))
    differences = {key: difference(value, other[key]) for key, value in one.items()}
    place = max(differences, key=lambda key: differences[key])
    return differences[place], place


def difference(one: float, other: float) -> float:
    """Relative, but for figures below LEAST; infinite where one of them alone is no number.

    >>> difference(2.0, 2.002), difference(1.0, math.nan), difference(math.nan, math.nan)
    (0.001, inf, 0.0)
    """
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
    return 0.0 if one == other else round(abs(one - other) / max(abs(one), LEAST), 15)


def rows(place: Place) -> Iterator[Row]:
    """For both SAEs."""
    for name in SAES:
        here, factors = _measured(name, "cpu")
        (default, factors_there), (again, _) = (_measured(name, place.device) for _ in range(2))
        with deterministic():
            (fixed, _), (fixed_again, _) = (_measured(name, place.device) for _ in range(2))
        for mode, found in (("default", default), ("deterministic", fixed)):
            greatest, where = apart(here, found)
            words = f"greatest difference from the CPU, of {len(here)} figures (in {where})"
            yield Row("agreement", f"{name}, {mode} mode", greatest, goal=1e-5, words=words)
        greatest, where = apart(factors, factors_there)
        words = f"greatest difference from the CPU, of {len(factors)} (in {where})"
        yield Row("agreement", f"{name}, factors of latents", greatest, goal=1e-3, words=words)
        words = "greatest difference between two runs"
        yield Row("agreement", f"{name}, deterministic mode, twice", apart(fixed, fixed_again)[0], goal=0, words=words)
        yield Row("agreement", f"{name}, default mode, twice", apart(default, again)[0], words=words)
        half, where = apart(here, _measured(name, place.device, dtype="bfloat16")[0])
        words = f"greatest difference from float32 on the CPU (in {where})"
        yield Row("agreement", f"{name}, bfloat16", half, words=words)


def _measured(name: str, device: str, dtype: str = "float32") -> tuple[dict[str, float], dict[str, float]]:
    """The figures of the report, and the factor of each latent that is on often enough."""
    settings: dict[str, Any] = {"documents": embedded("documents"), "batch_size": 1024, "look": False}
    report = measure(embedded(name), embedded("activations"), device=device, dtype=dtype, latents=True, **settings)
    assert report.latents is not None
    factors, often = report.latents.scale_factors(), report.latents.count >= OFTEN
    named = {f"latent {j}": factor for j, factor in enumerate(factors.tolist()) if often[j]}
    return dict(figures(report.to_dict())), named
