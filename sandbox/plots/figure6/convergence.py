"""Whether training has come to an end: γ on held-out tokens, against the steps of training."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sandbox.plots.figure6.bias import KEY
from sandbox.plots.figure6.drawing import (
    legend,
    name_line_at_1,
    named,
    nothing,
    of_measure,
    round_ticks,
    rounded,
    shown,
    value_of,
)
from sandbox.plots.figure6.looks import looks, marker, rings
from sandbox.plots.style import FAINT, INK, axes_or_current
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 5  # numbers of steps, each of which can be written below the axis
APART = 0.055  # of the height of the axes, between the names of two lines


def convergence(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """γ against the steps of training, a line for each SAE; a line that still climbs has not converged.

    One that is level at its end need not have: the learning rate goes to 0 there. A longer run tells.

    The marker of the finished SAE is that of the other figures, those on the way are dots. Beside the
    ends of the lines stands their L0, from the least to the greatest of those that end together.

    Args: points: with those that are not finished; only those measured on held-out tokens are shown
          origin: as for `bias`
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    ax, up = axes_or_current(ax), of_measure(KEY, origin)
    held_out = [point for point in points if point.measured_on == "held-out"]
    seen, seeds = shown(held_out, up), rings(held_out)
    ax.set_xscale("log")
    ends = []
    for key, look in looks(held_out).items():
        of_key = [point for point in seen if point.architecture == key]
        for name in dict.fromkeys(point.name for point in of_key):
            way = sorted((point for point in of_key if point.name == name), key=lambda point: point.steps)
            steps, values = [point.steps for point in way], [value_of(up(point)) for point in way]
            thin = {"linewidth": 0.8, "markersize": 2, "marker": ".", "alpha": 0.8}
            ax.plot(steps, values, color=look.colour, label=name, **thin)
            if way[-1].finished:
                last = marker(look.marker, look.colour, seeds[way[-1].seed])
                ax.plot(steps[-1], values[-1], linestyle="none", zorder=4, label=f"{name} finished", **last)
                ends.append((values[-1], way[-1].l0))
    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=1)
    looks_at = sorted({point.steps for point in seen})
    ax.xaxis.set_major_locator(FixedLocator(looks_at) if 0 < len(looks_at) <= FEW else LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="steps of training", ylabel=named(KEY, origin))
    if seen:
        name_line_at_1(ax)
    else:
        nothing(ax)
    low, high = ax.get_ylim()
    for together in _together(ends, APART * (high - low)):
        names = [*dict.fromkeys(rounded(l0) for l0 in sorted(l0 for _, l0 in together))]
        words = f"L0 {names[0]}" + (f" to {names[-1]}" if len(names) > 1 else "")
        at, place = (1, fmean(value for value, _ in together)), ("axes fraction", "data")
        style: Any = {"textcoords": "offset points", "va": "center", "fontsize": "x-small", "color": INK}
        ax.annotate(words, at, (3, 0), xycoords=place, **style)
    round_ticks(ax.yaxis)
    legend(ax, held_out, (up,))
    return ax


def _together(ends: Sequence[tuple[float, float]], apart: float) -> list[list[tuple[float, float]]]:
    """Ends of lines (value, L0) in groups: those of a group are nearer than that to the next one."""
    groups: list[list[tuple[float, float]]] = []
    for end in sorted(ends):
        if groups and end[0] - groups[-1][-1][0] < apart:
            groups[-1].append(end)
        else:
            groups.append([end])
    return groups
