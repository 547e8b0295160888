"""Every difference from the first SAE with its interval, compared with 0."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from sandbox.maths.measures import REGISTRY
from sandbox.plots.error_bars import error_bars, value_of
from sandbox.plots.style import FAINT, axes_or_current, legend_below, message, plain_name, sae_looks
from sandbox.report import Report
from sandbox.report.differences import known_differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def differences(reports: Sequence[Report], ax: Axes | None = None) -> Axes:
    """The raw differences of each SAE from the first (C27), with 95 % intervals; undefined ones are left out."""
    ax = axes_or_current(ax)
    every = [one for one in known_differences(reports) if one.origin == "raw" and one.measure in REGISTRY]
    keys, count = list(REGISTRY), max(len(reports) - 1, 1)
    for i, (colour, marker) in enumerate(islice(sae_looks(), 1, count + 1)):
        shown = [
            (j, one)
            for j, one in enumerate(every[i * len(keys) : (i + 1) * len(keys)])
            if one.estimate.value is not None
        ]
        if shown:
            ax.errorbar(
                [value_of(one.estimate) for _, one in shown],
                [j + (i + 1) / (count + 1) - 0.5 for j, _ in shown],
                xerr=error_bars([one.estimate for _, one in shown]),
                fmt=marker,
                color=colour,
                markersize=5,
                capsize=2.5,
                label=plain_name(shown[0][1].of),
            )
    ax.axvline(0, color=FAINT, linewidth=1)
    for j in range(1, len(keys)):
        ax.axhline(j - 0.5, color=FAINT, linewidth=0.4, alpha=0.6)
    ax.set_yticks(range(len(keys)), [REGISTRY[key].plain for key in keys])
    ax.set(ylim=(len(keys) - 0.5, -0.5), xlabel="difference of raw values, 95 % interval")
    if ax.containers:
        legend_below(ax)
    else:
        message(ax, "every difference is undefined")
    ax.set_title(f"Differences from {plain_name(reports[0].name)}" if reports else "Differences")
    return ax
