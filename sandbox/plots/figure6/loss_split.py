"""The loss of each SAE in two parts (C12): the length's, which a rescaling recovers, and the angle's, which stays."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from textwrap import fill as wrapped
from typing import TYPE_CHECKING

from sandbox.maths.measures import REGISTRY
from sandbox.plots.figure6.drawing import (
    L0,
    by_coefficient,
    final,
    left_out,
    named,
    nothing,
    of_measure,
    reach,
    rounded,
    shown,
    value_of,
)
from sandbox.plots.figure6.looks import looks
from sandbox.plots.style import INK, axes_or_current
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LENGTH, ANGLE, WHOLE = "length_loss", "angle_loss", "relative_loss"
GAP = 0.8  # between architectures, in the room of one coefficient
WIDE = 0.84  # of the bars of a coefficient, likewise
SLOTS = 6  # coefficients that there is at least room for
LETTERS = 13  # of a name, in an inch
UPRIGHT = 16  # coefficients, up to which their shares have room side by side


def loss_split(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """The relative loss of each SAE as a bar, the length's part at the bottom, with 95 % intervals of it and the whole.

    Bars of one coefficient stand side by side, a seed each, over their mean L0; above them, the share of the loss that
    a rescaling could ever recover (the mean of the seeds).

    Args: origin: as for `bias`
    """
    from matplotlib.patches import Patch

    ax, points = axes_or_current(ax), final(points)
    parts = tuple(of_measure(key, origin) for key in (LENGTH, ANGLE, WHOLE))
    seen = shown(points, *parts)
    groups = {key: by_coefficient(seen, key) for key in looks(points)}
    turned = sum(map(len, groups.values())) > UPRIGHT
    slots = max(SLOTS, sum(len(held) + GAP for held in groups.values() if held) - GAP)
    letters = LETTERS * ax.get_window_extent().width / ax.figure.dpi / slots  # of a name over one coefficient
    place, ticks, lines = 0.0, [], 0
    for key, look in looks(points).items():
        first = place
        for group in groups[key]:
            width = WIDE / len(group)
            for j, point in enumerate(group):
                at = place + (j - (len(group) - 1) / 2) * width
                length, turn = (value_of(of(point)) for of in parts[:2])
                style = {"width": width * 0.92, "edgecolor": look.colour, "linewidth": 0.6}
                ax.bar(at, length, color=look.colour, label=f"{point.name} {LENGTH}", **style)
                ax.bar(at, turn, bottom=length, color=(look.colour, 0.25), label=f"{point.name} {ANGLE}", **style)
                for estimate in (parts[0](point), parts[2](point)):
                    bar = {"yerr": reach([estimate]), "ecolor": INK, "elinewidth": 0.7, "capsize": 1.2}
                    ax.errorbar(at, value_of(estimate), fmt="none", **bar)
            wholes = [parts[2](point) for point in group]
            top = max(value_of(one) if one.high is None else one.high for one in wholes)
            style = {"rotation": 90 if turned else 0, "ha": "center", "va": "bottom", "fontsize": "x-small"}
            ax.annotate(share(group, origin), (place, top), (0, 3), textcoords="offset points", color=INK, **style)
            ticks.append((place, rounded(fmean(point.l0 for point in group))))
            place += 1
        if place > first:
            words = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center", "va": "top"}
            name = wrapped(look.words, max(8, int(letters * (place - first + GAP))))
            lines = max(lines, name.count("\n") + 1)
            ax.annotate(name, ((first + place - 1) / 2, 0), (0, -15), color=look.colour, fontweight="bold", **words)
            place += GAP
    ax.set_xticks([at for at, _ in ticks], [l0 for _, l0 in ticks])
    ax.tick_params(axis="x", length=0, **({"labelsize": "x-small"} if turned else {}))
    ax.set_xlim(-0.6, slots - 0.4)
    ax.margins(y=0.14 if turned else 0.08)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(L0, labelpad=4 + 12 * lines)
    ax.set_ylabel(named(WHOLE, origin))
    if not seen:
        nothing(ax)
    seeds = ", ".join(map(str, sorted({point.seed for point in seen})))
    side_by_side = f"; bars side by side: seeds {seeds}" if "," in seeds else ""
    entries = [
        Patch(facecolor=(INK, 0.25), edgecolor=INK, linewidth=0.6, label=f"angle, {REGISTRY[ANGLE].plain}: stays"),
        Patch(facecolor=INK, label=f"length, {REGISTRY[LENGTH].plain}: a rescaling recovers it"),
        Patch(alpha=0, label=f"%: the length’s share{side_by_side}"),
        *left_out(points, parts),
    ]
    ax.legend(handles=entries, loc="lower left", bbox_to_anchor=(0, 1.01), borderaxespad=0, ncols=2)
    return ax


def share(group: Sequence[Point], origin: str = "raw") -> str:
    """The length's share of the loss in words, the mean of a coefficient's SAEs; none where nothing is lost."""
    length, whole = of_measure(LENGTH, origin), of_measure(WHOLE, origin)
    shares = [value_of(length(one)) / value_of(whole(one)) for one in group if whole(one).value]
    if not shares:
        return ""
    percent = 100 * fmean(shares)
    return f"{percent:.0f} %" if percent >= 9.5 else f"{percent:.1f} %"
