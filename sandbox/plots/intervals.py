"""Every measure with its interval, compared with 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.maths.measures import REGISTRY
from sandbox.plots.error_bars import error_bars
from sandbox.plots.style import FAINT, SAES, axes_or_current, cycled, legend_below, message, plain_name
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def intervals(reports: Sequence[Report], ax: Axes | None = None) -> Axes:
    """Every measure that is compared with 1, for each SAE, with its 95 % interval: raw filled, centred hollow."""
    ax = axes_or_current(ax)
    keys = [key for key in REGISTRY if not key.endswith("_loss")]
    rows = len(reports) * 2 + 1
    named = set()  # one legend entry for each SAE and origin
    for i, (report, colour) in enumerate(zip(reports, cycled(SAES), strict=False)):
        for j, (origin, estimates) in enumerate((("raw", report.raw), ("centred", report.centred))):
            for k, key in enumerate(keys):
                estimate = estimates[key]
                if estimate.value is None:
                    continue
                ax.errorbar(
                    estimate.value,
                    k + (2 * i + j + 1) / rows - 0.5,
                    xerr=error_bars([estimate]),
                    fmt="o",
                    color=colour,
                    fillstyle="none" if j else "full",
                    markersize=5,
                    capsize=2.5,
                    label=None if (i, j) in named else f"{plain_name(report.name)}, {origin}",
                )
                named.add((i, j))
    if not ax.containers:
        message(ax, "every measure is undefined")
    ax.axvline(1, color=FAINT, linewidth=1)
    for k in range(1, len(keys)):
        ax.axhline(k - 0.5, color=FAINT, linewidth=0.4, alpha=0.6)
    ax.set_yticks(range(len(keys)), [f"{key} ({REGISTRY[key].plain})" for key in keys])
    ax.set(ylim=(len(keys) - 0.5, -0.5), xlabel="value, 95 % interval")
    if ax.containers:
        legend_below(ax, columns=2)
    ax.set_title("Every measure against 1")
    return ax
