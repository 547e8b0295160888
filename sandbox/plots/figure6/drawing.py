"""What the figures share: points with intervals, lines through the means of seeds, axes of L0, and legends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from textwrap import fill as wrapped
from typing import TYPE_CHECKING

from sandbox.errors import InputError
from sandbox.maths.measures import REGISTRY
from sandbox.plots.against_l0 import l0_axis
from sandbox.plots.error_bars import error_bars, value_of
from sandbox.plots.figure6.looks import handles, looks, marker, rings
from sandbox.plots.style import INK
from sandbox.report.estimates import ORIGINS, Estimate
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.lines import Line2D

Coordinate = Callable[[Point], Estimate]
WIDEST = 0.85  # of a figure's width, for a legend of two columns
NOTHING = "no SAE to show"


def final(points: Sequence[Point]) -> list[Point]:
    """The finished SAEs, measured on held-out tokens."""
    return [point for point in points if point.finished and point.measured_on == "held-out"]


def of_l0(point: Point) -> Estimate:
    """L0 as a coordinate on a logarithmic axis."""
    return Estimate(point.l0 or None, None, None, None if point.l0 else "no latent is active (L0 = 0)")


def of_measure(key: str, origin: str = "raw") -> Coordinate:
    """A measure as a coordinate; raises InputError for an unknown origin."""
    if origin not in ORIGINS:
        raise InputError(f"there is no origin {origin!r}; the origins are {', '.join(ORIGINS)}")
    missing = Estimate(None, None, None, f"not measured {ORIGINS[origin]}")
    return lambda point: point.origins[origin][key] if origin in point.origins else missing


def axis_label(key: str, origin: str = "raw") -> str:
    """A measure's name for an axis: as in CSV and Python, with its symbol and the origin."""
    words = key if key.startswith("scale_") else key.replace("_v1", ", first version").replace("_", " ")
    return wrapped(f"{words} ({REGISTRY[key].plain}), {ORIGINS[origin]}", 28)  # as long as the lowest figure is high


def shown(points: Sequence[Point], *coordinates: Coordinate) -> list[Point]:
    """The points that have every coordinate."""
    return [point for point in points if all(of(point).value is not None for of in coordinates)]


def draw(ax: Axes, points: Sequence[Point], across: Coordinate, up: Coordinate, joined: bool = True) -> None:
    """Draw each point with its 95 % intervals and, if joined, a thin line per architecture through the means of seeds.

    Points without one of the coordinates are left out. The points of one architecture and seed form one container of
    the Axes, labelled with both: "relu seed 0".
    """
    seeds = rings(points)
    points = sorted(shown(points, across, up), key=lambda point: point.l0)
    if joined:
        line(ax, points, across, up, linewidth=0.9, alpha=0.7, zorder=2)
    for key, look in looks(points).items():
        for seed, ring in seeds.items():
            group = [point for point in points if (point.architecture, point.seed) == (key, seed)]
            if not group:
                continue
            x, y = [across(point) for point in group], [up(point) for point in group]
            ax.errorbar(
                [value_of(estimate) for estimate in x],
                [value_of(estimate) for estimate in y],
                xerr=error_bars(x),
                yerr=error_bars(y),
                linestyle="none",
                elinewidth=0.8,
                capsize=1.6,
                capthick=0.8,
                zorder=4,
                label=f"{key} seed {seed}",
                **marker(look.marker, look.colour, ring),
            )


def line(ax: Axes, points: Sequence[Point], across: Coordinate, up: Coordinate, **style) -> bool:
    """Draw a line for each architecture, in order of L0, through the mean of the seeds at each coefficient.

    Returns: whether there is any line; a single coefficient makes none
    """
    drawn = False
    for key, look in looks(points).items():
        means = []
        for group in by_coefficient(shown(points, across, up), key):
            means.append([fmean(value_of(of(point)) for point in group) for of in (across, up)])
        if len(means) > 1:
            ax.plot(*zip(*means, strict=True), color=look.colour, **style)
            drawn = True
    return drawn


def by_coefficient(points: Sequence[Point], architecture: str) -> list[list[Point]]:
    """The points of an architecture, grouped by coefficient, in order of mean L0."""
    groups: dict[float, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.seed):
        if point.architecture == architecture:
            groups.setdefault(point.coefficient, []).append(point)
    return sorted(groups.values(), key=lambda group: fmean(point.l0 for point in group))


def draw_against_l0(ax: Axes, points: Sequence[Point], key: str, origin: str = "raw") -> None:
    """Draw a measure against L0, on a logarithmic axis, with a line at 1."""
    up = of_measure(key, origin)
    draw(ax, points, of_l0, up)
    l0_axis(ax, [point.l0 for point in shown(points, of_l0, up)], NOTHING)
    ax.set_ylabel(axis_label(key, origin))
    round_ticks(ax.yaxis)


def round_ticks(axis: Axis) -> None:
    """Few ticks, at numbers of few digits, so that they do not touch in a narrow figure."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))


def name_line_at_1(ax: Axes, words: str = "no shrinkage") -> None:
    """Write what the line at 1 means above it, at the end with fewer points nearby."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, max(high, 1 + 0.12 * (high - low)))
    to_share = ax.transScale + ax.transLimits  # of the axes
    (_, at_1) = to_share.transform((ax.get_xlim()[0], 1))
    marks = [to_share.transform(point) for container in ax.containers for point in container[0].get_xydata()]
    near = [across for across, up in marks if 0.01 < up - at_1 < 0.12]
    at_right = sum(across > 0.6 for across in near) < sum(across < 0.4 for across in near)
    hidden = any((across > 0.6) == at_right for across in near if not 0.4 <= across <= 0.6)
    ax.annotate(
        words,
        (float(at_right), 1),
        (-1 if at_right else 2, 9 if hidden else 4.5),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right" if at_right else "left",
        va="bottom",
        color=INK,
        fontsize="small",
    )


def legend(
    ax: Axes,
    points: Sequence[Point],
    coordinates: Sequence[Coordinate],
    extra: Sequence[Line2D] = (),
    more: Mapping[str, str] | None = None,
    title: str | None = None,
) -> None:
    """A legend below the axes: architectures, seeds, extra entries, and how many points are left out and why.

    Args: coordinates: those that a point needs to be shown; extra: further entries; more: words to add to an
          architecture, by its key; title: above the entries
    """
    from matplotlib.transforms import ScaledTranslation

    room = 4.2 * _font_size() / 72  # inches, for the axis label
    below = ax.transAxes + ScaledTranslation(0, -room, ax.figure.dpi_scale_trans)
    entries = [*handles(points, more), *extra, *left_out(points, coordinates)]
    if entries:
        anchor = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": below, "borderaxespad": 0}
        style = {"title": title, "alignment": "left", "title_fontsize": "small"} | anchor
        wide = ax.legend(handles=entries, ncols=2, **style)
        if wide.get_window_extent().width > WIDEST * ax.figure.bbox.width:
            ax.legend(handles=entries, **style)


def left_out(points: Sequence[Point], coordinates: Sequence[Coordinate]) -> Iterator[Line2D]:
    """A legend entry for each reason why points are left out."""
    from matplotlib.lines import Line2D

    reasons = Counter()
    for point in points:
        missing = [estimate.reason for of in coordinates if (estimate := of(point)).value is None]
        reasons.update(missing[:1])
    for reason, count in reasons.items():
        yield Line2D([], [], linestyle="none", label=wrapped(f"{count} not shown: {reason}", 30))


def rounded(l0: float) -> str:
    """L0 as a label: with one decimal below 10."""
    return f"{l0:.1f}" if l0 < 9.95 else f"{l0:.0f}"


def _font_size() -> float:
    from matplotlib import rcParams

    return rcParams["font.size"]
