"""The loss of each SAE in two parts (C12): the length's, which rescaling recovers, and the angle's, which stays."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from textwrap import fill as wrapped
from typing import TYPE_CHECKING

from sandbox.maths.measures import REGISTRY
from sandbox.plots.error_bars import ends_of, error_bars, value_of
from sandbox.plots.figure6 import drawing
from sandbox.plots.figure6.looks import looks
from sandbox.plots.style import INK, L0, axes_or_current, message
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LENGTH, ANGLE, WHOLE = "length_loss", "angle_loss", "relative_loss"
GAP = 0.8  # between architectures, in widths of a coefficient's slot
WIDE = 0.84  # the bars of a coefficient, in the same unit
SLOTS = 6  # the least number of slots
LETTERS = 13  # of a name in an inch
UPRIGHT = 16  # the most slots whose shares fit side by side


def loss_split(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """The relative loss of each SAE as a bar with the length's part at the bottom, and 95 % intervals of both.

    The bars of a coefficient's seeds stand side by side over their mean L0; above them is the share of the loss that
    rescaling could recover (the mean over the seeds).

    Args: origin: as for `bias`
    """
    from matplotlib.patches import Patch

    ax, points = axes_or_current(ax), drawing.final(points)
    parts = tuple(drawing.of_measure(key, origin) for key in (LENGTH, ANGLE, WHOLE))
    seen = drawing.shown(points, *parts)
    groups = {key: drawing.by_coefficient(seen, key) for key in looks(points)}
    turned = sum(map(len, groups.values())) > UPRIGHT
    slots = max(SLOTS, sum(len(of_key) + GAP for of_key in groups.values() if of_key) - GAP)
    letters = LETTERS * ax.get_window_extent().width / ax.figure.dpi / slots  # of a name in a slot
    slot, ticks, lines = 0.0, [], 0
    for key, look in looks(points).items():
        first = slot
        for group in groups[key]:
            width = WIDE / len(group)
            for j, point in enumerate(group):
                at = slot + (j - (len(group) - 1) / 2) * width
                length, turn = (value_of(of(point)) for of in parts[:2])
                style = {"width": width * 0.92, "edgecolor": look.colour, "linewidth": 0.6}
                ax.bar(at, length, color=look.colour, label=f"{point.name} {LENGTH}", **style)
                ax.bar(at, turn, bottom=length, color=(look.colour, 0.25), label=f"{point.name} {ANGLE}", **style)
                for estimate in (parts[0](point), parts[2](point)):
                    bar = {"yerr": error_bars([estimate]), "ecolor": INK, "elinewidth": 0.7, "capsize": 1.2}
                    ax.errorbar(at, value_of(estimate), fmt="none", **bar)
            wholes = [parts[2](point) for point in group]
            top = max(ends_of(whole)[1] for whole in wholes)
            style = {"rotation": 90 if turned else 0, "ha": "center", "va": "bottom", "fontsize": "x-small"}
            ax.annotate(share(group, origin), (slot, top), (0, 3), textcoords="offset points", color=INK, **style)
            ticks.append((slot, drawing.rounded(fmean(point.l0 for point in group))))
            slot += 1
        if slot > first:
            words = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center", "va": "top"}
            name = wrapped(look.words, max(8, int(letters * (slot - first + GAP))))
            lines = max(lines, name.count("\n") + 1)
            ax.annotate(name, ((first + slot - 1) / 2, 0), (0, -15), color=look.colour, fontweight="bold", **words)
            slot += GAP
    ax.set_xticks([at for at, _ in ticks], [l0 for _, l0 in ticks])
    ax.tick_params(axis="x", length=0, **({"labelsize": "x-small"} if turned else {}))
    ax.set_xlim(-0.6, slots - 0.4)
    ax.margins(y=0.14 if turned else 0.08)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(L0, labelpad=4 + 12 * lines)
    ax.set_ylabel(drawing.axis_label(WHOLE, origin))
    if not seen:
        message(ax, drawing.NOTHING)
    seeds = ", ".join(map(str, sorted({point.seed for point in seen})))
    side_by_side = f"; bars side by side: seeds {seeds}" if "," in seeds else ""
    entries = [
        Patch(facecolor=(INK, 0.25), edgecolor=INK, linewidth=0.6, label=f"angle, {REGISTRY[ANGLE].plain}: stays"),
        Patch(facecolor=INK, label=f"length, {REGISTRY[LENGTH].plain}: rescaling recovers it"),
        Patch(alpha=0, label=f"%: the length’s share{side_by_side}"),
        *drawing.left_out(points, parts),
    ]
    ax.legend(handles=entries, loc="lower left", bbox_to_anchor=(0, 1.01), borderaxespad=0, ncols=2)
    return ax


def share(group: Sequence[Point], origin: str = "raw") -> str:
    """The length's share of the loss in words, as the mean over SAEs; empty where nothing is lost."""
    length, whole = drawing.of_measure(LENGTH, origin), drawing.of_measure(WHOLE, origin)
    shares = [value_of(length(point)) / value_of(whole(point)) for point in group if whole(point).value]
    if not shares:
        return ""
    percent = 100 * fmean(shares)
    return f"{percent:.0f} %" if percent >= 9.5 else f"{percent:.1f} %"
