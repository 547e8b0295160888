"""Figure 6 in closed form (C17, C18): what each measure says of thresholded features, over the share that is active."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import measure_named
from sandbox.moments.moments import Moments
from sandbox.plots.style import FAINT, INK, LOCI, OF_X, axes_or_current
from sandbox.report import interval
from sandbox.simulate.theory import at_shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Simulated = tuple[Moments, Tensor]
"""What `stream_features` gives for a grid of thresholds: their moments, and the share that is active at each."""


class Curve(NamedTuple):
    """A measure and how it is drawn; two that may coincide differ in width and dashes, so that both are seen."""

    key: str
    colour: str
    marker: str
    dashed: bool = False
    squared: bool = False

    @property
    def label(self) -> str:
        """The measure's own symbol."""
        return measure_named(self.key).plain + ("²" if self.squared else "")

    def __call__(self, value: Tensor) -> Tensor:
        """What is drawn of a value of the measure, which is 0 or more: itself, or its square."""
        return value.square() if self.squared else value


CURVES = (
    Curve("relative_reconstruction_bias", LOCI["relative_reconstruction_bias"], "o"),
    Curve("equation_10_v1", "#D55E00", "s", dashed=True),
    Curve("norm_ratio", LOCI["norm_ratio"], "^"),
    Curve("scale_x", LOCI["scale_x"], "D"),
    Curve("norm_ratio", OF_X, "v", dashed=True, squared=True),
)
NAMES = {"soft": "Soft threshold: an L1 penalty", "hard": "Hard threshold: a gate, a jump"}


def closed_form(gate: str, simulated: Simulated | None = None, least: float = 1e-3, ax: Axes | None = None) -> Axes:
    """γ, what equation 10 first computed, r, c/a and r² over the share of active features, behind one threshold.

    The curves are those of the derivations. The points are simulated, each with its 95 % interval, at the share that
    was found active; none has been told of the curves.

    Args:   gate: "soft" or "hard"; simulated: `stream_features` of a grid of thresholds behind that gate; least: the
            share at which the axis begins, above 0 and below 1
    Raises: InputError for another gate, or a share outside 0 to 1
    Source: C17, C18
    """
    ax = axes_or_current(ax)
    share = torch.logspace(torch.tensor(least, dtype=torch.float64).log10().item(), 0, 400, dtype=torch.float64)
    values = at_shares(share, gate).values
    for curve in CURVES:
        line: dict[str, Any] = {"linewidth": 2}
        if curve.dashed:
            line = {"dashes": (4, 2), "linewidth": 1.2, "zorder": 3}
        ax.plot(share, curve(values[curve.key]), color=curve.colour, label=curve.label, **line)
    if simulated:
        for curve in CURVES:
            size = 2.6 if curve.dashed else 5  # where two coincide, the one is seen within the other
            points(ax, curve, simulated, markersize=size, markerfacecolor="white", zorder=5 if curve.dashed else 4)
        ax.plot([], [], "o", color=INK, markersize=4.6, markerfacecolor="white", label="simulated")
    over_shares(ax, least)
    ax.set_title(NAMES[gate])
    legend_below(ax)
    return ax


def over_shares(ax: Axes, least: float) -> None:
    """The axes of figure 6: the share of active features from `least` to 1, all values above 0 in view, 1 marked."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=0)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlim=(least / 1.08, 1.08), ylim=(0, 1.07 * max(1, ax.dataLim.y1)))
    ax.set(xlabel="share of active features (L0 / width)", ylabel="value")


def legend_below(ax: Axes, columns: int = 3) -> None:
    """Under the axis, off every curve; narrow enough for a column of a page."""
    from matplotlib.transforms import ScaledTranslation

    down = ax.transAxes + ScaledTranslation(0, -0.5, ax.figure.dpi_scale_trans)  # half an inch, however high the axes
    style: dict[str, Any] = {"columnspacing": 1.2, "handlelength": 1.6, "handletextpad": 0.5, "labelspacing": 0.35}
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.47, 0), "bbox_transform": down}
    ax.legend(ncols=columns, borderpad=0.1, borderaxespad=0, **place, **style)


def points(ax: Axes, curve: Curve, simulated: Simulated, **style: Any) -> None:
    """Simulated values of a measure with their 95 % intervals; settings where it is undefined are left out."""
    moments, share = simulated
    measure = measure_named(curve.key)
    value = evaluate(measure, *moments.means.unbind(-1))
    ends = torch.stack(interval(moments, measure))
    seen = value.isfinite()
    share, value, ends = (one[..., seen].cpu() for one in (share, curve(value), curve(ends)))
    reach = (ends - value).abs()
    base = {"markeredgewidth": 0.9, "elinewidth": 0.9, "capsize": 2}
    ax.errorbar(share, value, yerr=reach, fmt=curve.marker, color=curve.colour, **base | style)
