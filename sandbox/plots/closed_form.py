"""Figure 6 in closed form (C17, C18): the measures of thresholded features, over the share that is active."""

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
"""What `stream_features` gives for a grid of thresholds: the moments and the active share at each."""


class Curve(NamedTuple):
    """A measure and its look; curves that may coincide differ in width and dashes, so that both show."""

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
        """What is drawn for a value of the measure: the value or its square."""
        return value.square() if self.squared else value


CURVES = (
    Curve("relative_reconstruction_bias", LOCI["relative_reconstruction_bias"], "o"),
    Curve("equation_10_v1", "#D55E00", "s", dashed=True),
    Curve("norm_ratio", LOCI["norm_ratio"], "^"),
    Curve("scale_x", LOCI["scale_x"], "D"),
    Curve("norm_ratio", OF_X, "v", dashed=True, squared=True),
)
NAMES = {"soft": "Soft threshold: an L1 penalty", "hard": "Hard threshold: a gate or a jump"}


def closed_form(gate: str, simulated: Simulated | None = None, least: float = 1e-3, ax: Axes | None = None) -> Axes:
    """γ, the first version's equation 10, r, c/a and r² of features behind a threshold, over the share that is active.

    The derivations give the curves. The points are simulated independently of them, each with its 95 % interval, at
    the share of features that turned out active.

    Args:   gate: "soft" or "hard"; simulated: `stream_features` of a grid of thresholds behind that gate; least: where
            the axis of shares begins, above 0 and below 1
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
            size = 2.6 if curve.dashed else 5  # where two coincide, one shows inside the other
            points(ax, curve, simulated, markersize=size, markerfacecolor="white", zorder=5 if curve.dashed else 4)
        ax.plot([], [], "o", color=INK, markersize=4.6, markerfacecolor="white", label="simulated")
    over_shares(ax, least)
    ax.set_title(NAMES[gate])
    legend_under(ax)
    return ax


def over_shares(ax: Axes, least: float) -> None:
    """The axes of figure 6: the share of active features from `least` to 1, and values from 0, with 1 marked."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=0)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlim=(least / 1.08, 1.08), ylim=(0, 1.07 * max(1, ax.dataLim.y1)))
    ax.set(xlabel="share of active features (L0 / width)", ylabel="value")


def legend_under(ax: Axes, columns: int = 3) -> None:
    """A compact legend half an inch below the axes, narrow enough for a column of a page."""
    from matplotlib.transforms import ScaledTranslation

    down = ax.transAxes + ScaledTranslation(0, -0.5, ax.figure.dpi_scale_trans)
    style: dict[str, Any] = {"columnspacing": 1.2, "handlelength": 1.6, "handletextpad": 0.5, "labelspacing": 0.35}
    anchor: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.47, 0), "bbox_transform": down}
    ax.legend(ncols=columns, borderpad=0.1, borderaxespad=0, **anchor, **style)


def points(ax: Axes, curve: Curve, simulated: Simulated, **style: Any) -> None:
    """Draw simulated values of a measure with their 95 % intervals, where it is defined."""
    moments, share = simulated
    measure = measure_named(curve.key)
    value = evaluate(measure, *moments.means.unbind(-1))
    ends = torch.stack(interval(moments, measure))
    defined = value.isfinite()
    share, value, ends = (values[..., defined].cpu() for values in (share, curve(value), curve(ends)))
    errors = (ends - value).abs()
    base = {"markeredgewidth": 0.9, "elinewidth": 0.9, "capsize": 2}
    ax.errorbar(share, value, yerr=errors, fmt=curve.marker, color=curve.colour, **base | style)
