"""All SAEs in the plane of cosine and norm ratio, with each measure's own curve of "no shrinkage" (C13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from sandbox.maths.compile import evaluate, moments_at
from sandbox.maths.measures import REGISTRY
from sandbox.plots.error_bars import ends_of
from sandbox.plots.figure6 import drawing
from sandbox.plots.figure6.looks import looks
from sandbox.plots.style import INK, LOCI, axes_or_current, message
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHES: dict[str, Any] = {"relative_reconstruction_bias": "-", "scale_x": (0, (5, 2)), "norm_ratio": (0, (1, 1.2))}
LEAST = 0.05  # the least range of ρ and r in view, for a single SAE


def rho_r(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """Where the SAEs lie in the half-plane of cosine ρ and norm ratio r, with three loci and the corner where x̂ = x.

    A line joins the SAEs of each architecture in order of L0, whose range the legend gives. Along γ = 1 an SAE improves
    without shrinking; r and c/a reach 1 only in the corner.

    Args: origin: as for `bias`
    """
    from matplotlib.lines import Line2D

    ax, points = axes_or_current(ax), drawing.final(points)
    across, up = drawing.of_measure("cosine", origin), drawing.of_measure("norm_ratio", origin)
    seen = [[ends_of(of(point)) for of in (across, up)] for point in drawing.shown(points, across, up)]
    least_rho, least_r = (min([1 - LEAST, *(low for low, _ in side)]) for side in zip(*seen, [(1, 1)] * 2, strict=True))
    greatest_r = max([1.0, *(high for _, (_, high) in seen)])
    left, bottom = 1 - 1.12 * (1 - least_rho), 1 - 1.12 * (1 - least_r)
    top = greatest_r + max(0.3 * (1 - bottom), LEAST)
    rho, r = torch.meshgrid(
        torch.linspace(left, 1, 301, dtype=torch.float64),
        torch.linspace(bottom, top, 301, dtype=torch.float64).clamp(min=1e-6),
        indexing="xy",
    )
    loci = []
    for key, colour in LOCI.items():
        measure, style = REGISTRY[key], {"linewidths": 2, "linestyles": [DASHES[key]], "alpha": 0.6, "zorder": 1}
        value = evaluate(measure, *moments_at(rho, r)).numpy()
        ax.contour(rho.numpy(), r.numpy(), value, levels=[1.0], colors=[colour], **style)
        entry = {"color": colour, "linewidth": 2, "linestyle": DASHES[key], "alpha": 0.6}
        loci.append(Line2D([], [], label=f"{measure.plain} = 1", **entry))
    drawing.draw(ax, points, across, up)
    ax.plot(1, 1, "*", color=INK, markersize=8, markeredgecolor="white", clip_on=False, zorder=5, label="_x")
    ax.annotate("x̂ = x", (1, 1), (7, 0), textcoords="offset points", va="center", color=INK, fontsize="small")
    room = 0.02 * (1 - left)  # for markers at the edge
    ax.set(xlim=(left, 1 + room), ylim=(bottom, top))
    drawing.round_ticks(ax.xaxis)
    drawing.round_ticks(ax.yaxis)
    ax.set(xlabel=drawing.axis_label("cosine", origin), ylabel=drawing.axis_label("norm_ratio", origin))
    if not seen:
        message(ax, drawing.NOTHING)
    drawing.legend(ax, points, (across, up), loci, _ends(drawing.shown(points, across, up)), "architecture (its L0)")
    return ax


def _ends(points: Sequence[Point]) -> dict[str, str]:
    """The range of L0 of each architecture's line, in words, by key."""
    ranges = {}
    for key in looks(points):
        l0s = [point.l0 for point in points if point.architecture == key]
        ranges[key] = f" ({'–'.join(dict.fromkeys(drawing.rounded(end) for end in (min(l0s), max(l0s))))})"
    return ranges
