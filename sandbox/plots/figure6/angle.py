"""Measures that read "shrinkage" where no rescaling helps: c/a and the norm ratio of the same SAEs (C10, C11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sandbox.maths.compile import evaluate, moments_at
from sandbox.maths.measures import REGISTRY
from sandbox.plots.error_bars import value_of
from sandbox.plots.figure6 import drawing
from sandbox.plots.figure6.bias import KEY as GAMMA
from sandbox.plots.figure6.looks import looks
from sandbox.plots.style import INK, axes_or_current
from sandbox.report.estimates import Estimate
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEYS = ("scale_x", "norm_ratio")
FAINT_LINE: Any = {"linewidth": 1.6, "alpha": 0.28, "zorder": 1.5}
DASH: Any = {"marker": "_", "markersize": 11, "markeredgewidth": 1.1, "linestyle": "none", "zorder": 3}
SHORTFALL: Any = {"linewidth": 0.8, "linestyle": (0, (1, 1.5)), "alpha": 0.8, "zorder": 1.6}


def angle(points: Sequence[Point], key: str = "norm_ratio", ax: Axes | None = None, origin: str = "raw") -> Axes:
    """A measure that mixes in the angle, against L0; γ faintly behind it, and a dash where γ = 1 would put each SAE.

    An SAE on its dash is not shrunk, however far below 1 it lies; one below its dash is shrunk by the dotted gap. The
    gap between a dash and 1 is due to the angle alone.

    Args: key: of the registry, one of KEYS; origin: as for `bias`
    """
    from matplotlib.lines import Line2D

    ax, points = axes_or_current(ax), drawing.final(points)
    drawing.draw_against_l0(ax, points, key, origin)
    joined = drawing.line(ax, points, drawing.of_l0, drawing.of_measure(GAMMA, origin), **FAINT_LINE)
    up, unshrunk = drawing.of_measure(key, origin), without_shrinkage(key, origin)
    with_all = drawing.shown(points, drawing.of_l0, up, unshrunk)
    for architecture, look in looks(points).items():
        seen = [p for p in with_all if p.architecture == architecture]
        l0s, dashes = [point.l0 for point in seen], [value_of(unshrunk(point)) for point in seen]
        ax.plot(l0s, dashes, color=look.colour, label=f"_{architecture} without shrinkage", **DASH)
        ax.vlines(l0s, [value_of(up(point)) for point in seen], dashes, color=look.colour, **SHORTFALL)
    drawing.name_line_at_1(ax, f"{REGISTRY[key].plain} = 1")
    extra = [Line2D([], [], color=INK, label=f"without shrinkage ({REGISTRY[GAMMA].plain} = 1)", **DASH)]
    if joined:
        extra.append(Line2D([], [], color=INK, label=f"{REGISTRY[GAMMA].plain} of the same SAEs", **FAINT_LINE))
    drawing.legend(ax, points, (drawing.of_l0, up), extra)
    return ax


def without_shrinkage(key: str, origin: str = "raw") -> drawing.Coordinate:
    """What a measure would say of an SAE with the same cosine and γ = 1, that is, with r = ρ (C10)."""
    cosine = drawing.of_measure("cosine", origin)

    def unshrunk(point: Point) -> Estimate:
        rho = cosine(point)
        if rho.value is None or rho.value <= 0:  # no rescaling gives γ = 1
            return Estimate(None, None, None)
        return Estimate(evaluate(REGISTRY[key], *moments_at(rho.value, norm_ratio=rho.value)).item(), None, None)

    return unshrunk
