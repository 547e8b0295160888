"""Has training converged? γ on held-out tokens, against training steps."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sandbox.plots.error_bars import value_of
from sandbox.plots.figure6 import drawing
from sandbox.plots.figure6.bias import KEY
from sandbox.plots.figure6.looks import looks, marker, rings
from sandbox.plots.style import FAINT, INK, axes_or_current, message
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS = 5  # numbers of steps that all fit below the axis
APART = 0.055  # between the labels of two lines, as a share of the height of the axes


def convergence(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """γ against training steps, a line for each SAE: one that still climbs has not converged.

    A line that is level at its end need not have converged either, since the learning rate falls to 0 there; a longer
    run tells. Finished SAEs have the markers of the other figures, earlier measurements are dots. The lines' ends are
    labelled with L0, or the range of L0 of lines that end together.

    Args: points: with those that are not finished; only those measured on held-out tokens are shown
          origin: as for `bias`
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    ax, up = axes_or_current(ax), drawing.of_measure(KEY, origin)
    held_out = [point for point in points if point.measured_on == "held-out"]
    seen, seeds = drawing.shown(held_out, up), rings(held_out)
    ax.set_xscale("log")
    ends = []
    for key, look in looks(held_out).items():
        of_key = [point for point in seen if point.architecture == key]
        for name in dict.fromkeys(point.name for point in of_key):
            path = sorted((point for point in of_key if point.name == name), key=lambda point: point.steps)
            steps, values = [point.steps for point in path], [value_of(up(point)) for point in path]
            thin = {"linewidth": 0.8, "markersize": 2, "marker": ".", "alpha": 0.8}
            ax.plot(steps, values, color=look.colour, label=name, **thin)
            if path[-1].finished:
                last = marker(look.marker, look.colour, seeds[path[-1].seed])
                ax.plot(steps[-1], values[-1], linestyle="none", zorder=4, label=f"{name} finished", **last)
                ends.append((values[-1], path[-1].l0))
    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=1)
    steps_seen = sorted({point.steps for point in seen})
    ticks = FixedLocator(steps_seen) if 0 < len(steps_seen) <= MOST_TICKS else LogLocator(subs=(1, 2, 5))
    ax.xaxis.set_major_locator(ticks)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="training steps", ylabel=drawing.axis_label(KEY, origin))
    if seen:
        drawing.name_line_at_1(ax)
    else:
        message(ax, drawing.NOTHING)
    low, high = ax.get_ylim()
    for together in _together(ends, APART * (high - low)):
        names = [*dict.fromkeys(drawing.rounded(l0) for l0 in sorted(l0 for _, l0 in together))]
        words = f"L0 {names[0]}" + (f" to {names[-1]}" if len(names) > 1 else "")
        at, coordinates = (1, fmean(value for value, _ in together)), ("axes fraction", "data")
        style: Any = {"textcoords": "offset points", "va": "center", "fontsize": "x-small", "color": INK}
        ax.annotate(words, at, (3, 0), xycoords=coordinates, **style)
    drawing.round_ticks(ax.yaxis)
    drawing.legend(ax, held_out, (up,))
    return ax


def _together(ends: Sequence[tuple[float, float]], apart: float) -> list[list[tuple[float, float]]]:
    """The ends of lines (value, L0) in groups whose neighbours are less than `apart` from each other."""
    groups: list[list[tuple[float, float]]] = []
    for end in sorted(ends):
        if groups and end[0] - groups[-1][-1][0] < apart:
            groups[-1].append(end)
        else:
            groups.append([end])
    return groups
