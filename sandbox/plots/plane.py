"""The plane of x and x̂, with the curve on which each measure says “no shrinkage” (C13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.plots.style import INK, LOCI, axes_or_current, legend_below, plain_name, sae_looks
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plane(reports: Sequence[Report], ax: Axes | None = None) -> Axes:
    """The plane of x and x̂, with x = (1, 0): the tip of each SAE's x̂, and the three loci of C13.

    Each measure calls its own locus "no shrinkage": Thales' circle over x for γ = 1, the line through the tip of x
    perpendicular to it for c/a = 1, and the circle about the origin for r = 1. They meet only in x.
    """
    ax = axes_or_current(ax)
    tips = [_tips({key: estimate.value for key, estimate in report.raw.items()}) for report in reports]
    along, across = zip((0, 0), (1.08, 1), *(tip for pair in tips for tip in pair), strict=True)  # what must be in view
    margin = 0.05 * (max(along) - min(along)) + 0.06
    left, right, top = min(along) - margin, max(along) + margin, max(across) + margin
    u, v = torch.meshgrid(
        torch.linspace(left, right, 500, dtype=torch.float64),
        torch.linspace(0, top, 450, dtype=torch.float64),
        indexing="xy",
    )
    names = {
        "relative_reconstruction_bias": ("γ = 1", (0.18, 0.42), "right"),
        "scale_x": ("c/a = 1", (1.015, 0.97), "left"),
        "norm_ratio": ("r = 1", (0.5, 0.91), "left"),
    }
    for key, colour in LOCI.items():
        ax.contour(u, v, at_tip(key, u, v), levels=[1.0], colors=[colour], linewidths=1.6)
        text, position, side = names[key]
        ax.annotate(text, position, color=colour, fontweight="bold", ha=side)
    arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "linewidth": 2}
    ax.annotate("", (1, 0), (0, 0), arrowprops=arrow | {"color": INK})
    ax.annotate("x", (0.5, 0), (0, -11), textcoords="offset points", color=INK, ha="center")
    for report, tip, (colour, marker) in zip(reports, tips, sae_looks(), strict=False):
        if not tip:
            continue
        values = {key: "undefined" if est.value is None else f"{est.value:.3f}" for key, est in report.raw.items()}
        label = f"{plain_name(report.name)}: " + ", ".join(f"{REGISTRY[key].plain} = {values[key]}" for key in LOCI)
        ax.annotate("", tip[0], (0, 0), arrowprops=arrow | {"color": colour})
        ax.plot(*tip[0], marker, color=colour, markersize=5, label=label)
        if len(tip) > 1:
            ax.plot(*tip[1], marker, color=colour, markersize=7, fillstyle="none")
            ax.plot(*zip(*tip, strict=True), color=colour, linestyle=":", linewidth=1.2)
    ax.set(xlim=(left, right), ylim=(-margin, top), aspect="equal", xlabel="along x", ylabel="across x")
    if any(len(tip) > 1 for tip in tips):
        ax.plot([], [], "o:", color=INK, markersize=7, fillstyle="none", label="rescaled by 1/γ, the best factor")
    if any(tips):
        legend_below(ax)
    ax.set_title("Where each measure says “no shrinkage”")
    return ax


def at_tip(key: str, u: Tensor, v: Tensor) -> Tensor:
    """A measure whose locus is drawn, or its reciprocal, where x is (1, 0) and x̂ ends at (u, v)."""
    # γ is 1 where its reciprocal (C6) is 1; the reciprocal is also defined for c ≤ 0, so its curve reaches the origin
    drawn = "scale_x_hat" if key == "relative_reconstruction_bias" else key
    return evaluate(REGISTRY[drawn], torch.ones_like(u), u**2 + v**2, u)


def _tips(values: Mapping[str, float | None]) -> list[tuple[float, float]]:
    """Where x̂ ends for x = (1, 0), and where its best rescaling ends, on Thales' circle; whichever are defined."""
    along, length = values["scale_x"], values["norm_ratio"]
    if along is None or length is None:
        return []
    tip = along, max(length**2 - along**2, 0) ** 0.5
    best = values["scale_x_hat"] if values["relative_reconstruction_bias"] else None
    return [tip] if best is None else [tip, (best * tip[0], best * tip[1])]
