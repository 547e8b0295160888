"""Figure 7: γ as the training penalty predicts it (C19) beside γ as measured, and how training gets there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.plots.error_bars import ends_of, error_bars, value_of
from sandbox.plots.figure6 import drawing
from sandbox.plots.figure6.looks import looks, marker
from sandbox.plots.style import FAINT, INK, axes_or_current, message
from sandbox.report.estimates import Estimate
from sandbox.report.points import LAW, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAR = 0.01
"""Half the width of the inset around γ = 1: all architectures without a slope of the penalty lie there."""

MISSING = Estimate(None, None, None, "the penalty is not known")


def of_law(key: str) -> drawing.Coordinate:
    """A number of the law (`sandbox.report.law.Law.rows`) as a coordinate."""
    return lambda point: point.origins.get(LAW, {}).get(key, MISSING)


def law(points: Sequence[Point], ax: Axes | None = None) -> Axes:
    """γ about b_dec against its prediction from λ, P and c, for each finished SAE, with the diagonal.

    Source: C19
    """
    ax, points = axes_or_current(ax), drawing.final(points)
    predicted, measured = of_law("predicted"), of_law("gamma")
    drawing.draw(ax, points, predicted, measured, joined=False)
    ends = [end for point in drawing.shown(points, predicted, measured) for end in ends_of(measured(point))]
    if not ends:
        message(ax, drawing.NOTHING)
    low, high = min([*ends, 0.9]), max([*ends, 1.0])
    margin = 0.06 * (high - low)
    ends = low - margin, high + margin
    ax.plot(ends, ends, color=INK, linewidth=0.9, zorder=1)
    drawing.round_ticks(ax.xaxis)
    drawing.round_ticks(ax.yaxis)
    ax.set(xlim=ends, ylim=ends, xlabel="γ predicted from λ, P and c (C19)", ylabel="γ measured about b_dec")
    ax.set_aspect("equal", adjustable="box")
    _near_1(ax, points)
    drawing.legend(ax, points, (predicted, measured))
    return ax


def _near_1(ax: Axes, points: Sequence[Point]) -> None:
    """Enlarge what lies around (1, 1), in the corner below the diagonal; if all SAEs lie there, they need no inset."""
    predicted, measured = of_law("predicted"), of_law("gamma")
    seen = drawing.shown(points, predicted, measured)
    near = [point for point in seen if abs(value_of(predicted(point)) - 1) < NEAR]
    if len(near) < 2 or len(near) == len(seen):
        return
    inset = ax.inset_axes((0.61, 0.1, 0.36, 0.36))
    drawing.draw(inset, near, predicted, measured, joined=False)
    ends = 1 - NEAR, 1 + NEAR
    inset.plot(ends, ends, color=INK, linewidth=0.9, zorder=1)
    inset.set(xlim=ends, ylim=ends, xticks=(1 - NEAR / 2, 1 + NEAR / 2), yticks=(1 - NEAR / 2, 1, 1 + NEAR / 2))
    inset.tick_params(labelsize="x-small")
    inset.set_title("around 1", fontsize="small", pad=2)


def law_convergence(points: Sequence[Point], ax: Axes | None = None) -> Axes:
    """Measured less predicted γ over the steps of training, a line for each SAE: the distance from the law."""
    ax, difference = axes_or_current(ax), of_law("difference")
    held_out = drawing.shown([point for point in points if point.measured_on == "held-out"], difference)
    for key, look in looks(held_out).items():
        for name in sorted({point.name for point in held_out if point.architecture == key}):
            run = sorted((point for point in held_out if point.name == name), key=lambda point: point.steps)
            values = [difference(point) for point in run]
            ax.errorbar(
                [point.steps for point in run],
                [value_of(value) for value in values],
                yerr=error_bars(values),
                linewidth=0.9,
                elinewidth=0.6,
                label=name,
                **marker(look.marker, look.colour, 0),
            )
    ax.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    if not held_out:
        message(ax, drawing.NOTHING)
    drawing.round_ticks(ax.yaxis)
    ax.set(xlabel="training steps", ylabel="γ measured − predicted")
    return ax
