"""γ along bands of the principal components of x (C25): the same everywhere, or different and cancelling?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.plots.error_bars import error_bars, value_of
from sandbox.plots.style import FAINT, INK, axes_or_current, legend_below, message, plain_name, sae_looks
from sandbox.report import Report
from sandbox.report.directions import GAMMA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 0.15
"""The least distance between two named ranks, in powers of ten, at which their names do not touch."""


def directions(reports: Sequence[Report], ax: Axes | None = None) -> Axes:
    """γ of each SAE on each band, with 95 % intervals, as a level over the ranks of its components.

    A dotted line in the SAE's colour is its γ over all directions: the mean of the levels, weighted by c.
    """
    ax = axes_or_current(ax)
    shown = [(report.name, report.directions) for report in reports if report.directions]
    ax.axhline(1, color=INK, linewidth=0.9, zorder=1)
    drawn = 0
    for i, ((name, measured), (colour, marker)) in enumerate(zip(shown, sae_looks(), strict=False)):
        bands = [band for band in measured.bands if band.estimates[GAMMA].value is not None]
        drawn += len(bands)
        gammas = [band.estimates[GAMMA] for band in bands]
        values = [value_of(gamma) for gamma in gammas]
        # On a logarithmic axis a band of ranks reaches from half a rank before its first to half a rank past its last.
        ends = [(band.first - 0.5, band.last + 0.5) for band in bands]
        ax.hlines(values, [low for low, _ in ends], [high for _, high in ends], color=colour, linewidth=1.6)
        place = (i + 1) / (len(shown) + 1)  # within the band, so that intervals do not hide one another
        at = [low ** (1 - place) * high**place for low, high in ends]
        style = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 2.5}
        ax.errorbar(at, values, yerr=error_bars(gammas), label=plain_name(name), **style)
        if (pooled := measured.whole.estimates[GAMMA].value) is not None:
            ax.axhline(pooled, color=colour, linewidth=1, linestyle=":", zorder=1)
    if drawn:
        ax.set_xscale("log")
        edges = sorted({band.first for _, measured in shown for band in measured.bands})
        last = max(measured.whole.last for _, measured in shown)
        for edge in edges[1:]:
            ax.axvline(edge - 0.5, color=FAINT, linewidth=0.4, alpha=0.6)
        named = _apart([*edges, last])
        ax.set_xticks(named, [f"{rank}" for rank in named])
        ax.minorticks_off()
        ax.set_xlim(0.5, last + 0.5)
        legend_below(ax)
    else:
        message(ax, "no γ of any band is defined")
    ax.set(xlabel="principal components of x, by falling variance", ylabel="γ, centred, 95 % interval")
    ax.set_title("γ by direction")
    return ax


def _apart(ranks: Sequence[int]) -> list[int]:
    """The last rank, and of those before it as many as can be named without touching."""
    named = [ranks[-1]]
    for rank in reversed(ranks[:-1]):
        if math.log10(named[0] / rank) >= APART:
            named.insert(0, rank)
    return named
