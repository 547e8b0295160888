"""What SAEs cost a language model: the loss with each reconstruction, and against the factor that stretches x̂."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from sandbox.plots.error_bars import ends_of, error_bars, value_of
from sandbox.plots.style import INK, axes_or_current, figure, legend_below, message, plain_name, sae_looks
from sandbox.report.losses import LEAST_ERROR, LossReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORT = {
    "x_hat": "x̂",
    "least_error": "× least error",
    "least_loss": "× least loss",
    "per-latent": "per latent",
    "joint": "all latents",
    "decoder": "best decoder",
}
"""Names of the reconstructions beneath the axis."""


@contextmanager
def losses(report: LossReport) -> Iterator[Figure]:
    """The figure of `sandbox loss`: the cost of each reconstruction, and the loss against a factor that stretches x̂."""
    with figure(11.5, 5.0 + 0.2 * len(report.saes), 2, (1,)) as (made, axes):
        costs(report, axes[0])
        loss_curves(report, axes[1])
        yield made


def costs(report: LossReport, ax: Axes | None = None) -> Axes:
    """The loss with each reconstruction less the clean model's, with 95 % intervals; mean and zero are not shown."""
    ax = axes_or_current(ax)
    names = list(dict.fromkeys(name for sae in report.saes for name in sae.replacements))
    for i, (sae, (colour, marker)) in enumerate(zip(report.saes, sae_looks(), strict=False)):
        estimates = {name: sae.cost(name) for name in sae.replacements}
        known = [name for name in names if name in estimates and estimates[name].value is not None]
        at = [names.index(name) + 0.5 * ((i + 1) / (len(report.saes) + 1) - 0.5) for name in known]
        shown = [estimates[name] for name in known]
        style = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 2.5}
        ax.errorbar(at, [value_of(each) for each in shown], yerr=error_bars(shown), label=plain_name(sae.name), **style)
    ax.axhline(0, color=INK, linewidth=0.9, zorder=1)
    ax.set_xticks(range(len(names)), [SHORT[name] for name in names])
    ax.set(ylabel="loss − clean model's, nats per token, 95 % interval")
    ax.set_title("In place of x")
    legend_below(ax)
    return ax


def loss_curves(report: LossReport, ax: Axes | None = None) -> Axes:
    """The loss against the factor that stretches x̂ about b_dec, less that at 1, on the documents of the search.

    A triangle marks the factor of the least error, a ring that of the least loss.
    """
    ax = axes_or_current(ax)
    drawn = [sae for sae in report.saes if sae.curve is not None]
    for sae, (colour, _) in zip(report.saes, sae_looks(), strict=False):
        curve = sae.curve
        if curve is None:
            continue
        values = [value_of(change) for change in curve.changes]
        low, high = zip(*(ends_of(change) for change in curve.changes), strict=True)
        ax.plot(curve.factors, values, color=colour, linewidth=1.6, label=plain_name(sae.name))
        ax.fill_between(curve.factors, low, high, color=colour, alpha=0.15, linewidth=0)
        for factor, marker, face in ((sae.factors.get(LEAST_ERROR), "^", colour), (curve.best, "o", "none")):
            if factor is not None and curve.factors[0] <= factor <= curve.factors[-1]:
                height = np.interp(factor, curve.factors, values)
                ax.plot([factor], [height], marker, color=colour, markerfacecolor=face, markersize=7)
    if not drawn:
        message(ax, "no factor was searched")
    else:
        ax.axvline(1, color=INK, linewidth=0.9, zorder=1)
        lowest = min(value_of(change) for sae in drawn if sae.curve for change in sae.curve.changes)
        ax.set_ylim(1.6 * min(lowest, -1e-3), -2.5 * min(lowest, -1e-3))
        legend_below(ax)
    ax.set(xlabel="factor of x̂ − b_dec", ylabel="loss − loss at factor 1, nats per token")
    ax.set_title("▲ least error   ○ least loss")
    return ax
