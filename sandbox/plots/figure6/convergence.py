"""Whether training has come to an end: γ on held-out tokens, against the steps of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.plots.figure6.bias import KEY
from sandbox.plots.figure6.drawing import legend, name_line_at_1, named, nothing, of_measure, rounded, shown, value_of
from sandbox.plots.figure6.looks import fills, looks, marker
from sandbox.plots.style import FAINT, INK, _axes
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 0.055  # of the height of the axes, between the names of two lines


def convergence(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """γ against the steps of training, a line for each SAE; where it is level at its end, training has converged.

    The marker of the finished SAE is that of the other figures, those on the way are dots. Lines that end apart from
    the others are named by their L0.

    Args: points: with those that are not finished; only those measured on held-out tokens are shown
          origin: as for `bias`
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ax, up = _axes(ax), of_measure(KEY, origin)
    held_out = [point for point in points if point.measured_on == "held-out"]
    seen, seeds = shown(held_out, up), fills(held_out)
    ax.set_xscale("log")
    ends = []
    for key, look in looks(held_out).items():
        of_key = [point for point in seen if point.architecture == key]
        for name in dict.fromkeys(point.name for point in of_key):
            way = sorted((point for point in of_key if point.name == name), key=lambda point: point.steps)
            steps, values = [point.steps for point in way], [value_of(up(point)) for point in way]
            style = {"linewidth": 0.8, "markersize": 2, "marker": ".", "alpha": 0.8}
            ax.plot(steps, values, color=look.colour, label=name, **style)
            if way[-1].finished:
                fill = marker(look.marker, look.colour, seeds[way[-1].seed])
                ax.plot(steps[-1], values[-1], linestyle="none", zorder=4, label=f"{name} finished", **fill)
                ends.append((values[-1], steps[-1], way[-1]))
    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=1)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="steps of training", ylabel=named(KEY, origin))
    if seen:
        name_line_at_1(ax)
    else:
        nothing(ax)
    low, high = ax.get_ylim()
    taken: list[float] = []
    for value, steps, point in sorted(ends, key=lambda end: end[0]):
        if all(abs(value - other) > APART * (high - low) for other in taken):
            taken.append(value)
            style = {"textcoords": "offset points", "va": "center", "fontsize": "x-small", "color": INK}
            ax.annotate(f"L0 {rounded(point.l0)}", (steps, value), (6, 0), **style)
    legend(ax, held_out, (up,))
    return ax
