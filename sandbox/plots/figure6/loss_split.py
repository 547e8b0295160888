"""The loss of each SAE in three parts (C23), or where these were not measured, in two (C12).

The best common factor recovers the length's part. What it leaves is the angle's part of C12: in three parts, factors
that differ between tokens, and the tokens' own angles.
"""

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
from sandbox.report.estimates import Estimate
from sandbox.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LENGTH, FACTORS, TOKENS = PARTS_UP = "length_loss", "factors_loss", "tokens_loss"
ANGLE, WHOLE = "angle_loss", "relative_loss"
SHADES = {LENGTH: 1.0, FACTORS: 0.6, TOKENS: 0.25, ANGLE: 0.25}
"""How opaque each part of a bar is."""
GAP = 0.8  # between architectures, in widths of a coefficient's slot
WIDE = 0.84  # the bars of a coefficient, in the same unit
SLOTS = 6  # the least number of slots
LETTERS = 13  # of a name in an inch
UPRIGHT = 16  # the most slots whose shares fit side by side
REST = {
    TOKENS: "tokens' angles: one factor does not recover it",
    FACTORS: "tokens' own factors: one factor does not recover it",
    ANGLE: f"angle, {REGISTRY[ANGLE].plain}: one factor does not recover it",
}
"""What a legend says of each part that no common factor recovers."""


def loss_split(points: Sequence[Point], ax: Axes | None = None, origin: str = "raw") -> Axes:
    """The relative loss of each SAE as a bar of its parts, the length's at the bottom, with 95 % intervals.

    There are three parts: of a common factor (the length's part), of factors that differ between tokens, and of the
    tokens' angles (C23). For points without the last two, the angle's part takes their place: for those of older files,
    and centred, where one reading of the activations cannot tell them apart. Intervals are those of the first part, the
    second, and the whole. The bars of a coefficient's seeds stand side by side over their mean L0; above them is the
    share of the loss that one factor could recover (the mean over the seeds).

    Args: origin: as for `bias`
    """
    from matplotlib.patches import Patch

    ax, points = axes_or_current(ax), drawing.final(points)
    parts = tuple(drawing.of_measure(key, origin) for key in (LENGTH, ANGLE, WHOLE))
    whole = parts[2]
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
                style = {"width": width * 0.92, "edgecolor": look.colour, "linewidth": 0.6}
                top, ends = 0.0, []
                for key, estimate in split(point, origin).items():
                    shade = (look.colour, SHADES[key]) if SHADES[key] < 1 else look.colour
                    ax.bar(at, value_of(estimate), bottom=top, color=shade, label=f"{point.name} {key}", **style)
                    top += value_of(estimate)
                    if key in (LENGTH, FACTORS):
                        ends.append((top, estimate))
                for height, estimate in (*ends, (value_of(whole(point)), whole(point))):
                    bar = {"yerr": error_bars([estimate]), "ecolor": INK, "elinewidth": 0.7, "capsize": 1.2}
                    ax.errorbar(at, height, fmt="none", **bar)
            top = max(ends_of(whole(point))[1] for point in group)
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
    drawn = {key for point in seen for key in split(point, origin)} or {ANGLE, LENGTH}
    entries = [
        *(
            Patch(facecolor=(INK, SHADES[key]), edgecolor=INK, linewidth=0.6, label=label)
            for key, label in REST.items()
            if key in drawn
        ),
        Patch(facecolor=INK, label=f"length, {REGISTRY[LENGTH].plain}: one factor recovers it"),
        Patch(alpha=0, label=f"%: the length’s share{side_by_side}"),
        *drawing.left_out(points, parts),
    ]
    anchor = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "borderaxespad": 0}
    wide = ax.legend(handles=entries, ncols=2, **anchor)
    if wide.get_window_extent().width > drawing.WIDEST * ax.figure.bbox.width:
        ax.legend(handles=entries, **anchor)
    return ax


def split(point: Point, origin: str = "raw") -> dict[str, Estimate]:
    """The parts of a point's loss, from the bottom of its bar to the top: three if the point has them, else two."""
    measured = point.origins[origin]
    three = {key: measured[key] for key in PARTS_UP if key in measured and measured[key].value is not None}
    return three if len(three) == len(PARTS_UP) else {key: measured[key] for key in (LENGTH, ANGLE)}


def share(group: Sequence[Point], origin: str = "raw") -> str:
    """The length's share of the loss in words, as the mean over SAEs; empty where nothing is lost."""
    length, whole = drawing.of_measure(LENGTH, origin), drawing.of_measure(WHOLE, origin)
    shares = [value_of(length(point)) / value_of(whole(point)) for point in group if whole(point).value]
    if not shares:
        return ""
    percent = 100 * fmean(shares)
    return f"{percent:.0f} %" if percent >= 9.5 else f"{percent:.1f} %"
