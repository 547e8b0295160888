"""Which latents shrink, and how much: a histogram of the best factor for each latent alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sandbox.measuring.latents import OFTEN, Latents
from sandbox.plots.style import FAINT, INK, SAES, axes_or_current, cycled, legend_below, plain_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 60
OUTSIDE = 0.001  # share of latents at either end drawn in the outermost bin, so one odd latent cannot hide the others
INSET = (0.62, 0.52, 0.36, 0.44)


def latents(by_name: Mapping[str, Latents], ax: Axes | None = None, often: int = OFTEN) -> Axes:
    """A histogram of the factors s_j of the latents that are active on at least `often` tokens.

    An inset plots every latent against its number of active tokens: a spread that only rare latents cause narrows to
    the right. At most a thousandth of the latents at either end lies outside the range, and is drawn at its edge.

    Args: by_name: the latents of each SAE
    """
    ax = axes_or_current(ax)
    named = {}
    for name, of_sae in by_name.items():
        factor, count = of_sae.scale_factors().cpu().numpy(), of_sae.count.cpu().numpy()
        known = ~np.isnan(factor)
        named[name] = factor[known], count[known]
    shown = {name: factor[count >= max(often, 1)] for name, (factor, count) in named.items()}
    drawn = np.concatenate([*shown.values(), np.ones(1)])
    low, high = np.quantile(drawn, (OUTSIDE, 1 - OUTSIDE))
    low, high = min(low, 0.9), max(high, 1.1)
    edges = np.linspace(low, high, BINS + 1)
    tallest, beneath = 1.0, 0.0
    for (name, factors), colour in zip(shown.items(), cycled(SAES), strict=False):
        label = f"{plain_name(name)}: {len(factors):,} of {len(by_name[name].count):,} latents"
        if len(factors):
            label += f", median {np.median(factors):.3f}"
        style = {"histtype": "stepfilled", "facecolor": (colour, 0.25), "edgecolor": colour}
        heights, *_ = ax.hist(factors.clip(low, high), edges, label=label, **style)
        tallest = max(tallest, np.max(heights))
        beneath = max(beneath, np.max(heights[BINS // 2 :]))
    ax.axvline(1, color=INK, linewidth=1)
    ax.text(1, 1.0, " 1: not shrunk", transform=ax.get_xaxis_transform(), va="bottom", ha="center", color=INK)
    ax.set_ylim(0, max(1.05 * tallest, beneath / (INSET[1] - 0.14)))  # the bars stay below the inset and its labels
    margin = 0.02 * (high - low)
    ax.set(xlim=(low - margin, high + margin), xlabel="$s_j$, the best factor for latent j alone", ylabel="latents")
    legend_below(ax, 0.16)
    ax.set_title(f"Shrinkage of each latent active on {often:,} tokens or more", pad=18)
    if any(len(factor) for factor, _ in named.values()):
        _against_count(named, ax, low, high, often)
    return ax


def _against_count(
    named: Mapping[str, tuple[np.ndarray, np.ndarray]], ax: Axes, low: float, high: float, often: int
) -> None:
    """Each latent's factor against how often it is active, in the upper right corner."""
    inset = ax.inset_axes(INSET)
    for (factor, count), colour in zip(named.values(), cycled(SAES), strict=False):
        inset.scatter(count, factor.clip(low, high), s=3, color=colour, alpha=0.35, linewidths=0, rasterized=True)
    inset.axhline(1, color=INK, linewidth=0.8)
    inset.axvline(often, color=FAINT, linewidth=0.8, linestyle=":")
    inset.set(xscale="log", ylim=(low - 0.02 * (high - low), high + 0.02 * (high - low)))
    inset.set_xlabel("active tokens", fontsize=8)
    inset.set_title("$s_j$", fontsize=8)
    inset.tick_params(labelsize=7.5)
