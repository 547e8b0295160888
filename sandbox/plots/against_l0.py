"""Several SAEs on the same activations: what each measure says, against how many latents are on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.maths.measures import measure_named
from sandbox.plots.style import FAINT, INK, LOCI, axes_or_current, plain_name
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEYS = ("relative_reconstruction_bias", "cosine", "norm_ratio", "scale_x")
"""From the measure that a rescaling answers to, down to the one that mixes in the angle."""

MARKERS = "oDs^"
NARROW = 1.05  # an axis whose ends are nearer than that to each other would make a trend of next to nothing


def against_l0(reports: Sequence[Report], keys: Sequence[str] = KEYS, ax: Axes | None = None) -> Axes:
    """Measures against L0, a point for each SAE with its 95 % interval, and each SAE's name above its L0.

    Args:   reports: those without L0 (whose latents were not seen) are left out
    Raises: InputError for a key that is not in the registry
    """
    ax = axes_or_current(ax)
    seen = sorted(((report.l0, report) for report in reports if report.l0), key=lambda pair: pair[0])
    for key, marker in zip(keys, MARKERS * len(keys), strict=False):
        measure = measure_named(key)
        points = [(l0, one) for l0, report in seen if (one := report.raw[key]).value is not None]
        if not points:
            continue
        at, estimates = zip(*points, strict=True)
        values = [one.value for one in estimates]
        ends = [[one.value - (one.value if one.low is None else one.low) for one in estimates]]
        ends.append([(one.value if one.high is None else one.high) - one.value for one in estimates])
        style = {"color": LOCI.get(key, INK), "markersize": 5.5, "capsize": 2.5, "linestyle": "none", "alpha": 0.85}
        ax.errorbar(at, values, yerr=ends, marker=marker, label=f"{measure.plain}: {measure.question}", **style)
    ax.axhline(1, color=FAINT, linewidth=1)
    ax.set(xlabel="L0, latents on at a time", ylabel="raw value, 95 % interval")
    if not seen:
        ax.text(0.5, 0.5, "no L0 is known: latents were not seen", transform=ax.transAxes, ha="center", color=INK)
        return ax
    set_l0_scale(ax, seen[0][0], seen[-1][0])
    _name(ax, seen)
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0)
    return ax


def set_l0_scale(ax: Axes, least: float, greatest: float) -> None:
    """A logarithmic axis of L0 with round numbers, wide enough for a single value."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    middle, reach = (least * greatest) ** 0.5, max((greatest / least) ** 0.5, NARROW) * 1.05
    ax.set_xscale("log")
    ax.set_xlim(middle / reach, middle * reach)
    wide = reach > 2
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(4, steps=(1, 2, 2.5, 5, 10)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _name(ax: Axes, seen: Sequence[tuple[float, Report]]) -> None:
    """Each SAE's name above its line; those that are too near to each other share a place."""
    low, high = ax.get_xlim()
    places: list[tuple[float, list[str]]] = []
    for l0, report in seen:
        ax.axvline(l0, color=FAINT, linewidth=0.4, zorder=0)
        if places and l0 / places[-1][0] < (high / low) ** 0.04:
            places[-1][1].append(plain_name(report.name))
        else:
            places.append((l0, [plain_name(report.name)]))
    for l0, names in places:
        style = {"transform": ax.get_xaxis_transform(), "rotation": 35, "fontsize": 8.5, "color": INK}
        ax.text(l0, 1.01, ", ".join(names), va="bottom", ha="left", **style)
