"""What SAEs cost a language model: the loss with each reconstruction, and against the factor that stretches x̂."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from sandbox.plots.error_bars import ends_of, error_bars, value_of
from sandbox.plots.style import INK, axes_or_current, figure, legend_below, message, plain_name, sae_looks
from sandbox.report.loss_report import LossReport
from sandbox.report.losses import CLEAN, LEAST_ERROR, LEAST_LOSS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORT = {
    CLEAN: "clean model",
    "least_error": "× least error",
    "least_loss": "× least loss",
    "per-latent": "per latent",
    "joint": "all latents",
    "decoder": "best decoder",
}
"""Names of the reconstructions beneath the axis."""


@contextmanager
def losses(report: LossReport) -> Iterator[Figure]:
    """The figure of `sandbox loss`: the loss with each reconstruction, and the loss against a factor that stretches x̂.

    For several SAEs also what stretching wins back.
    """
    several = len(report.saes) > 1
    with figure(17.25 if several else 11.5, 5.0 + 0.2 * len(report.saes), 2 + several, (1,)) as (made, axes):
        gains(report, axes[0])
        loss_curves(report, axes[1])
        if several:
            won_back(report, axes[2])
        yield made


def gains(report: LossReport, ax: Axes | None = None) -> Axes:
    """The loss with each reconstruction less the loss with x̂, paired by token, with 95 % intervals.

    The clean model is what remains to be won back; the mean and zero are not shown.
    """
    ax = axes_or_current(ax)
    names = [CLEAN, *dict.fromkeys(name for sae in report.saes for name in sae.replacements[1:])]
    for i, (sae, (colour, marker)) in enumerate(zip(report.saes, sae_looks(), strict=False)):
        estimates = {name: sae.gain(name) for name in (CLEAN, *sae.replacements[1:])}
        known = [name for name in names if name in estimates and estimates[name].value is not None]
        at = [names.index(name) + 0.6 * ((i + 1) / (len(report.saes) + 1) - 0.5) for name in known]
        shown = [estimates[name] for name in known]
        style = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 2.5}
        below, above = error_bars(shown)
        ax.errorbar(at, [-value_of(each) for each in shown], yerr=[above, below], label=plain_name(sae.name), **style)
    ax.axhline(0, color=INK, linewidth=0.9, zorder=1)
    ax.set_xticks(range(len(names)), [SHORT[name] for name in names])
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set(ylabel="loss − loss with x̂, nats per token")
    ax.set_title("In place of x̂")
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


def won_back(report: LossReport, ax: Axes | None = None) -> Axes:
    """What stretching x̂ wins back of its cost in nats, against what it wins back of the squared error.

    A triangle is the factor of the least error, a ring that of the least loss, with 95 % intervals. On the diagonal,
    the squared error says what stretching is worth to the model. An SAE whose cost may be 0 has no share of it.
    """
    ax = axes_or_current(ax)
    for sae, (colour, _) in zip(report.saes, sae_looks(), strict=False):
        label = plain_name(sae.name)
        for name, marker, face in ((LEAST_ERROR, "^", colour), (LEAST_LOSS, "o", "none")):
            if name not in sae.factors or sae.length_share is None or not sae.costs_something:
                continue
            share = sae.share_of_cost(name)
            if share.value is not None:
                style = {"fmt": marker, "color": colour, "markerfacecolor": face, "markersize": 6, "capsize": 2.5}
                ax.errorbar([sae.length_share], [share.value], yerr=error_bars([share]), label=label, **style)
                label = None
    ax.axline((0, 0), slope=1, color=INK, linewidth=0.9, zorder=1)
    ax.axhline(0, color=INK, linewidth=0.5, zorder=1)
    ax.set(
        xlabel="share of the squared error that a common factor removes", ylabel="share of the cost in nats won back"
    )
    ax.set_title("What stretching wins back")
    legend_below(ax)
    return ax
