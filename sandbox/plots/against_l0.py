"""Several SAEs on the same activations: what each measure says, against how many latents are on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.measures import measure_named
from sandbox.plots.style import FAINT, INK, SAES, _axes, _cycle, _plain
from sandbox.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEYS = ("relative_reconstruction_bias", "cosine", "norm_ratio", "scale_x")
"""From the measure that a rescaling answers to, down to the one that mixes in the angle."""

MARKERS = "oDs^"


def against_l0(reports: Sequence[Report], keys: Sequence[str] = KEYS, ax: Axes | None = None) -> Axes:
    """Measures against L0, a point for each SAE with its 95 % interval, and each SAE's name above its L0.

    Args:   reports: those without L0 (whose latents were not seen) are left out
    Raises: InputError for a key that is not in the registry
    """
    ax = _axes(ax)
    seen = sorted(((report.l0, report) for report in reports if report.l0), key=lambda pair: pair[0])
    for key, colour, marker in zip(keys, _cycle(SAES), MARKERS * len(keys), strict=False):
        measure = measure_named(key)
        points = [(l0, one) for l0, report in seen if (one := report.raw[key]).value is not None]
        if not points:
            continue
        at, estimates = zip(*points, strict=True)
        values = [one.value for one in estimates]
        ends = [[one.value - (one.value if one.low is None else one.low) for one in estimates]]
        ends.append([(one.value if one.high is None else one.high) - one.value for one in estimates])
        style = {"color": colour, "marker": marker, "markersize": 5.5, "capsize": 2.5, "linestyle": "none"}
        ax.errorbar(at, values, yerr=ends, label=f"{measure.plain}: {measure.question}", **style)
    for l0, report in seen:
        ax.axvline(l0, color=FAINT, linewidth=0.4, zorder=0)
        label = {"transform": ax.get_xaxis_transform(), "rotation": 35, "fontsize": 8.5, "color": INK}
        ax.text(l0, 1.01, _plain(report.name), va="bottom", ha="left", **label)
    ax.axhline(1, color=FAINT, linewidth=1)
    if seen and seen[-1][0] > 5 * seen[0][0]:
        ax.set_xscale("log")
    ax.margins(x=0.12)
    ax.set(xlabel="L0, latents on at a time", ylabel="raw value, 95 % interval")
    if seen:
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0)
    else:
        ax.text(0.5, 0.5, "no L0 is known: latents were not seen", transform=ax.transAxes, ha="center", color=INK)
    return ax
