"""What the figures share: points with their intervals, a line through the means of seeds, the axis of L0, legends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from textwrap import fill as wrapped
from typing import TYPE_CHECKING

from sandbox.errors import InputError
from sandbox.maths.measures import REGISTRY
from sandbox.plots.against_l0 import set_l0_scale
from sandbox.plots.figure6.looks import handles, looks, marker, rings
from sandbox.plots.style import FAINT, INK
from sandbox.report.estimates import ORIGINS, Estimate
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.lines import Line2D

Coordinate = Callable[[Point], Estimate]
WIDEST = 0.85  # of a figure, for a legend of two columns
L0 = "L0, latents on at a time"


def final(points: Sequence[Point]) -> list[Point]:
    """The finished SAEs, as they did on held-out tokens."""
    return [point for point in points if point.finished and point.measured_on == "held-out"]


def of_l0(point: Point) -> Estimate:
    """L0 as a coordinate of a logarithmic axis."""
    return Estimate(point.l0 or None, None, None, None if point.l0 else "no latent is on (L0 = 0)")


def of_measure(key: str, origin: str = "raw") -> Coordinate:
    """A measure as a coordinate. Raises: InputError for an origin that there is not."""
    if origin not in ORIGINS:
        raise InputError(f"there is no origin {origin!r}; there are {', '.join(ORIGINS)}")
    missing = Estimate(None, None, None, f"it was not measured {ORIGINS[origin]}")
    return lambda point: point.origins[origin][key] if origin in point.origins else missing


def named(key: str, origin: str = "raw") -> str:
    """The name of a measure along an axis: as in CSV and Python, with its symbol, and the origin."""
    words = key if key.startswith("scale_") else key.replace("_v1", ", first version").replace("_", " ")
    return wrapped(f"{words} ({REGISTRY[key].plain}), {ORIGINS[origin]}", 28)  # as long as a low figure is high


def shown(points: Sequence[Point], *coordinates: Coordinate) -> list[Point]:
    """Those that have every coordinate."""
    return [point for point in points if all(of(point).value is not None for of in coordinates)]


def draw(ax: Axes, points: Sequence[Point], across: Coordinate, up: Coordinate, joined: bool = True) -> None:
    """Every point with its 95 % intervals and, joined, a thin line for each architecture through the means of seeds.

    Those without one of the coordinates are left out. The points of an architecture and seed are one container of the
    Axes, with both as its label: "relu seed 0".
    """
    seeds = rings(points)
    points = sorted(shown(points, across, up), key=lambda point: point.l0)
    if joined:
        line(ax, points, across, up, linewidth=0.9, alpha=0.7, zorder=2)
    for key, look in looks(points).items():
        for seed, ring in seeds.items():
            those = [point for point in points if (point.architecture, point.seed) == (key, seed)]
            if not those:
                continue
            x, y = [across(point) for point in those], [up(point) for point in those]
            ax.errorbar(
                [value_of(one) for one in x],
                [value_of(one) for one in y],
                xerr=reach(x),
                yerr=reach(y),
                linestyle="none",
                elinewidth=0.8,
                capsize=1.6,
                capthick=0.8,
                zorder=4,
                label=f"{key} seed {seed}",
                **marker(look.marker, look.colour, ring),
            )


def line(ax: Axes, points: Sequence[Point], across: Coordinate, up: Coordinate, **style) -> bool:
    """A line for each architecture, in order of L0, through the means of each coefficient's seeds.

    Returns: whether there is one; a single coefficient makes none
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
    """The points of an architecture, those of one coefficient together, in order of their mean L0."""
    groups: dict[float, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.seed):
        if point.architecture == architecture:
            groups.setdefault(point.coefficient, []).append(point)
    return sorted(groups.values(), key=lambda group: fmean(point.l0 for point in group))


def against_l0(ax: Axes, points: Sequence[Point], key: str, origin: str = "raw") -> None:
    """A measure against L0, on a logarithmic axis, with a line at 1."""
    up = of_measure(key, origin)
    draw(ax, points, of_l0, up)
    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=1)
    ax.set(xlabel=L0, ylabel=named(key, origin))
    round_ticks(ax.yaxis)
    l0_axis(ax, shown(points, of_l0, up))


def l0_axis(ax: Axes, points: Sequence[Point]) -> None:
    """A logarithmic axis of L0 with round numbers on it, or the words that there is nothing to show."""
    if points:
        set_l0_scale(ax, min(point.l0 for point in points), max(point.l0 for point in points))
        low, high = ax.get_xlim()
        room = (high / low) ** 0.025  # for a marker at either end
        ax.set_xlim(low / room, high * room)
    else:
        nothing(ax)


def round_ticks(axis: Axis) -> None:
    """Few ticks, at numbers of few digits: those of a narrow figure must not touch."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))


def nothing(ax: Axes) -> None:
    """Say in the middle of the axes that it shows no SAE."""
    ax.text(0.5, 0.5, "no SAE to show", transform=ax.transAxes, ha="center", va="center", color=INK)


def name_line_at_1(ax: Axes, words: str = "no shrinkage") -> None:
    """Write above the line at 1 what it means, at the end where the fewest points are near."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, max(high, 1 + 0.12 * (high - low)))
    to_share = ax.transScale + ax.transLimits  # of the axes
    (_, at_1) = to_share.transform((ax.get_xlim()[0], 1))
    marks = [to_share.transform(point) for one in ax.containers for point in one[0].get_xydata()]
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
    """Below the axes: architectures, seeds, what else is drawn, and how many points are left out for which reason.

    Args: coordinates: that a point must have to be shown; extra: entries; more: words on an architecture, by its key;
          title: above the entries
    """
    from matplotlib.transforms import ScaledTranslation

    room = 4.2 * _font_size() / 72  # inches, for the axis' own words
    below = ax.transAxes + ScaledTranslation(0, -room, ax.figure.dpi_scale_trans)
    entries = [*handles(points, more), *extra, *left_out(points, coordinates)]
    if entries:
        place = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": below, "borderaxespad": 0}
        style = {"title": title, "alignment": "left", "title_fontsize": "small"} | place
        made = ax.legend(handles=entries, ncols=2, **style)
        if made.get_window_extent().width > WIDEST * ax.figure.bbox.width:
            ax.legend(handles=entries, **style)


def left_out(points: Sequence[Point], coordinates: Sequence[Coordinate]) -> Iterator[Line2D]:
    """An entry of a legend for each reason why points are not shown."""
    from matplotlib.lines import Line2D

    reasons = Counter()
    for point in points:
        missing = [one.reason for of in coordinates if (one := of(point)).value is None]
        reasons.update(missing[:1])
    for reason, count in reasons.items():
        yield Line2D([], [], linestyle="none", label=wrapped(f"{count} not shown: {reason}", 30))


def reach(estimates: Sequence[Estimate]) -> list[list[float]]:
    """How far the intervals go below and above the values; 0 where there is none."""
    ends = [(value_of(one), one.low, one.high) for one in estimates]
    below = [0 if low is None else max(value - low, 0) for value, low, _ in ends]
    above = [0 if high is None else max(high - value, 0) for value, _, high in ends]
    return [below, above]


def ends_of(estimate: Estimate) -> tuple[float, float]:
    """The ends of its interval, or the value twice where there is none."""
    value = value_of(estimate)
    return value if estimate.low is None else estimate.low, value if estimate.high is None else estimate.high


def value_of(estimate: Estimate) -> float:
    """The value of an estimate that has one."""
    assert estimate.value is not None
    return estimate.value


def rounded(l0: float) -> str:
    """L0 as a name: with one decimal below 10."""
    return f"{l0:.1f}" if l0 < 9.95 else f"{l0:.0f}"


def _font_size() -> float:
    from matplotlib import rcParams

    return rcParams["font.size"]
