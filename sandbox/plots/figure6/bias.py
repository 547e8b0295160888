"""Figure 6 of the paper with the corrected definition: relative reconstruction bias γ against L0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.maths.measures import REGISTRY
from sandbox.plots.figure6.drawing import draw_against_l0, final, legend, name_line_at_1, of_l0, of_measure
from sandbox.plots.style import axes_or_current
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEY = "relative_reconstruction_bias"


def bias(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw", near: float | None = None) -> Axes:
    """γ (C6) against L0: a point for each SAE with its 95 % interval, and a line through the means of the seeds.

    Args:
        origin: a key of `sandbox.report.ORIGINS`: where x and x̂ are measured from
        near:   zoom in on 1 ± near, where the intervals are wider than the markers
    Raises: InputError for an unknown origin
    """
    ax, points = axes_or_current(ax), final(points)
    draw_against_l0(ax, points, KEY, origin)
    if near is None:
        name_line_at_1(ax)
    else:
        ax.set(ylim=(1 - near, 1 + near), ylabel=f"{REGISTRY[KEY].plain} near 1")
    legend(ax, points, (of_l0, of_measure(KEY, origin)))
    return ax
