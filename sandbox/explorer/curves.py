"""Curves along which a measure is constant, traced in Python so that the browser only draws them.

They depend on the registry alone, and lie in the plane of the tip of x̂ (for ‖x‖ = 1) or in the half-plane of (ρ, r).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from contourpy import contour_generator

from sandbox.explorer.state import CONTROLS
from sandbox.maths.compile import evaluate, moments_at, to_torch
from sandbox.maths.measures import REGISTRY
from sandbox.plots import LOCI, at_tip, levels

REACH = CONTROLS["norm_ratio"].high
"""How far the curves go: the longest x̂, in lengths of x."""

TOLERANCE = 0.0005
"""How far a path may be off its curve: less than a quarter of a pixel."""


def loci() -> dict[str, str]:
    """Where each measure of C13 is 1, by key, as an SVG path in the plane of the tip of x̂ (x = (1, 0), y upwards)."""
    u, v = np.meshgrid(np.linspace(-REACH, REACH, 401), np.linspace(0, REACH, 201))
    values = {key: at_tip(key, torch.from_numpy(u), torch.from_numpy(v)).numpy() for key in LOCI}
    lines = {key: contour_generator(u, v, np.ma.masked_invalid(value)).lines(1.0) for key, value in values.items()}
    return {key: "".join(map(_path, pieces)) for key, pieces in lines.items()}


def level_curves() -> dict[str, list[dict[str, object]]]:
    """The levels of each measure in the half-plane of (ρ, r): `value`, SVG `path`, and `at`, a point for the label."""
    return {key: list(_levels(key)) for key in REGISTRY}


def undefined_regions() -> dict[str, str]:
    """Where each measure is undefined in the half-plane of (ρ, r), as an SVG path; empty if it is so nowhere."""
    rho, r = _half_plane()
    paths = {}
    for key, measure in REGISTRY.items():
        gaps = [to_torch(positive)(*moments_at(rho, r)).numpy() for positive, _ in measure.needs]
        areas: Any = contour_generator(rho.numpy(), r.numpy(), np.minimum.reduce(gaps)).filled(-np.inf, 0.0)[0]
        paths[key] = "".join(map(_path, areas))
    return paths


def _levels(key: str) -> Iterator[dict[str, object]]:
    rho, r = _half_plane()
    values = np.ma.masked_invalid(evaluate(REGISTRY[key], *moments_at(rho, r)).numpy())
    generator = contour_generator(rho.numpy(), r.numpy(), values)
    for level in levels(key):
        lines: Any = [line for line in generator.lines(level) if line is not None and len(line) > 2]
        if lines:
            longest = max(lines, key=len)
            middle = longest[len(longest) // 2].round(2).tolist()
            yield {"value": level, "path": "".join(map(_path, lines)), "at": middle}


def _half_plane() -> tuple[torch.Tensor, torch.Tensor]:
    axes = (torch.from_numpy(np.linspace(low, high, 201)) for low, high in ((-1, 1), (0, REACH)))
    rho, r = torch.meshgrid(*axes, indexing="xy")
    return rho, r


def _path(line: Any) -> str:
    """The line as an SVG path, without points within TOLERANCE of a straight line between the ones kept."""
    return "M" + "L".join(f"{x:.3f},{y:.3f}" for x, y in [line[0], *_bends(np.asarray(line))])


def _bends(line: np.ndarray) -> list[np.ndarray]:
    """The points after the first that the path must pass through (Douglas–Peucker)."""
    offsets, chord = line - line[0], line[-1] - line[0]
    length = np.hypot(*chord)
    off = np.abs(chord[0] * offsets[:, 1] - chord[1] * offsets[:, 0]) / length if length else np.hypot(*offsets.T)
    furthest = int(off.argmax())
    return [line[-1]] if off[furthest] <= TOLERANCE else [*_bends(line[: furthest + 1]), *_bends(line[furthest:])]
