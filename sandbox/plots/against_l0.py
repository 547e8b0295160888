"""Several SAEs on the same activations: what each measure says, against the number of active latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.maths.measures import measure_named
from sandbox.plots.error_bars import error_bars, value_of
from sandbox.plots.style import (
    FAINT,
    INK,
    L0,
    LOCI,
    MARKERS,
    axes_or_current,
    cycled,
    legend_below,
    message,
    plain_name,
)
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEYS = ("relative_reconstruction_bias", "cosine", "norm_ratio", "scale_x")
"""From the measure that rescaling changes to the one that mixes in the angle."""

NARROW = 1.05
"""The least ratio between the ends of an L0 axis, lest it make a trend of next to nothing."""


def against_l0(reports: Sequence[Report], keys: Sequence[str] = KEYS, ax: Axes | None = None) -> Axes:
    """Measures against L0: a point for each SAE with its 95 % interval, and the SAE's name above its L0.

    Args:   reports: those without L0 (whose latents were not seen) are left out
    Raises: InputError for a key that is not in the registry
    """
    ax = axes_or_current(ax)
    seen = sorted(((report.l0, report) for report in reports if report.l0), key=lambda pair: pair[0])
    for key, marker in zip(keys, cycled(MARKERS), strict=False):
        measure = measure_named(key)
        points = [(l0, estimate) for l0, report in seen if (estimate := report.raw[key]).value is not None]
        if points:
            l0s, estimates = zip(*points, strict=True)
            style = {"color": LOCI.get(key, INK), "markersize": 5.5, "capsize": 2.5, "linestyle": "none", "alpha": 0.85}
            label = f"{measure.plain}: {measure.question}"
            values = [value_of(estimate) for estimate in estimates]
            ax.errorbar(l0s, values, yerr=error_bars(estimates), marker=marker, label=label, **style)
    l0_axis(ax, [l0 for l0, _ in seen], "no L0 is known: the latents were not seen")
    ax.set_ylabel("raw value, 95 % interval")
    if seen:
        _name(ax, seen)
        legend_below(ax)
    return ax


def l0_axis(ax: Axes, l0s: Sequence[float], empty: str) -> None:
    """A logarithmic axis of L0 with round numbers, and a line where a measure is 1; or the words `empty` without SAEs.

    Args: l0s: of the SAEs to show; one is enough
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ax.axhline(1, color=FAINT, linewidth=0.8, zorder=1)
    ax.set_xlabel(L0)
    if not l0s:
        message(ax, empty)
        return
    middle, reach = (min(l0s) * max(l0s)) ** 0.5, 1.05 * max((max(l0s) / min(l0s)) ** 0.5, NARROW)
    margin = reach**0.05  # for a marker at either end
    ax.set_xscale("log")
    ax.set_xlim(middle / reach / margin, middle * reach * margin)
    wide = reach > 2
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(4, steps=(1, 2, 2.5, 5, 10)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _name(ax: Axes, seen: Sequence[tuple[float, Report]]) -> None:
    """Each SAE's name above its line; neighbours that would overlap share a label."""
    low, high = ax.get_xlim()
    labels: list[tuple[float, list[str]]] = []
    for l0, report in seen:
        ax.axvline(l0, color=FAINT, linewidth=0.4, zorder=0)
        if labels and l0 / labels[-1][0] < (high / low) ** 0.04:
            labels[-1][1].append(plain_name(report.name))
        else:
            labels.append((l0, [plain_name(report.name)]))
    for l0, names in labels:
        style = {"transform": ax.get_xaxis_transform(), "rotation": 35, "fontsize": 8.5, "color": INK}
        ax.text(l0, 1.01, ", ".join(names), va="bottom", ha="left", **style)
